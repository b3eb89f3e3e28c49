"""Trains the dense 3D U-Net that PaSCo is compared with, and prints its row of the model card's table.

``python scripts/train_dense_baseline.py --data town --unseen unseen``: both as ``pasco data simulate`` writes them.
Weights that are there already are evaluated only.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pasco_core.errors import PascoError  # noqa: E402


def main() -> int:
    """Trains unless the weights are there, then evaluates."""
    import torch
    from model_card_rows import HEAD, row
    from safetensors.torch import load_file, save_file

    from pasco_core.data.datasets import open_dataset
    from pasco_core.device import usable_device
    from pasco_core.evaluation.dense_baseline import DenseUNetPredictor
    from pasco_core.evaluation.plan import choose_frames
    from pasco_core.systems.dense_unet import DenseUNet
    from training.config import read_experiment
    from training.dense_baseline import train_dense

    args = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    experiment = read_experiment(args.recipe, [*args.set, "network.n_subnets=1"])
    if args.weights.exists():
        network = DenseUNet(experiment.labels.n_classes)
        network.load_state_dict(load_file(args.weights))
    else:
        began = time.process_time()
        network = train_dense(experiment, open_dataset(args.data), args.steps, device=usable_device(args.device)).cpu()
        args.weights.parent.mkdir(parents=True, exist_ok=True)
        save_file(network.state_dict(), args.weights)
        print(f"{args.steps} steps in {time.process_time() - began:.0f} s of processor time", flush=True)
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    unseen = open_dataset(args.unseen)
    frames = choose_frames(unseen.frames(None, args.sequences), args.every)
    figures = evaluate(DenseUNetPredictor(network, experiment.labels), unseen, frames)
    name = f"dense U-Net, {n_parameters / 1e6:.2f} M parameters, {len(frames)} frames"
    print(f"{HEAD}\n{row(name, figures)}")
    return 0


def evaluate(predict: Any, dataset: Any, frames: Any) -> dict[str, Any]:
    """The metrics of ``pasco eval`` over the frames, frame by frame."""
    from pasco_core.metrics import SceneMetrics

    metrics = SceneMetrics(dataset.labels)
    for number, frame in enumerate(frames, 1):
        metrics.update(predict(dataset.points(frame)), dataset.truth(frame))
        print(f"\revaluated {number} of {len(frames)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return metrics.compute()


def _arguments() -> argparse.Namespace:
    from arguments import count

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="ROOT", help="dataset to learn from, its training split")
    add("--unseen", type=Path, required=True, metavar="ROOT", help="dataset to evaluate on")
    add("--sequences", nargs="+", metavar="S", help="of the unseen dataset (default: all)")
    add("--every", type=count, default=1, metavar="N", help="every N-th frame of a sequence (default: 1)")
    add("--weights", type=Path, default=Path("out/dense_unet.safetensors"),
        help="written, or read where it is there (default: out/dense_unet.safetensors)")
    add("--steps", type=count, default=1000, help="of training (default: 1000)")
    add("--threads", type=count, default=1, help="of torch (default: 1)")
    add("--device", default="cpu", help="to train on: cpu, cuda or cuda:<index> (default: cpu)")
    add("--recipe", default="small", help="experiment whose data, optimiser and losses are used (default: small)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the experiment; may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PascoError as problem:
        sys.exit(f"train_dense_baseline.py: {problem}")
