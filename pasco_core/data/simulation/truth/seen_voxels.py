"""Which voxels of a grid some place along a drive sees: whole blocks first, single voxels where blocks do not tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pasco_core.data.simulation.truth.sight import Sphere
from pasco_core.geometry import VoxelGrid

_EDGE = 4  # voxels of a block's edge
_INSIDE = _EDGE**3
_ALL_OF_EIGHT = np.uint64(0x0101010101010101)
_SLAB = 1 << 9  # blocks at a time, so that temporaries stay in the cache


def seen_voxels(spheres: Sequence[Sphere], grid: VoxelGrid, pose: np.ndarray) -> np.ndarray:
    """Which voxels some place sees: the line from the place to the voxel's centre enters the voxel unhindered.

    Args:
        spheres: the places; the result does not depend on their order, but the time does.
        grid: the voxels.
        pose: (4, 4) of the grid's frame in the spheres' frame, a rotation and a translation.

    Returns:
        Bool of the grid's shape.
    """
    blocks = (-(-grid.shape[0] // _EDGE), -(-grid.shape[1] // _EDGE), -(-grid.shape[2] // _EDGE))
    seen = np.zeros((int(np.prod(blocks)), _INSIDE), bool)
    left = np.arange(len(seen))
    for sphere in spheres:
        left = _Looker(sphere, grid, pose, blocks).look(seen, left)
    voxels = seen.reshape(*blocks, _EDGE, _EDGE, _EDGE).transpose(0, 3, 1, 4, 2, 5)
    voxels = voxels.reshape(tuple(n * _EDGE for n in blocks))
    return np.ascontiguousarray(voxels[tuple(slice(n) for n in grid.shape)])


class _Looker:
    """One place looking at the grid; coordinates are relative to the place, float32."""

    def __init__(self, sphere: Sphere, grid: VoxelGrid, pose: np.ndarray, blocks: tuple[int, int, int]):
        rotation = pose[:3, :3]
        local = rotation.T @ (sphere.place - pose[:3, 3])
        low = np.asarray(grid.origin) - local
        size = grid.voxel_size
        self._sphere, self._blocks = sphere, blocks
        self._half, self._block_half = np.float32(size / 2), size * _EDGE / 2
        self._rotation = rotation.astype(np.float32)
        self._corners = [(low[i] + np.arange(n) * (size * _EDGE)).astype(np.float32) for i, n in enumerate(blocks)]
        inside = np.stack(np.unravel_index(np.arange(_INSIDE), (_EDGE,) * 3)) + 0.5
        self._inside = (inside * size).astype(np.float32)

    def look(self, seen: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Marks what is seen in (blocks, 64); ``left`` are blocks not wholly seen before, the result those after."""
        corners = np.stack([c[i] for c, i in zip(self._corners, np.unravel_index(left, self._blocks), strict=True)])
        centres = self._rotation @ (corners + np.float32(self._block_half))
        front, behind = self._sphere.compare_blocks(centres, self._block_half * np.abs(self._rotation).sum(axis=1))
        seen[left[front]] = True
        unclear = np.flatnonzero(~front & ~behind)
        rows = left[unclear]
        for start in range(0, len(unclear), _SLAB):
            part = slice(start, start + _SLAB)
            centres = corners[:, unclear[part], None] + self._inside[:, None]
            in_front = self._sphere.in_front(*self._entries(centres.reshape(3, -1)))
            seen[rows[part]] |= in_front.reshape(-1, _INSIDE)
        done = front
        done[unclear] = (seen[rows].view(np.uint64) == _ALL_OF_EIGHT).all(axis=1)
        return left[~done]

    def _entries(self, centres: np.ndarray) -> tuple[np.ndarray, ...]:
        """Where lines from the place to voxel centres (3, N) in the grid's axes enter the voxels, in the world's."""
        x, y, z = centres
        farthest = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(z))
        share = np.maximum(np.float32(1.0) - self._half / np.maximum(farthest, self._half), np.float32(0.0))
        x, y, z = x * share, y * share, z * share
        r = self._rotation
        return tuple(r[i, 0] * x + r[i, 1] * y + r[i, 2] * z for i in range(3))
