"""What the corrected losses change: the same short training with each oddity of the published one, in one table.

``python scripts/ablate_losses.py --data town --unseen unseen``: both as ``pasco data simulate`` writes them. Every
training of a seed begins with the same weights and sees the same items. What is done already is skipped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SWITCHES = {
    "no final voxel-query loss": "losses.final_voxel_query_loss=false",
    "unknown is negative": "losses.unknown_is_negative=true",
    "kept voxels only": "losses.supervise_pruned=false",
    "unknown left out": "losses.unknown_as_empty=0.0",
    "coarse empty swapped": "targets.swapped_coarse_empty=true",
}
"""What the published training does otherwise and has a switch for (LossConfig, TargetConfig)."""

VARIANTS = {"corrected": (), "published": tuple(SWITCHES.values()), **{name: (s,) for name, s in SWITCHES.items()}}

# One subnet and small crops: what differs is the losses, and a step takes about a second on one core. Masks are
# trained, and all losses but the switches have their default weights, whatever the recipe says.
SMALLEST = (
    "losses={}", "network.n_subnets=1", "network.mask_segments=true", "augmentation.crop=0.35",
    "limits.per_subnet={4: 1500, 2: 5000, 1: 16000}",
    "limits.together={4: 2000, 2: 6500, 1: 21000}", "schedule.warmup=20", "schedule.epochs=1000", "ema_decay=0.95",
    "data.workers=0", "data.val_frames=1", "validation.every_n_epochs=1000", "validation.checkpoint_every=100000",
)


def main() -> int:
    """Trains and evaluates every variant with every seed, then prints the table."""
    args = _arguments()
    for root in (args.data, args.unseen):
        if not root.is_dir():
            sys.exit(f"Expected {root} to be the folder of a dataset, got nothing there")
    figures = {name: [_figures(args, name, seed) for seed in args.seeds] for name in args.variants}
    print(f"{args.steps} steps, {len(args.seeds)} seed(s), every {args.every}th unseen frame; paper protocol")
    print("| training | IoU | mIoU | PQ† | voxel ECE |\n|---|---|---|---|---|")
    for name, runs in figures.items():
        print(f"| {name} | " + " | ".join(map(_cell, zip(*runs), (1, 1, 1, 3))) + " |")
    return 0


def _figures(args: argparse.Namespace, name: str, seed: int) -> tuple[float, ...]:
    """IoU, mIoU and PQ† in percent, and the voxels' ECE."""
    run = args.work / f"{name.replace(' ', '_')}_{seed}"
    weights, results = run / "train" / "final.safetensors", run / "eval" / "metrics.json"
    settings = (*SMALLEST, f"schedule.max_steps={args.steps}", f"seed={seed}", *VARIANTS[name])
    if not weights.exists():
        changes = [part for setting in settings for part in ("--set", setting)]
        _pasco("train", "small", "--data", str(args.data), "--out", str(weights.parent), *changes)
    if not results.exists():
        _pasco("eval", str(args.unseen), "--checkpoint", str(weights), "--split", "all", "--every", str(args.every),
               "--no-report", "--out", str(results.parent))
    method = json.loads(results.read_text(encoding="utf-8"))["results"]["clean"]["ensemble"]
    completion, panoptic = method["completion"]["paper"], method["panoptic"]["paper"]["all"]
    shares = completion["iou"], completion["miou"], panoptic["pq_dagger"]
    ece = method["calibration"]["voxels"]["ece"]
    return (*(100 * share for share in shares), float("nan") if ece is None else ece)


def _cell(values: tuple[float, ...], digits: int) -> str:
    """Mean over the seeds, and the single values where there are several."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({', '.join(f'{value:.{digits}f}' for value in values)})"


def _pasco(*arguments: str) -> None:
    print("pasco", *arguments, file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "pasco_core", *arguments], cwd=ROOT, check=True, stdout=sys.stderr)


def _arguments() -> argparse.Namespace:
    from arguments import count

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="ROOT", help="dataset to learn from, its training split")
    add("--unseen", type=Path, required=True, metavar="ROOT", help="dataset to evaluate on")
    add("--work", type=Path, default=Path("out/ablation"), help="for runs and results (default: out/ablation)")
    add("--steps", type=count, default=150, help="of every training (default: 150)")
    add("--seeds", type=int, nargs="+", default=[0, 1], metavar="N", help="of weights and items (default: 0 1)")
    add("--every", type=count, default=4, metavar="N", help="every N-th frame is evaluated (default: 4)")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME",
        help=f"some of {', '.join(map(repr, VARIANTS))} (default: all)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as problem:  # the command has said what is wrong
        sys.exit(problem.returncode)
