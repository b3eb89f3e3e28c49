"""Labelled points of many scans in one frame's grid, and the majority label of each voxel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pasco_core.data.datasets.semantic_kitti_ids import CLASS_OF_RAW, MOVING_RAW_IDS, RAW_OF_CLASS
from pasco_core.errors import DataError
from pasco_core.geometry import VoxelGrid

Moving = Literal["own", "all", "none"]
_N_IDS = 2**16
_UNLABELLED = 0


@dataclass(frozen=True)
class PosedScan:
    """One labelled scan and where it was taken.

    Args:
        index: number of the scan in its drive.
        points: (N, 3) float, metres, in the LiDAR's own frame.
        raw: (N,) uint16, SemanticKITTI's raw ids, which tell moving from parked; 0 = unlabelled.
        pose: (4, 4) float64, LiDAR frame → a frame that all scans of the drive share.
    """

    index: int
    points: np.ndarray
    raw: np.ndarray
    pose: np.ndarray

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 3 or self.raw.shape != self.points.shape[:1]:
            got = f"shapes {self.points.shape} and {self.raw.shape}"
            raise DataError(f"Expected points and labels of scan {self.index} to be (N, 3) and (N,), got {got}")

    def seen_in(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3) and the sensor's position (3,), float64, in the LiDAR frame that has the pose ``frame``."""
        if np.array_equal(frame, self.pose):  # exactly, for the points on the voxels' borders
            return self.points.astype(np.float64), np.zeros(3)
        to_frame = np.linalg.inv(frame) @ self.pose
        return self.points @ to_frame[:3, :3].T + to_frame[:3, 3], to_frame[:3, 3]

    def outside_the_car(self, min_range: float) -> np.ndarray:
        """Mask (N,) of the points at least ``min_range`` metres from the sensor, seen from above: not the own car."""
        return np.hypot(self.points[:, 0], self.points[:, 1]) >= min_range


def voting(scan: PosedScan, own: bool, moving: Moving, min_range: float) -> np.ndarray:
    """Mask (N,) of the points that count for the labels.

    Unlabelled points and the own car never do. What moved while it was scanned (raw ids 252 to 259) leaves a tube along
    its path when all scans are put together, as in SemanticKITTI's published labels (``moving="all"``). With "own" only
    the frame's own scan shows it, where it was at that moment, seen from one side; with "none" it is left out.

    Args:
        scan: the points.
        own: whether it is the scan of the frame that is labelled.
        moving: "own", "all" or "none".
        min_range: radius around the sensor, in metres, within which points belong to the own car.
    """
    keep = (scan.raw != _UNLABELLED) & scan.outside_the_car(min_range)
    if moving == "none" or (moving == "own" and not own):
        keep &= ~_IS_MOVING[scan.raw]
    return keep


@dataclass
class Votes:
    """Counts the labels of the points in each voxel; where they come from and in what order changes nothing.

    Args:
        grid: the voxels.
    """

    grid: VoxelGrid
    _ballots: list[np.ndarray] = field(default_factory=list)
    _counts: list[np.ndarray] = field(default_factory=list)

    def add(self, points: np.ndarray, raw: np.ndarray) -> None:
        """One vote of each point (N, 3) in metres for its raw id (N,); points outside the grid have none.

        Moving and parked things of a class vote together.
        """
        inside = self.grid.contains(points)
        voxels = np.ravel_multi_index(tuple(self.grid.voxel_of(points[inside]).T), self.grid.shape)
        ballots, counts = np.unique(voxels * _N_IDS + _PARKED[raw[inside]], return_counts=True)
        self._ballots.append(ballots)
        self._counts.append(counts)

    def winners(self) -> np.ndarray:
        """(X, Y, Z) uint16: the raw id with the most votes, of equals the smallest; 0 where nobody voted."""
        result = np.zeros(self.grid.n_voxels, np.uint16)
        if self._ballots:
            ballots, voter = np.unique(np.concatenate(self._ballots), return_inverse=True)
            counts = np.bincount(voter.ravel(), np.concatenate(self._counts), minlength=len(ballots))
            voxels, raw = np.divmod(ballots, _N_IDS)
            best_last = np.lexsort((-raw, counts, voxels))
            last = np.append(np.diff(voxels[best_last]) > 0, True) if len(voxels) else np.zeros(0, bool)
            result[voxels[best_last[last]]] = raw[best_last[last]]
        return result.reshape(self.grid.shape)


def _parked_ids() -> np.ndarray:
    """(65536,) int64: the id of the parked kind for an id of the moving kind, every other id itself."""
    ids = np.arange(_N_IDS)
    moving = sorted(MOVING_RAW_IDS)
    ids[moving] = RAW_OF_CLASS[CLASS_OF_RAW[moving]]
    return ids


_PARKED = _parked_ids()
_IS_MOVING = np.zeros(_N_IDS, bool)
_IS_MOVING[sorted(MOVING_RAW_IDS)] = True
