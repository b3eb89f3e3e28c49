"""Everything to do on a CUDA machine, in one run of under eight minutes: equality with the CPU first, then times.

    python scripts/bench_gpu.py [--device cuda] [--out figures.json] [--seconds 450]

Needs torch, NumPy, SciPy and safetensors, nothing built and no network. Exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / "test" / part) for part in ("pasco", "sparse", "training"))]

from pasco_core.benchmark.convolution import measure_convolution  # noqa: E402
from pasco_core.benchmark.machine import product_seconds  # noqa: E402
from pasco_core.benchmark.network import measure_network  # noqa: E402
from pasco_core.data.simulation import street_scan  # noqa: E402
from pasco_core.sparse import ops  # noqa: E402
from pasco_core.systems.pasco import PaSCoConfig, Predictor, load_network  # noqa: E402
from pasco_core.systems.pasco.untrained import SMALL, untrained_network  # noqa: E402

FULL = PaSCoConfig(n_subnets=1, n_classes=20, in_channels=8, width=64)


def check_operations(device: str) -> dict[str, float]:
    """Largest difference from the CPU of each sparse convolution, forward and backward (float64)."""
    from dense_reference import random_tensor, sorted_rows

    worst = {}
    cases = (("submanifold_conv", 27, 1), ("strided_conv", 8, 1), ("generative_transposed_conv", 8, 2))
    for name, n_offsets, stride in cases:
        for share in (0.05, 0.9):
            x = random_tensor(share=share, stride=stride)
            weights = torch.randn(n_offsets, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
            results = []
            for where in ("cpu", device):
                feats, kernel = (t.detach().to(where).requires_grad_() for t in (x.feats, weights))
                moved = type(x)(x.coords.to(where), feats, stride)
                coords, out = sorted_rows(getattr(ops, name)(moved, kernel))
                (out * torch.arange(7.0, device=where)).sum().backward()
                results.append([t.detach().cpu() for t in (coords.double(), out, feats.grad, kernel.grad)])
            worst[f"{name} {share}"] = max(float((a - b).abs().max()) for a, b in zip(*results))
    _require(max(worst.values()) < 1e-9, f"sparse operations differ: {worst}")
    return worst


def check_goldens(device: str) -> dict[str, float]:
    """Largest difference from the golden logits with the network on the device."""
    from golden_weights import CASES, FOLDER, golden_state_dict, raster_order

    worst: dict[str, float] = {}
    for name, config in CASES.items():
        data, network = np.load(FOLDER / f"net_{name}.npz"), load_network(golden_state_dict(config)).to(device)
        n = config.n_subnets
        coords = [torch.from_numpy(np.ascontiguousarray(data[f"in_coords_{i}"])).to(device) for i in range(n)]
        boxes = (torch.from_numpy(data[key]).to(device) for key in ("min_C", "max_C"))
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            output = network([torch.from_numpy(data["point_feats"]).to(device)] * n, coords, *boxes)
        for i in range(n):
            x, golden = output.semantic_logits[1][i], data["sem_coords_s1"]
            mine = x.coords[:, 1:].cpu().numpy()
            order, golden_order = raster_order(mine), raster_order(golden)
            _require(np.array_equal(mine[order], golden[golden_order]), f"{name}: another set of voxels")
            logits = x.feats.cpu().numpy()[order] - data[f"sem_logits_s1_{i}"][golden_order]
            queries = output.query_logits[i].cpu().numpy() - data[f"query_logits_{i}"]
            worst[name] = max(worst.get(name, 0.0), float(np.abs(logits).max()), float(np.abs(queries).max()))
    _require(max(worst.values()) < 1e-3, f"golden logits differ: {worst}")
    return worst


def check_scenes(device: str) -> dict[str, dict[str, float]]:
    """Share of equal voxels and largest difference of uncertainty between CPU and device, on the simulated street."""
    points, figures = street_scan(frame=0), {}
    for name, config in (("small", SMALL), ("three subnets", PaSCoConfig(3, 20, 8, 16)), ("full", FULL)):
        state = untrained_network(config).state_dict()
        scenes = []
        for where in ("cpu", device):
            network = load_network(state, pad_leak=False, n_heads=config.n_heads)
            scenes.append(Predictor(network, device=where)(points))
        cpu, gpu = scenes
        figures[name] = {
            "equal semantics": float((cpu.semantics == gpu.semantics).mean()),
            "equal panoptic": float((cpu.panoptic == gpu.panoptic).mean()),
            "largest difference of uncertainty": float(np.abs(cpu.voxel_uncertainty - gpu.voxel_uncertainty).max()),
        }
        _require(figures[name]["equal semantics"] > 0.9999, f"{name}: scenes differ: {figures[name]}")
    return figures


def check_repeatability(device: str) -> dict[str, bool]:
    """Whether the device gives the same bits twice."""
    predictor, points = Predictor.untrained(device=device), street_scan(frame=1)
    a, b = predictor(points), predictor(points)
    same = {
        name: bool(np.array_equal(getattr(a, name), getattr(b, name))) for name in ("semantics", "voxel_uncertainty")
    }
    _require(same["semantics"], f"two runs differ: {same}")
    return same


def time_convolutions(device: str) -> list[dict]:
    """The convolution table of `pasco bench`."""
    cases = (("surface", 126_000, 32), ("children", 360_000, 64), ("children", 360_000, 128))
    return [vars(measure_convolution(*case, time.perf_counter, device, repeats=5)) for case in cases]


def time_networks(device: str) -> dict[str, dict]:
    """Stage times of the small and the full-width networks."""
    points, figures = street_scan(frame=0), {}
    for name, config in (("small", SMALL), ("full", FULL), ("full, three subnets", PaSCoConfig(3, 20, 8, 64))):
        times = measure_network(config, points, time.perf_counter, device, repeats=5)
        figures[name] = {
            "seconds": times.seconds, "product": times.product, "peak_bytes": times.peak_bytes, "voxels": times.voxels,
        }  # fmt: skip
    return figures


def time_shipped_network(device: str) -> dict[str, float]:
    """Scans per second with the network that comes with the package, from points to scene, and its largest memory."""
    predictor, scans = Predictor(device=device), [street_scan(frame=i) for i in range(4)]
    for points in scans:  # the first calls choose algorithms and grow the memory pool
        predictor(points)
    begin, rounds = time.perf_counter(), 5
    for points in scans * rounds:
        predictor(points)
    rate = len(scans) * rounds / (time.perf_counter() - begin)
    peak = torch.cuda.max_memory_allocated(device) if torch.device(device).type == "cuda" else 0
    return {"scans per second": rate, "largest memory in MB": peak / 1e6}


def check_training(device: str) -> dict[str, object]:
    """Losses of a few steps on the device against the CPU's, and how far half precision is from them."""
    try:
        from toy_scenes import ToyScenes, tiny_experiment

        from training.data_module import SceneData
        from training.module import PaSCoTraining
    except ModuleNotFoundError as missing:
        return {"not run": str(missing)}

    def losses(where: str, precision: str) -> list[float]:
        experiment = tiny_experiment(precision=precision)
        item = SceneData(experiment, ToyScenes(2)).training_items()[(0, 0)].to(where)
        module = PaSCoTraining(experiment, Path("out"), 10).to(where).train()
        optimiser = module.configure_optimizers()["optimizer"]
        values = []
        for _ in range(2):  # more, and equal sums in another order lead to other matchings
            total = module.losses(item, torch.Generator(where).manual_seed(3))["total"]
            optimiser.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(module.network.parameters(), 1.0)
            optimiser.step()
            values.append(float(total.detach()))
        return values

    runs = {"cpu": losses("cpu", "32"), "32": losses(device, "32"), "bf16": losses(device, "bf16")}
    far = {name: max(abs(a / b - 1) for a, b in zip(values, runs["cpu"])) for name, values in runs.items()}
    _require(far["32"] < 1e-3 and (far["bf16"] < 0.05 or device == "cpu"), f"losses differ: {runs}")
    return {"losses": runs, "largest relative difference": far}


CHECKS: dict[str, Callable[[str], object]] = {
    "operations equal the CPU's": check_operations,
    "goldens": check_goldens,
    "scenes equal the CPU's": check_scenes,
    "same bits twice": check_repeatability,
    "training equals the CPU's": check_training,
    "shipped network": time_shipped_network,
    "convolution times": time_convolutions,
    "network times": time_networks,
}


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("out/bench_gpu.json"))
    parser.add_argument("--seconds", type=float, default=450.0, help="no further part starts after this many")
    args = parser.parse_args()
    if args.device != "cpu" and not torch.cuda.is_available():
        print(f"bench-gpu: Expected a CUDA device and a torch built for it, got none ({args.device})", file=sys.stderr)
        return 1
    name = torch.cuda.get_device_name(args.device) if args.device != "cpu" else "CPU"
    figures: dict[str, object] = {"device": name, "torch": torch.__version__}
    figures["product_seconds"] = product_seconds(time.perf_counter, args.device)
    start, failed = time.perf_counter(), []
    for title, part in CHECKS.items():
        begin = time.perf_counter()
        if begin - start > args.seconds:
            failed.append(f"{title}: not started after {args.seconds:.0f} s")
            continue
        try:
            figures[title] = part(args.device)
            print(f"{title}: done in {time.perf_counter() - begin:.1f} s\n  {figures[title]}", flush=True)
        except Exception as error:
            # One part that fails must not cost the others: machine time is scarce.
            traceback.print_exc()
            failed.append(f"{title}: {error}")
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps({**figures, "failed": failed}, indent=2), encoding="utf-8")
    print("\n".join(failed) if failed else f"all equal; figures in {args.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
