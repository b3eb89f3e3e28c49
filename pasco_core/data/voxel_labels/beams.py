"""Which voxels measured beams passed through: exact traversal of a grid, all beams at once."""

from __future__ import annotations

import numpy as np

from pasco_core.geometry import VoxelGrid

_LEVEL = 1e-12  # a component below this counts as this, so that no division is by zero


def passed_by_beams(position: np.ndarray, ends: np.ndarray, grid: VoxelGrid) -> np.ndarray:
    """Mask (X, Y, Z) of the voxels that straight beams went through on their way to where they were reflected.

    The voxel of a beam's end is not one that this beam passed; the one it starts in is.

    Args:
        position: (3,) metres, where the beams start; may be outside the grid.
        ends: (N, 3) metres, where they end; may be outside the grid.
        grid: the voxels.
    """
    size = np.array(grid.shape)
    start = (np.asarray(position, np.float64) - grid.origin) / grid.voxel_size
    ways = (np.asarray(ends, np.float64) - grid.origin) / grid.voxel_size - start
    ways = np.where(np.abs(ways) < _LEVEL, _LEVEL, ways)
    enters = np.maximum(((np.where(ways > 0, 0, size) - start) / ways).max(axis=1), 0)
    leaves = ((np.where(ways > 0, size, 0) - start) / ways).min(axis=1)
    meets = (enters < leaves) & (enters < 1)
    ways, enters, leaves = ways[meets], enters[meets, None], leaves[meets, None]
    first = np.clip(np.floor(start + enters * ways), 0, size - 1).astype(np.int64)
    last = np.clip(np.floor(start + np.minimum(leaves, 1) * ways), 0, size - 1).astype(np.int64)
    steps = np.abs(last - first).sum(axis=1) + (leaves[:, 0] < 1)  # voxels to mark: the last one only if left again
    return _mark(start, ways, first, steps, grid.shape)


def _mark(
    start: np.ndarray, ways: np.ndarray, first: np.ndarray, steps: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Walks from the voxels ``first`` (N, 3) along ``ways`` (N, 3), marking ``steps`` (N,) voxels of each walk.

    The walks are sorted by length, so that those still under way are always the first rows (traversal: Amanatides and
    Woo 1987). A border of one voxel takes what rounding could lead out of the grid.
    """
    order = np.argsort(-steps, kind="stable")
    ways, first, steps = ways[order], first[order], steps[order]
    padded = tuple(size + 2 for size in shape)
    strides = (padded[1] * padded[2], padded[2], 1)
    marks = np.zeros(padded, bool)
    voxel = (first + 1) @ np.array(strides)
    crossing = [np.ascontiguousarray(column) for column in ((first + (ways > 0) - start) / ways).T]
    interval = [np.ascontiguousarray(column) for column in np.abs(1 / ways).T]
    stride = [np.where(way > 0, s, -s) for way, s in zip(ways.T, strides)]
    under_way = len(steps) - np.cumsum(np.bincount(steps, minlength=1))  # how many walks are longer than k
    flat = marks.ravel()
    for n in under_way[under_way > 0]:
        flat[voxel[:n]] = True
        next_crossing = np.minimum(np.minimum(crossing[0][:n], crossing[1][:n]), crossing[2][:n])
        left = np.ones(n, bool)
        for axis in range(3):
            now = left & (crossing[axis][:n] == next_crossing)
            np.add(voxel[:n], stride[axis][:n], out=voxel[:n], where=now)
            np.add(crossing[axis][:n], interval[axis][:n], out=crossing[axis][:n], where=now)
            left &= ~now
    return marks[1:-1, 1:-1, 1:-1]
