"""``pasco bench``: what one scan costs on this machine, stage by stage."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pasco_core.cli.text import as_json, table
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from pasco_core.benchmark.convolution import ConvolutionTimes
    from pasco_core.benchmark.metrics import MetricTimes
    from pasco_core.benchmark.network import NetworkTimes
    from pasco_core.benchmark.replay import ReplayTimes
    from pasco_core.systems.pasco import PaSCoConfig

_NETWORKS = ("small", "full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks, on what."""
    add = parser.add_argument
    add("--scan", type=Path, metavar="SCAN", help="scan to measure on (default: the simulated street)")
    add(
        "--network",
        choices=_NETWORKS,
        action="append",
        help="small (f = 16) or full (f = 64); may be repeated (default: both)",
    )
    add("--subnets", type=int, default=1, help="subnets of the full network, 1 to 4 (default: 1)")
    add("--device", default="cpu", help="cpu, cuda or cuda:1 (default: cpu)")
    add("--repeats", type=int, default=3, help="runs the median is taken of (default: 3)")
    add("--no-convolution", action="store_true", help="leave out the table of the sparse convolution")
    add("--no-metrics", action="store_true", help="leave out the metrics beside torchmetrics")
    add("--no-replay", action="store_true", help="leave out what `pasco replay` adds to inference")
    add("--json", action="store_true", help="print the figures as JSON")
    parser.epilog = (
        "examples:\n"
        "  pasco bench\n"
        "  pasco bench --scan 000000.bin --network full --subnets 3\n"
        "  pasco bench --device cuda --json"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and report."""
    import time

    from pasco_core.benchmark.convolution import measure_convolution
    from pasco_core.benchmark.machine import product_seconds
    from pasco_core.benchmark.metrics import measure_metrics
    from pasco_core.benchmark.network import measure_network
    from pasco_core.device import usable_device

    if args.repeats < 1:
        raise ConfigError(f"Expected --repeats to be positive, got {args.repeats}")
    configs = {name: _config(name, args.subnets) for name in args.network or _NETWORKS}
    if args.subnets != 1 and "full" not in configs:
        raise ConfigError(f"Expected --subnets {args.subnets} to come with --network full, got the small one only")
    clock = time.perf_counter
    device = str(usable_device(args.device))
    points, source = _points(args.scan)
    product = product_seconds(clock, device)
    if not args.json:
        print(_machine(device, product, source), flush=True)
    convolutions = (
        []
        if args.no_convolution
        else [
            measure_convolution(*case, clock, device, args.repeats)
            for case in (("surface", 126_000, 32), ("children", 360_000, 64))
        ]
    )
    if convolutions and not args.json:
        print(_convolution_table(convolutions), flush=True)
    metrics = None if args.no_metrics else measure_metrics(clock, args.repeats)
    if metrics and not args.json:
        print(_metrics_table(metrics), flush=True)
    replayed = None if args.no_replay else _replay_times(points, device, args.repeats)
    if replayed and not args.json:
        print(_replay_table(replayed), flush=True)
    networks = {}
    for name, config in configs.items():
        networks[name] = measure_network(config, points, clock, device, args.repeats)
        if not args.json:
            print(_network_table(name, networks[name]), flush=True)
    if args.json:
        print(as_json(_figures(product, source, device, convolutions, metrics, replayed, networks)))
    return 0


def _points(scan: Path | None):
    if scan is None:
        from pasco_core.data.simulation import street_scan

        return street_scan(frame=0), "the simulated street"
    from pasco_core.data.scan_files import read_scan

    return read_scan(scan).points, str(scan)


def _config(name: str, n_subnets: int) -> PaSCoConfig:
    from pasco_core.systems.pasco import PaSCoConfig
    from pasco_core.systems.pasco.untrained import SMALL

    return SMALL if name == "small" else PaSCoConfig(n_subnets=n_subnets, n_classes=20, in_channels=8, width=64)


def _machine(device: str, product: float, source: str) -> str:
    import torch

    where = torch.cuda.get_device_name(device) if device != "cpu" else f"CPU, {torch.get_num_threads()} threads"
    return (
        f"{where}; torch {torch.__version__}; one 2048³ float32 product takes {1e3 * product:.1f} ms\n"
        f"scan: {source}; weights: untrained, the load is a real scene's"
    )


def _convolution_table(convolutions: list[ConvolutionTimes]) -> str:
    methods = list(convolutions[0].seconds)
    rows = [
        [
            f"{c.name} {c.n_voxels:,}, {c.channels}→{c.channels}",
            *(f"{1e3 * c.seconds[m]:.0f} ms" for m in methods),
            f"×{c.seconds['per offset'] / c.seconds['ours']:.1f}",
        ]
        for c in convolutions
    ]
    header = ["submanifold 3³", *methods, "ours against per offset"]
    return "\n" + table(header, rows)


def _metrics_table(metrics: MetricTimes) -> str:
    """The last line is torchmetrics' where it is installed, with how many times as long it takes."""
    rows = [[name, f"{1e3 * seconds:.0f} ms", ""] for name, seconds in metrics.seconds.items()]
    if metrics.ratio is not None:
        rows[-1][-1] = f"×{metrics.ratio:.0f}"
    grid = "×".join(map(str, metrics.shape))
    return "\n" + table([f"metrics of one {grid} grid", "median", "against ours"], rows)


def _replay_times(points: np.ndarray, device: str, repeats: int) -> ReplayTimes | None:
    """None where the packages for bags are not installed. On the CPU the process's own time is measured."""
    import time

    from pasco_core.benchmark.replay import measure_replay
    from pasco_core.data.bags.storage import require_packages

    try:
        require_packages()
    except ConfigError:
        return None
    return measure_replay(points, time.process_time if device == "cpu" else time.perf_counter, device, repeats)


def _replay_table(times: ReplayTimes) -> str:
    rows = [
        ["inference alone", f"{1e3 * times.inference:.0f} ms", ""],
        ["replay", f"{1e3 * times.replay:.0f} ms", f"{100 * times.overhead:+.1f} %"],
        ["reading and decoding", f"{1e3 * times.reading:.1f} ms", f"{times.clouds_per_second:.0f} clouds/s"],
    ]
    return "\n" + table([f"shipped network, clouds of {times.n_points:,} points", "median", ""], rows)


def _network_table(name: str, times: NetworkTimes) -> str:
    from pasco_core.benchmark.network import NETWORK_STAGES, ORIGINAL_ENSEMBLE, ORIGINAL_NETWORK, USEFUL_WORK

    config = times.config
    # The sum of the network's stages stands before them.
    others = [stage for stage in times.seconds if stage not in (*NETWORK_STAGES, "network")]
    order = [others[0], "network", *NETWORK_STAGES, *others[1:]]
    rows = [
        [
            f"  {s}" if s in NETWORK_STAGES else s,
            f"{1e3 * times.seconds[s]:.0f} ms",
            f"{times.seconds[s] / times.product:.1f}",
        ]
        for s in order
    ]
    kept = ", ".join(f"{n:,} at stride {stride}" for stride, n in times.voxels.items())
    memory = "unknown" if times.peak_bytes is None else f"{times.peak_bytes / 2**20:.0f} MiB"
    lines = [
        f"\n{name} network: width {config.width}, {config.n_subnets} subnet(s); peak memory {memory}",
        f"  voxels kept: {kept}",
        table(["stage", "median", "products of 2048³"], rows),
    ]
    if config.width == 64:
        lines.append(
            f"  the original at this width on 2 CPU cores: network {ORIGINAL_NETWORK[0]}-{ORIGINAL_NETWORK[1]} "
            f"products (useful work {USEFUL_WORK}), ensembling {ORIGINAL_ENSEMBLE[0]}-{ORIGINAL_ENSEMBLE[1]}"
        )
    return "\n".join(lines)


def _figures(
    product: float,
    source: str,
    device: str,
    convolutions: list[ConvolutionTimes],
    metrics: MetricTimes | None,
    replayed: ReplayTimes | None,
    networks: dict[str, NetworkTimes],
) -> dict[str, Any]:
    return {
        "device": device,
        "scan": source,
        "product_seconds": product,
        "convolutions": [
            {
                "voxels": c.n_voxels,
                "channels": c.channels,
                "name": c.name,
                "seconds": c.seconds,
                "largest_difference": c.difference,
            }
            for c in convolutions
        ],
        "metrics": metrics and asdict(metrics),
        "replay": replayed and {
            **asdict(replayed), "overhead": replayed.overhead, "clouds_per_second": replayed.clouds_per_second,
        },
        "networks": {
            name: {
                "config": t.config.to_dict(),
                "seconds": t.seconds,
                "peak_bytes": t.peak_bytes,
                "product_seconds": t.product,
                "products": {stage: s / t.product for stage, s in t.seconds.items()},
                "voxels": {str(stride): n for stride, n in t.voxels.items()},
            }
            for name, t in networks.items()
        },
    }
