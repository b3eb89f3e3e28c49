"""A window of voxels that follows the vehicle: where its voxels are kept, and which voxel of a frame lies in each.

The window is a box on the lattice of the fixed frame. A voxel is kept at its lattice index modulo the window's shape,
so that moving the window copies nothing; only what comes in anew must be cleared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pasco_core.geometry import VoxelGrid


@dataclass(frozen=True)
class Overlap:
    """Voxels of the window that lie in a frame's grid.

    Args:
        slots: (M, Z) int64, flat place in the window's arrays.
        sources: (M, Z) int64, flat index in the frame's grid, -1 outside of it.
    """

    slots: np.ndarray
    sources: np.ndarray


class RollingWindow:
    """A box of ``shape`` voxels on a lattice, whose cell (0, 0, 0) begins at the fixed frame's origin.

    Args:
        shape: number of voxels along x, y, z.
        voxel_size: edge of a voxel in metres.
    """

    def __init__(self, shape: tuple[int, int, int], voxel_size: float):
        self.shape, self.voxel_size = shape, voxel_size
        self.lower: np.ndarray | None = None  # (3,) int64 lattice index of the first voxel

    @property
    def grid(self) -> VoxelGrid:
        """Where the window is now, in the fixed frame."""
        lower = np.zeros(3) if self.lower is None else self.lower * self.voxel_size
        return VoxelGrid((float(lower[0]), float(lower[1]), float(lower[2])), self.voxel_size, self.shape)

    def move_to(self, centre: np.ndarray) -> Iterator[tuple[slice | np.ndarray, ...]]:
        """Move the window so that it is centred on a point (3,) of the fixed frame.

        Yields:
            Index of the places, in arrays of the window's shape, of voxels that have come in and must be cleared.
        """
        lower = np.floor(np.asarray(centre, np.float64) / self.voxel_size).astype(np.int64) - np.array(self.shape) // 2
        before, self.lower = self.lower, lower
        if before is None or (np.abs(lower - before) >= self.shape).any():
            yield (slice(None),) * 3
            return
        for axis in range(3):
            shift = int(lower[axis] - before[axis])
            if shift:
                first = before[axis] + self.shape[axis] if shift > 0 else lower[axis]
                places = np.arange(first, first + abs(shift)) % self.shape[axis]
                yield tuple(places if i == axis else slice(None) for i in range(3))

    def overlap(self, grid: VoxelGrid, pose: np.ndarray) -> Overlap:
        """The window's columns that meet a frame's grid, with the frame's voxel nearest to each of their voxels.

        Args:
            grid: the frame's voxels.
            pose: (4, 4) of the frame in the fixed frame.
        """
        lower = self._lower()
        corners = np.array([[(grid.origin, grid.upper)[(i >> a) & 1][a] for a in range(3)] for i in range(8)])
        corners = (corners @ pose[:3, :3].T + pose[:3, 3]) / self.voxel_size
        first = np.maximum(np.floor(corners.min(axis=0)).astype(np.int64), lower)
        last = np.minimum(np.ceil(corners.max(axis=0)).astype(np.int64), lower + self.shape)
        axes = [np.arange(a, b) for a, b in zip(first, last, strict=True)]
        if min(len(axis) for axis in axes) == 0:
            return Overlap(np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64))
        back = np.linalg.inv(pose)
        turn = (back[:3, :3] * (self.voxel_size / grid.voxel_size)).astype(np.float32)
        start = (back[:3, :3] @ (first + 0.5) * self.voxel_size + back[:3, 3] - grid.origin) / grid.voxel_size - 0.5
        i, j = (a.ravel() for a in np.meshgrid(*(np.arange(len(axis)) for axis in axes[:2]), indexing="ij"))
        foot = np.column_stack([i, j]).astype(np.float32) @ turn[:, :2].T + start.astype(np.float32)
        near = _columns_inside(foot, turn[:, 2] * len(axes[2]), grid.shape)
        i, j, foot = i[near], j[near], foot[near]
        sources = _sources(foot, turn[:, 2], len(axes[2]), grid.shape)
        places = [axis % size for axis, size in zip(axes, self.shape, strict=True)]
        columns = (places[0][i] * self.shape[1] + places[1][j]) * self.shape[2]
        return Overlap(columns[:, None] + places[2], sources)

    def slots_of(self, grid: VoxelGrid, pose: np.ndarray) -> np.ndarray:
        """For each voxel of a frame's grid the flat place of the window's voxel that its centre lies in, -1 outside.

        Returns:
            (X·Y·Z,) int64.
        """
        x, y, z = (np.arange(n, dtype=np.float64) for n in grid.shape)
        turn = pose[:3, :3] * (grid.voxel_size / self.voxel_size)
        start = (pose[:3, :3] @ (np.asarray(grid.origin) + grid.voxel_size / 2) + pose[:3, 3]) / self.voxel_size
        start = start - self._lower()
        result = np.zeros(grid.shape, np.int64)
        inside = np.ones(grid.shape, bool)
        for axis, size in enumerate(self.shape):
            line = (turn[axis, 0] * x + start[axis])[:, None, None] + (turn[axis, 1] * y)[:, None]
            index = np.floor(line.astype(np.float32) + (turn[axis, 2] * z).astype(np.float32)).astype(np.int32)
            inside &= (index >= 0) & (index < size)
            result = result * size + (index + int(self._lower()[axis] % size)) % size
        result[~inside] = -1
        return result.reshape(-1)

    def in_order(self, array: np.ndarray) -> np.ndarray:
        """An array of the window's shape as it lies in space, the voxel at ``lower`` first."""
        return np.roll(array, [-int(n % size) for n, size in zip(self._lower(), self.shape, strict=True)], (0, 1, 2))

    def _lower(self) -> np.ndarray:
        return np.zeros(3, np.int64) if self.lower is None else self.lower


def _columns_inside(foot: np.ndarray, height: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Mask (M,) of the columns that may meet a grid; each is a line from its foot (3,) by ``height`` (3,)."""
    near = np.ones(len(foot), bool)
    for axis, size in enumerate(shape):
        low, high = min(0.0, float(height[axis])), max(0.0, float(height[axis]))
        near &= (foot[:, axis] + high >= -0.5) & (foot[:, axis] + low <= size - 0.5)
    return near


def _sources(foot: np.ndarray, step: np.ndarray, n: int, shape: tuple[int, int, int]) -> np.ndarray:
    """(M, n) flat voxel of a grid nearest to each of the n voxels of the columns, -1 outside."""
    inside = np.ones((len(foot), n), bool)
    flat = np.zeros((len(foot), n), np.int64)
    levels = np.arange(n, dtype=np.float32)
    for axis, size in enumerate(shape):
        index = np.rint(foot[:, axis, None] + step[axis] * levels).astype(np.int32)
        inside &= (index >= 0) & (index < size)
        flat = flat * size + index
    flat[~inside] = -1
    return flat
