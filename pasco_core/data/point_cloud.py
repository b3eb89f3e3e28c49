"""The one point-cloud type between the readers (files, messages) and the networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PointCloud:
    """Finite LiDAR points in the sensor frame (REP-103).

    Args:
        points: (N, 4) float32, x y z in metres and intensity in the sensor's own scale (KITTI: 0 to 1).
        removed: how many points of the source were not finite and left out.
        notes: what the reader had to guess or change, one sentence each.
    """

    points: np.ndarray
    removed: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.points)
