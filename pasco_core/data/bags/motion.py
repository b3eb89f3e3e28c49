"""How the LiDAR of a sequence moves: its poses with their times, the velocities between them, and shares of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MARGIN = 150_000_000
"""Nanoseconds before the first and after the last frame from which poses are still taken: there are ten per second."""


@dataclass(frozen=True)
class Motion:
    """Poses of the LiDAR in a fixed frame, in the order of time.

    Args:
        stamps: (M,) int64 nanoseconds, never falling.
        poses: (M, 4, 4) float64.
    """

    stamps: np.ndarray
    poses: np.ndarray

    def velocities(self) -> tuple[np.ndarray, np.ndarray]:
        """Metres (M, 3) and radians (M, 3) per second in the LiDAR's own frame, between the poses before and after.

        0 where no time passes between these.
        """
        from scipy.spatial.transform import Rotation

        count = len(self.stamps)
        before, after = np.maximum(np.arange(count) - 1, 0), np.minimum(np.arange(count) + 1, count - 1)
        seconds = (self.stamps[after] - self.stamps[before])[:, None] / 1e9
        rate = np.divide(1.0, seconds, out=np.zeros_like(seconds), where=seconds > 0)
        way = self.poses[after, :3, 3] - self.poses[before, :3, 3]
        turns = np.swapaxes(self.poses[:, :3, :3], 1, 2)
        turned = Rotation.from_matrix(turns[before] @ self.poses[after, :3, :3]).as_rotvec()
        return np.einsum("nij,nj->ni", turns, way) * rate, turned * rate

    def rows(self, after: int, until: int) -> range:
        """Rows with ``after`` < stamp <= ``until``."""
        first, last = np.searchsorted(self.stamps, (after, until), "right").tolist()
        return range(first, last)


def relative(poses: np.ndarray) -> np.ndarray:
    """Poses (M, 4, 4) in the frame of the first of them."""
    return np.linalg.inv(poses[0]) @ poses
