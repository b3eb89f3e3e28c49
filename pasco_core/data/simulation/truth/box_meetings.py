"""Which voxels small triangles pass through: triangles with equally large bounds are compared with all of theirs at
once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

ON_BORDER = 2e-6
"""Voxels: rounding errors of what lies on the border of two voxels; it belongs to the upper one."""

_PAIRS = 1 << 16  # of triangle and voxel at a time, so that temporaries stay in the cache
_AXES = ((0, 1, 2), (1, 2, 0), (2, 0, 1))


def meetings(corners: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of a triangle and a voxel that it passes through.

    Args:
        corners: (3, 3, T) float64: corner, axis, triangle; in voxels from the grid's origin. Triangles are at most a
            few voxels long and their bounds meet the grid.
        shape: the grid's.

    Returns:
        Triangle (N,) and flat voxel (N,), both int64, in no particular order.
    """
    most = np.array(shape)[:, None] - 1
    first = np.clip(np.floor(corners.min(axis=0)), 0, most).astype(np.int64)
    last = np.clip(np.ceil(corners.max(axis=0)) - 1, first, most).astype(np.int64)
    size = last - first + 1
    kind = np.ravel_multi_index(tuple(size), tuple(size.max(axis=1, initial=0) + 1)).astype(np.uint16)
    order = np.argsort(kind, kind="stable")
    shapes = _Shapes((corners - first)[:, :, order].astype(np.float32))
    start = np.ravel_multi_index(tuple(first[:, order]), shape)
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for rows in _runs(kind[order]):
        box = tuple(size[:, order[rows.start]].tolist())
        steps = np.ravel_multi_index(np.indices(box).reshape(3, -1), shape)
        for part in _parts(rows, len(steps)):
            voxel, triangle = np.nonzero(shapes.meet(part, box).reshape(len(steps), -1))
            found.append((order[part][triangle], start[part][triangle] + steps[voxel]))
    triangles, voxels = (np.concatenate(part) for part in zip(*found, strict=True))
    return triangles, voxels


def _runs(values: np.ndarray) -> Iterator[slice]:
    """Where equal values follow each other."""
    borders = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return (slice(a, b) for a, b in pairwise(borders) if a < b)


def _parts(rows: slice, n_voxels: int) -> Iterator[slice]:
    step = max(_PAIRS // n_voxels, 1)
    return (slice(a, min(a + step, rows.stop)) for a in range(rows.start, rows.stop, step))


class _Shapes:
    """Triangles as separating axes see them, prepared once for all voxels of their bounds.

    The axes are the box's own, which the bounds have dealt with, the triangle's normal, and the cross products of the
    three edges with the box's axes: each of these three is the triangle's projection along an axis against squares.
    Counted from the triangle's own first voxel, float32 is precise enough.

    Args:
        corners: (3, 3, T) float32: corner, axis, triangle.
    """

    def __init__(self, corners: np.ndarray):
        edges = self._edges = corners[(1, 2, 0), ...] - corners
        (a0, a1, a2), (b0, b1, b2) = edges[0], edges[1]
        self._normal = n = np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])
        self._offset = n[0] * corners[0, 0] + n[1] * corners[0, 1] + n[2] * corners[0, 2]
        length = np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])
        self._reach = np.float32(0.5) * np.abs(n).sum(axis=0) + np.float32(ON_BORDER) * length
        self._low, self._high = np.empty_like(edges), np.empty_like(edges)  # axis, edge, triangle
        for i, j, k in _AXES:
            ej, ek = edges[:, j], edges[:, k]
            ends = ej * corners[:, k] - ek * corners[:, j]  # both ends of an edge have the same projection
            apex = ej * corners[(2, 0, 1), k] - ek * corners[(2, 0, 1), j]
            reach = np.float32(0.5 + ON_BORDER) * (np.abs(ej) + np.abs(ek))
            self._low[i], self._high[i] = np.minimum(ends, apex) - reach, np.maximum(ends, apex) + reach

    def meet(self, part: slice, box: tuple[int, ...]) -> np.ndarray:
        """Bool (*box, T): whether the triangles ``part``, which all have bounds of ``box`` voxels, meet each voxel."""
        middle = [np.arange(n, dtype=np.float32)[:, None] + np.float32(0.5) for n in box]
        x, y, z = (self._normal[axis, part] * middle[axis] for axis in range(3))
        away = (x[:, None] + y)[:, :, None] + z
        away -= self._offset[part]
        meets = np.abs(away, out=away) <= self._reach[part]
        meets &= self._squares(0, part, middle)
        meets &= self._squares(1, part, middle).swapaxes(0, 1)[:, None]
        meets &= self._squares(2, part, middle)[:, :, None]
        return meets

    def _squares(self, i: int, part: slice, middle: list[np.ndarray]) -> np.ndarray:
        """Bool (J, K, T): whether the projections along axis i overlap, for the two axes that follow it."""
        _, j, k = _AXES[i]
        overlap = np.ones((len(middle[j]), len(middle[k]), part.stop - part.start), bool)
        for edge in range(3):
            at = self._edges[edge, j, part] * middle[k] - (self._edges[edge, k, part] * middle[j])[:, None]
            overlap &= at >= self._low[i, edge, part]
            overlap &= at <= self._high[i, edge, part]
        return overlap
