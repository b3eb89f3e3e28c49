"""A regular voxel grid in metres, and the KITTI grid that PaSCo predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VoxelGrid:
    """An axis-aligned grid; arrays over it are indexed ``[x, y, z]``.

    Args:
        origin: minimum corner (x, y, z) in metres, in the sensor frame (REP-103: x forward, y left, z up).
        voxel_size: edge of a cubic voxel in metres.
        shape: number of voxels along x, y, z.

    >>> KITTI_GRID.upper
    (51.2, 25.6, 4.4)
    """

    origin: tuple[float, float, float]
    voxel_size: float
    shape: tuple[int, int, int]

    @property
    def upper(self) -> tuple[float, float, float]:
        """Maximum corner (x, y, z) in metres; not part of the grid itself."""
        x, y, z = (round(o + self.voxel_size * n, 9) for o, n in zip(self.origin, self.shape))
        return x, y, z

    @property
    def n_voxels(self) -> int:
        return int(np.prod(self.shape))

    def contains(self, xyz: np.ndarray) -> np.ndarray:
        """Mask (N,) of the points (N, 3) in metres that lie inside: lower bounds inclusive, upper exclusive."""
        inside = np.ones(len(xyz), bool)
        for i, (low, high) in enumerate(zip(self.origin, self.upper)):
            # One column after the other is many times as fast as rows of three; bounds in float64, as given.
            values = xyz[:, i].astype(np.float64)
            inside &= (values >= low) & (values < high)
        return inside

    def voxel_of(self, xyz: np.ndarray) -> np.ndarray:
        """Voxel index (N, 3) int32 of points (N, 3) in metres, which must lie inside.

        The division is NumPy's float64 floor division, as the networks were trained with: on a voxel's border it can
        differ by one from ``floor(a / b)``. The clip catches a point one rounding error below the upper bound.
        """
        index = (xyz.astype(np.float64) - np.asarray(self.origin, np.float64)) // self.voxel_size
        return np.minimum(index, np.asarray(self.shape) - 1).astype(np.int32)

    def centre_of(self, voxels: np.ndarray) -> np.ndarray:
        """Centres (N, 3) float64 in metres of voxel indices (N, 3)."""
        return np.asarray(voxels) * self.voxel_size + self.voxel_size / 2 + np.asarray(self.origin, np.float64)


KITTI_GRID = VoxelGrid(origin=(0.0, -25.6, -2.0), voxel_size=0.2, shape=(256, 256, 32))
