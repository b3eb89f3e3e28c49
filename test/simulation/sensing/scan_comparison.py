"""Simulated scans beside real ones in numbers: how far apart they are, and by what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID

RANGE_EDGES = np.arange(0.0, 82.0, 2.0)  # metres
HEIGHT_EDGES = np.arange(-4.0, 4.01, 0.2)  # metres above the sensor
INTENSITY_EDGES = np.linspace(0.0, 1.0, 41)
BEAMS = 64
_CLASSES = SEMANTIC_KITTI.class_names
_FEW = 500  # points of a class below which its intensities are not compared


@dataclass
class ScanStatistics:
    """Sums over scans; everything that is compared is a ratio of them.

    Args:
        scans: number of scans.
        points, inside: points, and those in the KITTI grid.
        voxels: voxels with a point.
        ranges, heights: histograms.
        beams: points per beam, of the scans in which all beams are found.
        whole_scans: how many those are.
        intensities: (256, bins) per class; row 255 = points without a class.
        truth_scans: number of frames with voxel truth.
        occupied: (classes,) voxels per class among the known ones.
        unknown: share of voxels that are unknown, summed over frames.
    """

    scans: int = 0
    points: int = 0
    inside: int = 0
    voxels: int = 0
    ranges: np.ndarray = field(default_factory=lambda: np.zeros(len(RANGE_EDGES) - 1))
    heights: np.ndarray = field(default_factory=lambda: np.zeros(len(HEIGHT_EDGES) - 1))
    beams: np.ndarray = field(default_factory=lambda: np.zeros(BEAMS))
    whole_scans: int = 0
    intensities: np.ndarray = field(default_factory=lambda: np.zeros((256, len(INTENSITY_EDGES) - 1)))
    truth_scans: int = 0
    occupied: np.ndarray = field(default_factory=lambda: np.zeros(len(_CLASSES)))
    unknown: float = 0.0

    def add_scan(self, points: np.ndarray, classes: np.ndarray) -> None:
        """One scan.

        Args:
            points: (N, 4) float32, beam by beam from the top, counter-clockwise from forward within a beam.
            classes: (N,) uint8, class of ``SEMANTIC_KITTI``, 255 = none.
        """
        if points.ndim != 2 or points.shape[1] != 4 or classes.shape != (len(points),):
            raise DataError(f"Expected points (N, 4) and N classes, got {points.shape} and {classes.shape}")
        inside = points[KITTI_GRID.contains(points[:, :3]), :3]
        self.scans += 1
        self.points += len(points)
        self.inside += len(inside)
        flat = np.ravel_multi_index(tuple(KITTI_GRID.voxel_of(inside).T), KITTI_GRID.shape)
        self.voxels += len(np.unique(flat))
        self.ranges += np.histogram(np.linalg.norm(points[:, :3], axis=1), RANGE_EDGES)[0]
        self.heights += np.histogram(points[:, 2], HEIGHT_EDGES)[0]
        bins = len(INTENSITY_EDGES) - 1
        level = np.clip((points[:, 3] * bins).astype(np.int64), 0, bins - 1)
        self.intensities += np.bincount(classes * np.int64(bins) + level, minlength=256 * bins).reshape(256, bins)
        per_beam = points_per_beam(points)
        if len(per_beam) == BEAMS:
            self.beams += per_beam
            self.whole_scans += 1

    def add_truth(self, semantics: np.ndarray) -> None:
        """The voxels of a frame, (X, Y, Z) uint8 with 255 = unknown."""
        counts = np.bincount(semantics.reshape(-1), minlength=256)
        self.truth_scans += 1
        self.occupied += counts[: len(_CLASSES)]
        self.unknown += float(counts[UNKNOWN] / semantics.size)

    def add_unknown(self, share: float) -> None:
        """The unknown share of a frame of which no more is known."""
        self.truth_scans += 1
        self.unknown += share

    def values(self) -> dict[str, Any]:
        """Plain numbers, for a report.

        Raises:
            DataError: no scan was added.
        """
        if not self.scans:
            raise DataError("Expected at least one scan to make statistics of, got none")
        per_class = self.intensities.sum(axis=1)
        middle = (INTENSITY_EDGES[1:] + INTENSITY_EDGES[:-1]) / 2
        means = self.intensities @ middle / np.maximum(per_class, 1)
        taken = self.occupied[1:]
        return {
            "scans": self.scans,
            "points": self.points / self.scans,
            "points in the grid": self.inside / self.scans,
            "voxels with points": self.voxels / self.scans,
            "points per beam": (self.beams / max(self.whole_scans, 1)).round(1).tolist(),
            "range": _shares(self.ranges),
            "height": _shares(self.heights),
            "intensity": _shares(self.intensities.sum(axis=0)),
            "share of points": {_CLASSES[c]: float(per_class[c] / self.points) for c in range(1, len(_CLASSES))},
            "mean intensity": {_CLASSES[c]: float(means[c]) for c in range(1, len(_CLASSES)) if per_class[c] >= _FEW},
            "unknown share": self.unknown / self.truth_scans if self.truth_scans else None,
            "share of occupied voxels": dict(zip(_CLASSES[1:], (taken / taken.sum()).tolist(), strict=True))
            if taken.sum() else None,
        }


def points_per_beam(points: np.ndarray) -> np.ndarray:
    """(beams,) of a scan (N, 4): a new beam starts where the azimuth falls back to forward."""
    azimuth = np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)
    starts = np.flatnonzero((azimuth[1:] < 1.2) & (azimuth[:-1] > 5.0)) + 1
    return np.diff([0, *starts, len(points)])


def earth_mover(first: Iterable[float], second: Iterable[float], width: float) -> float:
    """How far the mass of one histogram is moved on average to make the other, in the unit of ``width``.

    Args:
        first, second: histograms over the same bins, of any mass.
        width: of a bin.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return float(np.abs(np.cumsum(a / a.sum() - b / b.sum())).sum() * width)


def distances(simulated: ScanStatistics, real: ScanStatistics) -> dict[str, Any]:
    """How far simulated scans are from real ones; 0 everywhere for the same scans.

    Raises:
        DataError: one of them is empty.
    """
    ours, theirs = simulated.values(), real.values()
    ratios = {key: ours[key] / theirs[key] - 1 for key in ("points", "points in the grid", "voxels with points")}
    beams = np.abs(np.subtract(ours["points per beam"], theirs["points per beam"])) / max(theirs["points per beam"])
    both = sorted(set(ours["mean intensity"]) & set(theirs["mean intensity"]))
    rows = {name: _CLASSES.index(name) for name in both}
    return {
        **{f"{key}, relative": value for key, value in ratios.items()},
        "points per beam, mean share of a full beam": float(beams.mean()),
        "range, metres moved": earth_mover(simulated.ranges, real.ranges, 2.0),
        "height, metres moved": earth_mover(simulated.heights, real.heights, 0.2),
        "intensity moved": earth_mover(simulated.intensities.sum(axis=0), real.intensities.sum(axis=0), 1 / 40),
        "intensity moved, by class": {
            name: earth_mover(simulated.intensities[row], real.intensities[row], 1 / 40) for name, row in rows.items()
        },
        "share of points, summed differences / 2": 0.5 * sum(
            abs(ours["share of points"][name] - theirs["share of points"][name]) for name in _CLASSES[1:]
        ),
        "unknown share, difference": ours["unknown share"] - theirs["unknown share"]
        if None not in (ours["unknown share"], theirs["unknown share"]) else None,
    }


def _shares(histogram: np.ndarray) -> list[float]:
    return (histogram / max(histogram.sum(), 1)).round(6).tolist()
