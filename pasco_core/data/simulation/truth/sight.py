"""What can be seen from a place: the surfaces around it, against which voxels and blocks of voxels are compared."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.sensing.rays import RayScene

COLUMNS, ROWS = 1280, 224
LEVELS = 6  # of the pyramid: pixels of 1, 2, 4, … 32
_STRETCH = np.float32(0.3)  # rows are dense around the horizon: row ~ v / (stretch + |v|)
_STEEPEST = np.float32(1.6)  # |v| of the uppermost and lowest row
_LIMIT = float(_STEEPEST / (_STRETCH + _STEEPEST))
_PER_COLUMN, _PER_ROW = np.float32(COLUMNS / 4 * (1 - 1e-6)), np.float32(ROWS / (2 * _LIMIT) * (1 - 1e-6))
_MARGIN = 0.1  # of directions with |x| + |y| = 1 that are looked at although they point backwards
_NEARLY_ALONG = 1e-3  # sine between ray and surface below which the surface's plane says nothing


class Sphere:
    """Everything around one place, as seen from there, in the world's axes.

    Directions are indexed without trigonometry: column by x / (|x| + |y|), row by v = z / (|x| + |y|), depth is
    |x| + |y|. Each pixel keeps the plane of the surface its ray met as n with n·p = 1 for points p of the plane
    relative to the place, so that a point is in front of the surface where n·p < 1: exact on planes, not only at the
    pixel's centre. A pyramid of the least and the largest depth answers for whole blocks.

    Args:
        scene: what is looked at.
        place: (3,) metres in the scene's frame.
        forward: (3,) unit vector; what lies behind the plane across it is never asked about and not looked at.
    """

    def __init__(self, scene: RayScene, place: np.ndarray, forward: np.ndarray | None = None):
        self.place = np.asarray(place, np.float64)
        directions = pixel_directions()
        depth = np.full(len(directions), np.inf, np.float32)
        self.planes = np.zeros((len(directions), 3), np.float32)
        rows = np.arange(len(directions))
        if forward is not None:
            rows = np.flatnonzero(directions @ np.asarray(forward, np.float32) > -_MARGIN)
        depth[rows], _, normal = scene.nearest(self.place, directions[rows])
        met = np.isfinite(depth[rows])
        rows = rows[met]
        self.planes[rows] = _planes(directions[rows], depth[rows], normal[met])
        self._nearest, self._farthest, self._starts = _pyramid(depth.reshape(ROWS, COLUMNS))

    def in_front(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Bool, of the shape that x, y and z have: whether points, float32 and relative to the place, are not behind a
        surface."""
        plane = self.planes.take(pixel_of(x, y, z), axis=0)
        return plane[..., 0] * x + plane[..., 1] * y + plane[..., 2] * z < np.float32(1.0)

    def compare_blocks(self, centres: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which boxes lie wholly in front of, and wholly behind, everything in their direction, each (N,) bool.

        Args:
            centres: (3, N) float32 relative to the place.
            half: (3,) half of the boxes' size along the axes.
        """
        x, y, z = centres
        around, spread, upright = (np.float32(v) for v in (max(half[0], half[1]), half[0] + half[1], half[2]))
        depth = np.abs(x) + np.abs(y)
        nearest = np.maximum(depth - spread, np.float32(1e-3))
        column, v = _around(x, y, depth), z / np.maximum(depth, np.float32(1e-3))
        wide = around * np.float32(1.01) / nearest
        tall = (upright + np.abs(v) * spread) / nearest
        left, right = (column - wide) * _PER_COLUMN, (column + wide) * _PER_COLUMN
        low, high = _row(v - tall), _row(v + tall)
        size = np.maximum(right - left, high - low) + np.float32(1e-3)
        level = np.ceil(np.log2(np.maximum(size, 1.0))).astype(np.int32)
        fits = np.flatnonzero((level < LEVELS) & (depth > spread))
        least, most = self._extremes(left[fits], low[fits], level[fits])
        front, behind = np.zeros(len(x), bool), np.zeros(len(x), bool)
        front[fits] = depth[fits] + spread < least
        behind[fits] = depth[fits] - spread > most
        return front, behind

    def _extremes(self, left: np.ndarray, low: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest depth of 2 x 2 pixels of the pyramid's level from (left, low) on."""
        column = np.floor(left).astype(np.int32) >> level
        row = np.maximum(np.floor(low).astype(np.int32), 0) >> level
        columns, rows = COLUMNS >> level, ROWS >> level
        least, most = np.full(len(left), np.inf, np.float32), np.zeros(len(left), np.float32)
        for i in (0, 1):
            for j in (0, 1):
                pixel = self._starts[level] + np.minimum(row + i, rows - 1) * columns + (column + j) % columns
                least = np.minimum(least, self._nearest[pixel])
                most = np.maximum(most, self._farthest[pixel])
        return least, most


def _planes(directions: np.ndarray, depth: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """n (N, 3) with n·p = 1 on the surfaces; across the ray where a surface is seen edge-on."""
    cosine = np.einsum("ni,ni->n", normal, directions)
    length = np.sqrt(np.einsum("ni,ni->n", normal, normal) * np.einsum("ni,ni->n", directions, directions))
    along = np.abs(cosine) <= _NEARLY_ALONG * length
    normal = np.where(along[:, None], directions, normal)
    return normal / (np.einsum("ni,ni->n", normal, directions) * np.maximum(depth, 1e-6))[:, None]


def _pyramid(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least and largest depths of all levels, each flat one after the other; and where the levels start."""
    least, most = [depth], [depth]
    for _ in range(LEVELS - 1):
        for levels, choose in ((least, np.minimum), (most, np.maximum)):
            pairs = choose(levels[-1][::2], levels[-1][1::2])
            levels.append(choose(pairs[:, ::2], pairs[:, 1::2]))
    starts = np.cumsum([0, *(level.size for level in least[:-1])]).astype(np.int32)
    return np.concatenate([x.ravel() for x in least]), np.concatenate([x.ravel() for x in most]), starts


def pixel_of(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Flat pixel index, int32, of float32 directions; all of one shape."""
    depth = np.abs(x) + np.abs(y) + np.float32(1e-9)
    column = (_around(x, y, depth) * _PER_COLUMN).astype(np.int32)
    return _row(z / depth).astype(np.int32) * np.int32(COLUMNS) + column


def _around(x: np.ndarray, y: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """0 to 4, counter-clockwise from -x."""
    return np.copysign(np.float32(1.0) - x / depth, y) + np.float32(2.0)


def _row(v: np.ndarray) -> np.ndarray:
    v = np.clip(v, -_STEEPEST, _STEEPEST)
    return (v / (_STRETCH + np.abs(v)) + np.float32(_LIMIT)) * _PER_ROW


def pixel_directions() -> np.ndarray:
    """(ROWS * COLUMNS, 3) float32 directions of the pixel centres, with |x| + |y| = 1."""
    around = (np.arange(COLUMNS) + 0.5) * (4.0 / COLUMNS) - 2.0
    x = 1.0 - np.abs(around)
    y = np.copysign(1.0 - np.abs(x), around)
    up = (np.arange(ROWS) + 0.5) * (2 * _LIMIT / ROWS) - _LIMIT
    v = up * float(_STRETCH) / (1.0 - np.abs(up))
    shape = (ROWS, COLUMNS)
    parts = (np.broadcast_to(x, shape), np.broadcast_to(y, shape), np.broadcast_to(v[:, None], shape))
    return np.stack(parts, axis=-1).reshape(-1, 3).astype(np.float32)
