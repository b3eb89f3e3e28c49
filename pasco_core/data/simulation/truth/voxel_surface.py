"""Which voxels the triangles of a mesh pass through, exactly, and what each such voxel is."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.geometry import VoxelGrid

_LONGEST = 4.0  # voxels: longer triangles are cut in two before they are compared with boxes
_ON_BORDER = 2e-6  # voxels: rounding errors of what lies on the border of two voxels; it belongs to the upper one
_CHUNK = 1 << 19  # triangle-voxel pairs at a time


def surface_voxels(mesh: Mesh, grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Occupied voxels of the grid with class and instance.

    A voxel is occupied where a triangle passes through it; what lies on the border of two is in the upper one. It is of
    the class with the largest area of triangles inside it (of equals the smallest class), and belongs to the instance
    of that class with the largest area (of equals the smallest number).

    Args:
        mesh: in the grid's frame.
        grid: the voxels.

    Returns:
        Flat indices (N,) int64, ascending; classes (N,) uint8; instances (N,) int32.
    """
    corners, owner = _corners(mesh, grid)
    keys = (mesh.category.astype(np.int64) << 32) | mesh.instance
    pairs = _pairs(corners, keys[owner], grid)
    nothing = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    triangle, voxel = (np.concatenate(part) for part in zip(nothing, *pairs, strict=True))
    return _decide(corners, triangle, voxel, keys[owner[triangle]], grid.shape)


def _corners(mesh: Mesh, grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Small triangles (T, 3, 3) float64 near the grid, in voxels from its origin; and the mesh's triangle of each."""
    scaled = (mesh.vertices.astype(np.float64) - np.asarray(grid.origin)) / grid.voxel_size
    outside = np.stack([scaled < 0, scaled > np.asarray(grid.shape)], axis=-1).reshape(len(scaled), 6)
    a, b, c = mesh.triangles.T
    owner = np.flatnonzero(~(outside[a] & outside[b] & outside[c]).any(axis=1))
    corners = scaled[mesh.triangles[owner]]
    return _cut(corners, owner, np.asarray(grid.shape))


def _cut(corners: np.ndarray, owner: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halves triangles at their longest edge until none is long, so that few voxels near one are not on it."""
    done: list[tuple[np.ndarray, np.ndarray]] = []
    while len(corners):
        low, high = corners.min(axis=1), corners.max(axis=1)
        near = ((high > 0) & (low < shape)).all(axis=1)
        corners, owner = corners[near], owner[near]
        edges = corners[:, (1, 2, 0)] - corners
        length = np.einsum("tei,tei->te", edges, edges)
        longest = length.argmax(axis=1)
        long = length[np.arange(len(length)), longest] > _LONGEST**2
        done.append((corners[~long], owner[~long]))
        corners, owner, longest = corners[long], owner[long], longest[long]
        rows = np.arange(len(corners))
        start, end, apex = (corners[rows, (longest + i) % 3] for i in range(3))
        middle = (start + end) / 2
        corners = np.concatenate([np.stack([start, middle, apex], 1), np.stack([middle, end, apex], 1)])
        owner = np.concatenate([owner, owner])
    return np.concatenate([c for c, _ in done] or [np.zeros((0, 3, 3))]), np.concatenate(
        [o for _, o in done] or [np.zeros(0, np.int64)]
    )


def _pairs(corners: np.ndarray, keys: np.ndarray, grid: VoxelGrid) -> list[tuple[np.ndarray, np.ndarray]]:
    """(triangle, flat voxel) of every pair that meets; also of some that do not, in voxels where a triangle with the
    same key has a corner: they change neither what is occupied nor by whom, and their area inside is 0."""
    _, kind = np.unique(keys, return_inverse=True)
    certain = _corner_kinds(corners, kind.astype(np.int32), grid)
    shape = np.asarray(grid.shape)
    first = np.clip(np.floor(corners.min(axis=1)), 0, shape - 1).astype(np.int64)
    last = np.clip(np.ceil(corners.max(axis=1)) - 1, first, shape - 1).astype(np.int64)
    size = last - first + 1
    count = size.prod(axis=1)
    ends = np.cumsum(count)
    local = (corners - first[:, None]).astype(np.float32)
    found = []
    start = 0
    while start < len(corners):
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK)), start + 1)
        triangle = np.repeat(np.arange(start, stop), count[start:stop])
        rank = np.arange(len(triangle)) - np.repeat(ends[start:stop] - count[start:stop] - done, count[start:stop])
        sy, sz = size[triangle, 1], size[triangle, 2]
        voxel = np.stack([rank // (sy * sz), rank // sz % sy, rank % sz])
        flat = np.ravel_multi_index(tuple(voxel + first[triangle].T), grid.shape)
        meets = (count[triangle] == 1) | (certain[flat] == kind[triangle])
        unsure = np.flatnonzero(~meets)
        meets[unsure[_meet(local, triangle[unsure], voxel[:, unsure].astype(np.float32))]] = True
        found.append((triangle[meets], flat[meets]))
        start = stop
    return found


def _corner_kinds(corners: np.ndarray, kind: np.ndarray, grid: VoxelGrid) -> np.ndarray:
    """Per flat voxel the kind of a triangle that has a corner inside it, -1 = none."""
    result = np.full(grid.n_voxels, -1, np.int32)
    for corner in range(3):
        place = np.floor(corners[:, corner]).astype(np.int64)
        within = (place >= 0) & (place < grid.shape) & (corners[:, corner] - place > _ON_BORDER)
        inside = np.flatnonzero(within.all(axis=1))
        result[np.ravel_multi_index(tuple(place[inside].T), grid.shape)] = kind[inside]
    return result


def _meet(corners: np.ndarray, triangle: np.ndarray, voxel: np.ndarray) -> np.ndarray:
    """Indices of the pairs whose triangle passes through the unit box at ``voxel``.

    Separating axes: the box's own (the candidates lie in the triangle's bounds already), the triangle's normal, and
    the nine cross products of edges with axes. Counted from the triangle's own corner, float32 is precise enough.

    Args:
        corners: (T, 3, 3) float32, each triangle counted from its first voxel.
        triangle: (N,) row in ``corners``.
        voxel: (3, N) float32, counted from the triangle's first voxel.
    """
    edges = corners[:, (1, 2, 0)] - corners
    normal = np.cross(edges[:, 0], edges[:, 1])
    offset = np.einsum("ti,ti->t", normal, corners[:, 0])
    reach = 0.5 * np.abs(normal).sum(axis=1) + _ON_BORDER * np.linalg.norm(normal, axis=1)
    middle = voxel + np.float32(0.5)
    at = sum(normal[triangle, axis] * middle[axis] for axis in range(3))
    left = np.flatnonzero(np.abs(at - offset[triangle]) <= reach[triangle])
    triangle, middle = triangle[left], middle[:, left]
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for edge in range(3):
            # Axis i x edge has components (-e_k at j, e_j at k); the edge's ends have the same projection.
            ej, ek = edges[:, edge, j], edges[:, edge, k]
            ends = ej * corners[:, edge, k] - ek * corners[:, edge, j]
            apex = ej * corners[:, edge - 1, k] - ek * corners[:, edge - 1, j]
            reach = np.float32(0.5 + _ON_BORDER) * (np.abs(ej) + np.abs(ek))
            low, high = np.minimum(ends, apex) - reach, np.maximum(ends, apex) + reach
            at = ej[triangle] * middle[k] - ek[triangle] * middle[j]
            keep = np.flatnonzero((low[triangle] <= at) & (at <= high[triangle]))
            left, triangle, middle = left[keep], triangle[keep], middle[:, keep]
    return left


def _decide(
    corners: np.ndarray, triangle: np.ndarray, voxel: np.ndarray, key: np.ndarray, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One class and instance per voxel; areas are computed only where there is a choice."""
    order = np.argsort(voxel, kind="stable")
    triangle, voxel, key = triangle[order], voxel[order], key[order]
    starts = np.flatnonzero(np.diff(voxel, prepend=-1))
    winner = key[starts]
    counts = np.diff(np.append(starts, len(voxel)))
    contested = np.maximum.reduceat(key, starts) != np.minimum.reduceat(key, starts) if len(starts) else starts > 0
    rows = np.flatnonzero(np.repeat(contested, counts))
    if len(rows):
        cells = np.stack(np.unravel_index(voxel[rows], shape), axis=1)
        area = clipped_areas(corners[triangle[rows]] - cells[:, None])
        winner[contested] = _largest(np.repeat(np.cumsum(contested) - 1, counts)[rows], key[rows], area)
    return voxel[starts], (winner >> 32).astype(np.uint8), (winner & 0xFFFFFFFF).astype(np.int32)


def _largest(group: np.ndarray, key: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Key of each group 0, 1, …: first the class (upper half of the key) with the largest area, then its instance."""
    area = np.rint(area * (1 << 40)).astype(np.int64)  # whole numbers: sums do not depend on the order
    category = key >> 32
    chosen = _argmax_of_sums(group, category, area)
    mine = category == chosen[group]
    return _argmax_of_sums(group[mine], key[mine], area[mine])


def _argmax_of_sums(group: np.ndarray, value: np.ndarray, area: np.ndarray) -> np.ndarray:
    order = np.lexsort((value, group))
    group, value, area = group[order], value[order], area[order]
    starts = np.flatnonzero((np.diff(group, prepend=-1) != 0) | (np.diff(value, prepend=-1) != 0))
    sums, group, value = np.add.reduceat(area, starts), group[starts], value[starts]
    order = np.lexsort((value, -sums, group))
    return value[order[np.flatnonzero(np.diff(group[order], prepend=-1))]]


def clipped_areas(corners: np.ndarray) -> np.ndarray:
    """Area (N,) of each triangle (N, 3, 3) inside the unit box [0, 1]³."""
    area = np.zeros(len(corners))
    where, polygon = np.arange(len(corners)), corners.astype(np.float64)
    count = np.full(len(corners), 3)
    for axis in range(3):
        for bound, sign in ((0.0, 1.0), (1.0, -1.0)):
            side = sign * (polygon[:, :, axis] - bound)
            side[np.abs(side) < _ON_BORDER] = 0.0
            left = (side >= 0).any(axis=1)
            where, polygon, count, side = where[left], polygon[left], count[left], side[left]
            cut = np.flatnonzero((side < 0).any(axis=1))
            # Unused places repeat the last corner, which changes no area.
            polygon = np.concatenate([polygon, polygon[:, -1:]], axis=1)
            polygon[cut], count[cut] = _clip(polygon[cut, :-1], count[cut], side[cut])
    fan = polygon[:, 1:] - polygon[:, :1]
    normal = np.cross(fan[:, :-1], fan[:, 1:]).sum(axis=1)
    area[where] = 0.5 * np.sqrt(np.einsum("ni,ni->n", normal, normal))
    return area


def _clip(polygon: np.ndarray, count: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of each polygon (N, W, 3) with ``side`` (N, W) >= 0, in one place more (Sutherland and Hodgman).

    Places from ``count`` on repeat the last corner.
    """
    n, width, _ = polygon.shape
    place = np.arange(width)
    rows = np.arange(n)[:, None]
    following = np.where(place >= count[:, None] - 1, 0, place + 1)
    used, inside = place < count[:, None], side >= 0
    next_side = side[rows, following]
    crosses = (inside != (next_side >= 0)) & used
    emitted = np.stack([inside & used, crosses], axis=2).reshape(n, 2 * width)
    target = np.cumsum(emitted, axis=1) - 1
    result = np.empty((n, width + 1, 3))
    row, column = np.nonzero(inside & used)
    result[row, target[row, 2 * column]] = polygon[row, column]
    row, column = np.nonzero(crosses)
    start, end = polygon[row, column], polygon[row, following[row, column]]
    share = side[row, column] / (side[row, column] - next_side[row, column])
    result[row, target[row, 2 * column + 1]] = start + share[:, None] * (end - start)
    count = target[:, -1] + 1
    unused = np.arange(width + 1) >= count[:, None]
    row, column = np.nonzero(unused)
    result[row, column] = result[row, count[row] - 1]
    return result, count
