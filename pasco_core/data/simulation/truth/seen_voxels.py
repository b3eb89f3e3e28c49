"""Which voxels of a grid some place along a drive sees: whole blocks first, single voxels where blocks do not tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pasco_core.data.simulation.truth.sight import Sphere
from pasco_core.geometry import VoxelGrid

_EDGE = 4  # voxels of a block's edge; a block consists of four level layers, a layer's voxels are the bits of a number
_WHOLE = np.uint16(0xFFFF)
_BITS = np.arange(_EDGE**2, dtype=np.uint16)[:, None]
_SLAB = 1 << 10  # layers at a time, so that temporaries stay in the cache


def seen_voxels(
    spheres: Sequence[Sphere], grid: VoxelGrid, pose: np.ndarray, before: np.ndarray | None = None
) -> np.ndarray:
    """Which voxels some place sees: the line from the place to the voxel's centre enters the voxel unhindered.

    Args:
        spheres: the places; the result does not depend on their order, but the time does.
        grid: the voxels.
        pose: (4, 4) of the grid's frame in the spheres' frame, a rotation and a translation.
        before: bool of the grid's shape, voxels that are seen already and need not be asked about.

    Returns:
        Bool of the grid's shape.
    """
    blocks = (-(-grid.shape[0] // _EDGE), -(-grid.shape[1] // _EDGE), -(-grid.shape[2] // _EDGE))
    voxels = np.zeros(tuple(n * _EDGE for n in blocks), bool)
    inside = tuple(slice(n) for n in grid.shape)
    voxels[inside] = False if before is None else before
    cut = voxels.reshape(blocks[0], _EDGE, blocks[1], _EDGE, blocks[2], _EDGE)
    layers = cut.transpose(0, 2, 4, 5, 1, 3).reshape(-1, _EDGE**2)
    seen = np.packbits(layers, axis=1, bitorder="little").view("<u2").astype(np.uint16).reshape(-1, _EDGE)
    left = np.flatnonzero((seen != _WHOLE).any(axis=1))
    for sphere in spheres:
        left = _Looker(sphere, grid, pose, blocks).look(seen, left)
    layers = np.unpackbits(seen.astype("<u2").view(np.uint8), axis=1, bitorder="little")
    cut[...] = layers.reshape(*blocks, _EDGE, _EDGE, _EDGE).transpose(0, 4, 1, 5, 2, 3)
    return np.ascontiguousarray(voxels[inside])


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
        self._inside = ((np.arange(_EDGE) + 0.5) * size).astype(np.float32)

    def look(self, seen: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Marks what is seen in (blocks, layers); ``left`` are blocks not wholly seen before, returned those after."""
        corners = np.stack([c[i] for c, i in zip(self._corners, np.unravel_index(left, self._blocks), strict=True)])
        centres = self._rotation @ (corners + np.float32(self._block_half))
        front, behind = self._sphere.compare_blocks(centres, self._block_half * np.abs(self._rotation).sum(axis=1))
        seen[left[front]] = _WHOLE
        unclear = np.flatnonzero(~front & ~behind)
        block, layer = np.nonzero(seen[left[unclear]] != _WHOLE)
        block = unclear[block]
        for start in range(0, len(block), _SLAB):
            part = slice(start, start + _SLAB)
            in_front = self._sphere.in_front(*self._entries(corners[:, block[part]], layer[part]))
            bits = in_front.reshape(len(_BITS), -1).astype(np.uint16) << _BITS
            seen[left[block[part]], layer[part]] |= np.bitwise_or.reduce(bits, axis=0)
        return left[(seen[left] != _WHOLE).any(axis=1)]

    def _entries(self, corners: np.ndarray, layer: np.ndarray) -> tuple[np.ndarray, ...]:
        """Where lines from the place to the centres of a layer's voxels enter them, in the world's axes, each
        (4, 4, N).

        Args:
            corners: (3, N) of the blocks in the grid's axes.
            layer: (N,) within the blocks.
        """
        x = corners[0] + self._inside[:, None, None]
        y = corners[1] + self._inside[:, None]
        z = corners[2] + self._inside[layer]
        farthest = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(z))
        share = np.maximum(np.float32(1.0) - self._half / np.maximum(farthest, self._half), np.float32(0.0))
        x, y, z = x * share, y * share, z * share
        r = self._rotation
        return tuple(r[i, 0] * x + r[i, 1] * y + r[i, 2] * z for i in range(3))
