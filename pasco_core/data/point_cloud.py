"""The one point-cloud type between the readers (files, messages) and the networks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class PointCloud:
    """Finite LiDAR points in the sensor frame (REP-103).

    Args:
        points: (N, 4) float32, x y z in metres and intensity in the sensor's own scale (KITTI: 0 to 1).
        removed: how many points of the source were not finite and left out.
        notes: what the reader had to guess or change, one sentence each.
        times: (N,) float64, seconds after the cloud's stamp at which each point was measured; None where not known.
        rings: (N,) number of the beam of each point; None where the source does not say.
    """

    points: np.ndarray
    removed: int = 0
    notes: tuple[str, ...] = ()
    times: np.ndarray | None = None
    rings: np.ndarray | None = None

    def taking(self, chosen: np.ndarray) -> PointCloud:
        """The points of a mask (N,) or of indices, with everything that is known of them; ``removed`` stays."""
        times, rings = (None if column is None else column[chosen] for column in (self.times, self.rings))
        return replace(self, points=self.points[chosen], times=times, rings=rings)

    def __len__(self) -> int:
        return len(self.points)
