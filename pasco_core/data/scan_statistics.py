"""How a scan looks in numbers, and how far that is from the scans a network was trained with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.cloud_message import spread_subset
from pasco_core.data.point_cloud import PointCloud
from pasco_core.data.simulation.corruptions.rings import beam_of_points

_SAMPLE = 10_000  # points that decide about everything but the number of beams
_MEDIAN_INTENSITY, _TAILS = 50.0, (1.0, 99.0)


@dataclass(frozen=True)
class ScanStatistics:
    """What tells sensors apart.

    Args:
        n_points: points with a return.
        n_beams: different beams that returned something.
        lowest, highest: elevation of the lowest and the highest percent of the points, degrees.
        reach: distance that one point in a thousand exceeds, metres.
        intensity: median.
        in_grid: share of the points in the network's grid, 0 to 1.
    """

    n_points: int
    n_beams: int
    lowest: float
    highest: float
    reach: float
    intensity: float
    in_grid: float

    def values(self) -> dict[str, str]:
        """The numbers as diagnostics show them."""
        return {
            "points": str(self.n_points), "beams": str(self.n_beams), "lowest beam [deg]": f"{self.lowest:.1f}",
            "highest beam [deg]": f"{self.highest:.1f}", "reach [m]": f"{self.reach:.1f}",
            "median intensity": f"{self.intensity:.2f}", "share in the grid": f"{self.in_grid:.2f}",
        }


TRAINING_SENSORS: dict[str, ScanStatistics] = {
    # Means over ten frames of SemanticKITTI (sequences 00, 04, 05, 06, 08), within a few percent in every one.
    "hdl-64e": ScanStatistics(124_500, 64, -23.4, 2.6, 76.7, 0.30, 0.46),
}
"""Sensors whose scans networks were trained with, in their own frame on level ground."""


def measure_scan(cloud: PointCloud, in_grid: float) -> ScanStatistics:
    """The numbers of one sensor's cloud.

    Args:
        cloud: at least one point, in the sensor's frame; its ``rings``, if it has them, tell the beams.
        in_grid: share of the points in the network's grid.
    """
    n = len(cloud)
    x, y, z, intensity = cloud.points[spread_subset(n, min(n, _SAMPLE))].T
    distance = np.sqrt(x * x + y * y + z * z)
    elevation = np.degrees(np.arctan2(z, np.hypot(x, y)))
    lowest, highest = np.percentile(elevation, _TAILS)
    return ScanStatistics(
        n, _count_beams(cloud), float(lowest), float(highest), float(np.percentile(distance, 99.9)),
        float(np.percentile(intensity, _MEDIAN_INTENSITY)), in_grid,
    )


def differences(scan: ScanStatistics, training: ScanStatistics) -> list[str]:
    """What is far from the training sensor, one clause each, the gravest first; empty where nothing is."""
    found = []
    if not 0.6 <= scan.n_beams / training.n_beams <= 1.7:
        found.append(f"{scan.n_beams} beams instead of {training.n_beams}")
    if not 0.5 <= scan.n_points / training.n_points <= 2.0:
        found.append(f"{scan.n_points} points instead of {training.n_points}")
    if scan.in_grid < 0.4 * training.in_grid:
        found.append(f"{100 * scan.in_grid:.0f} % of the points in the grid instead of {100 * training.in_grid:.0f} %")
    if max(abs(scan.lowest - training.lowest), abs(scan.highest - training.highest)) > 6.0:
        view, own = ((s.lowest, s.highest) for s in (scan, training))
        found.append(f"beams from {view[0]:.0f} to {view[1]:.0f} degrees instead of {own[0]:.0f} to {own[1]:.0f}")
    if scan.reach < 0.5 * training.reach:
        found.append(f"reach {scan.reach:.0f} m instead of {training.reach:.0f} m")
    if not 1 / 3 <= scan.intensity / training.intensity <= 2.0:
        found.append(f"median intensity {scan.intensity:.2f} instead of {training.intensity:.2f}")
    return found


def _count_beams(cloud: PointCloud) -> int:
    if cloud.rings is not None:
        rings = cloud.rings
        small = rings.dtype.kind in "iu" and rings.min() >= 0 and rings.max() < 4096
        return int(np.count_nonzero(np.bincount(rings.astype(np.int64)))) if small else len(np.unique(rings))
    return int(beam_of_points(cloud.points).max()) + 1
