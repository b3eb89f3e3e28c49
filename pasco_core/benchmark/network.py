"""Stage times, memory and voxel counts of a network with untrained weights on one scan."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np

from pasco_core.benchmark.machine import Clock, forget_peak_memory, peak_memory, product_seconds
from pasco_core.systems.pasco import PaSCoConfig, Predictor
from pasco_core.systems.pasco.config import STRIDES

NETWORK_STAGES = ("point encoder", "encoder", "bottleneck", "decoder", "mask transformer")
# Products of 2048³ on two CPU cores, measured on the original at full width; and the useful work of its layers.
ORIGINAL_NETWORK, ORIGINAL_ENSEMBLE, USEFUL_WORK = (270, 327), (55, 81), 126


@dataclass(frozen=True)
class NetworkTimes:
    """One network on one scan.

    Args:
        config: variant of the network.
        seconds: median seconds per stage; "network" sums the U-Net and transformer, "total" is everything.
        product: seconds of a 2048³ float32 product, measured before and after.
        peak_bytes: most memory held during inference, None if unknown.
        voxels: voxels kept at each stride.
    """

    config: PaSCoConfig
    seconds: dict[str, float]
    product: float
    peak_bytes: int | None
    voxels: dict[int, int]


def measure_network(
    config: PaSCoConfig, points: np.ndarray, clock: Clock, device: str = "cpu", repeats: int = 3
) -> NetworkTimes:
    """Times the predictor; one run before does not count."""
    predictor = Predictor.untrained(config, device=device, clock=clock)
    voxels: dict[int, int] = {}
    hook = predictor.network.register_forward_hook(
        lambda _, inputs, output: voxels.update({s: output.semantic_logits[s][0].n_voxels for s in STRIDES})
    )
    predictor(points)
    hook.remove()
    forget_peak_memory(device)
    before = product_seconds(clock, device)
    runs = [predictor(points).timings for _ in range(repeats)]
    peak = peak_memory(device)
    product = (before + product_seconds(clock, device)) / 2
    seconds = {stage: statistics.median(run[stage] for run in runs) for stage in runs[0] if stage != "total"}
    seconds["network"] = statistics.median(sum(run[stage] for stage in NETWORK_STAGES) for run in runs)
    seconds["total"] = statistics.median(run["total"] for run in runs)
    return NetworkTimes(config, seconds, product, peak, voxels)
