"""Runs networks on the CPU and on the stand-in device; prints as JSON by how much each result differs.

The arguments are names of cases. A process of its own, because PyTorch takes only one such device per process.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stand_in_device import DEVICE, NAME, MixedDevices, StandIn, StandInTensor

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "training"))

from toy_scenes import ToyScenes, tiny_experiment  # noqa: E402

from pasco_core.data.simulation import street_scan  # noqa: E402
from pasco_core.systems.pasco import PaSCoConfig, Predictor, predictor  # noqa: E402
from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS  # noqa: E402
from pasco_core.systems.pasco.untrained import SMALL, untrained_network  # noqa: E402
from pasco_core.systems.waffleiron import WaffleIron, WaffleIronConfig  # noqa: E402
from training.data_module import SceneData  # noqa: E402
from training.dense_baseline import train_dense  # noqa: E402
from training.module import PaSCoTraining  # noqa: E402


def mixing() -> dict[str, Any]:
    """What the device is for: operations that mix are refused, moving is not."""
    with StandIn():
        ours, theirs = torch.ones(3, device=NAME), torch.ones(3)
        refused = []
        for operation in (lambda: ours + theirs, lambda: theirs[ours.bool()], lambda: ours.numpy()):
            try:
                operation()
            except (MixedDevices, TypeError) as error:
                refused.append(type(error).__name__)
        return {"refused": refused, "sum": (ours.cpu() + theirs).tolist(), "device": str(ours.device)}


def inference(**options: Any) -> dict[str, Any]:
    """Voxels whose class differs, and the largest difference of an uncertainty."""
    points = street_scan(frame=0, seed=0)[::8]
    here = Predictor(**options)(points)
    with StandIn():
        there_predictor = Predictor(device=NAME, **options)
        on_device = all(isinstance(p, StandInTensor) for p in there_predictor.network.parameters())
        there = there_predictor(points)
    difference = np.abs(here.voxel_uncertainty.astype(np.float64) - there.voxel_uncertainty)
    return {
        "on_device": on_device,
        "occupied": int((here.semantics > 0).sum()),
        "voxels": int((here.semantics != there.semantics).sum()),
        "segments": int((here.panoptic != there.panoptic).sum()),
        "uncertainty": float(np.nanmax(difference)),
    }


def with_point_features() -> dict[str, Any]:
    """Inference of a network that reads WaffleIron's features."""
    torch.manual_seed(0)
    features = WaffleIron(WaffleIronConfig(channels=16, depth=2)).eval()
    channels = GEOMETRIC_CHANNELS + features.config.n_classes + features.config.channels
    network = untrained_network(replace(SMALL, in_channels=channels))
    return inference(checkpoint=network, features=features, votes=1)


def training(**changes: Any) -> dict[str, Any]:
    """Two steps of the optimiser: the largest relative difference of a loss term."""
    here = _losses("cpu", **changes)
    with StandIn():
        there = _losses(NAME, **changes)
    terms = [abs(a[name] - b[name]) / max(1.0, abs(a[name])) for a, b in zip(here, there, strict=True) for name in a]
    return {"terms": len(terms), "difference": max(terms), "learnt": here[0]["total"] != here[1]["total"]}


def _losses(device: str, **changes: Any) -> list[dict[str, float]]:
    experiment = tiny_experiment(**changes)
    item = SceneData(experiment, ToyScenes(2)).training_items()[(0, 0)]
    with tempfile.TemporaryDirectory() as folder:
        module = PaSCoTraining(experiment, Path(folder), 10).to(device).train()
    optimiser = module.configure_optimizers()["optimizer"]
    values = []
    for _ in range(2):
        losses = module.losses(item.to(device), torch.Generator().manual_seed(3))
        optimiser.zero_grad()
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), 1.0)
        optimiser.step()
        values.append({name: float(loss.detach()) for name, loss in losses.items()})
    return values


def dense_baseline() -> dict[str, Any]:
    """The largest difference of a weight after two steps of the dense U-Net."""
    experiment = tiny_experiment(ema_decay=0.5)
    here = train_dense(experiment, ToyScenes(2), 2, widths=(4, 4, 8, 8))
    with StandIn():
        there = train_dense(experiment, ToyScenes(2), 2, widths=(4, 4, 8, 8), device=DEVICE).cpu()
        pairs = zip(here.parameters(), there.parameters(), strict=True)
        return {"difference": max(float((a - b).abs().max().detach()) for a, b in pairs)}


def gpu_script() -> dict[str, Any]:
    """Largest differences that the checks of the GPU script find; they raise where these are too large."""
    sys.path.insert(0, str(TESTS.parent / "scripts"))
    import bench_gpu

    with StandIn():
        return {"operations": bench_gpu.check_operations(NAME), "goldens": bench_gpu.check_goldens(NAME)}


def main() -> None:
    known = predictor.usable_device
    predictor.usable_device = lambda name: DEVICE if name == NAME else known(name)
    masks = PaSCoConfig(**{**asdict(SMALL), "n_subnets": 2, "heavy": True, "point_channels": SMALL.point_channels})
    cases = {
        "mixing": mixing,
        "shipped network": inference,
        "agreement of subnets": lambda: inference(uncertainty="agreement"),
        "masks, heavy decoder": lambda: inference(checkpoint=untrained_network(masks)),
        "point features": with_point_features,
        "training": training,
        "training without keeping the truth": lambda: training(targets={"keep_truth": False}),
        "dense baseline": dense_baseline,
        "GPU script": gpu_script,
    }
    print(json.dumps({name: cases[name]() for name in sys.argv[1:]}))


if __name__ == "__main__":
    main()
