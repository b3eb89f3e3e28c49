"""Which voxels the triangles of a mesh pass through, exactly, and what each such voxel is."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.truth.box_meetings import meetings
from pasco_core.data.simulation.truth.clipped_area import clipped_areas
from pasco_core.geometry import VoxelGrid

_LONGEST = 4.0  # voxels: longer triangles are cut in two before they are compared with boxes


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
    keys, kind = np.unique((mesh.category.astype(np.int64) << 32) | mesh.instance, return_inverse=True)
    triangle, voxel = meetings(corners, grid.shape)
    holder = _holders(corners, triangle, voxel, kind[owner[triangle]], keys >> 32, grid)
    occupied = np.flatnonzero(holder >= 0)
    winner = keys[holder[occupied]]
    return occupied, (winner >> 32).astype(np.uint8), (winner & 0xFFFFFFFF).astype(np.int32)


def _corners(mesh: Mesh, grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Small triangles (3, 3, T) float64 near the grid, corner, axis, triangle, in voxels from its origin; and the
    mesh's triangle of each."""
    vertices = np.ascontiguousarray(mesh.vertices.T.astype(np.float64))
    scaled = (vertices - np.asarray(grid.origin)[:, None]) / grid.voxel_size
    shape = np.asarray(grid.shape)[:, None]
    outside = np.packbits(np.concatenate([scaled < 0, scaled > shape]), axis=0)[0]  # one bit for each side
    a, b, c = mesh.triangles.T
    owner = np.flatnonzero((outside[a] & outside[b] & outside[c]) == 0)
    corners = np.stack([scaled[:, mesh.triangles[owner, corner]] for corner in range(3)])
    return _cut(corners, owner, shape)


def _cut(corners: np.ndarray, owner: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halves triangles at their longest edge until none is long, so that few voxels near one are not on it."""
    done = [(np.zeros((3, 3, 0)), np.zeros(0, np.int64))]
    while len(owner):
        near = np.flatnonzero(((corners.max(axis=0) > 0) & (corners.min(axis=0) < shape)).all(axis=0))
        corners, owner = corners[:, :, near], owner[near]
        x, y, z = np.moveaxis(corners[(1, 2, 0), ...] - corners, 1, 0)
        length = x * x + y * y + z * z
        longest = length.argmax(axis=0)
        long = length.max(axis=0) > _LONGEST**2
        done.append((corners[:, :, ~long], owner[~long]))
        corners, owner, longest = corners[:, :, long], owner[long], longest[long]
        start, end, apex = (np.take_along_axis(corners, (longest + i)[None, None] % 3, axis=0)[0] for i in range(3))
        middle = (start + end) / 2
        corners = np.concatenate([np.stack([start, middle, apex]), np.stack([middle, end, apex])], axis=2)
        owner = np.concatenate([owner, owner])
    return np.concatenate([c for c, _ in done], axis=2), np.concatenate([o for _, o in done])


def _holders(
    corners: np.ndarray, triangle: np.ndarray, voxel: np.ndarray, kind: np.ndarray, category: np.ndarray,
    grid: VoxelGrid,
) -> np.ndarray:
    """Which kind of triangles each flat voxel is said to be of, -1 = none; areas are computed only where there is a
    choice.

    Args:
        corners: (3, 3, T) of triangles, in voxels.
        triangle: (N,) triangles, each with a voxel that it passes through.
        voxel: (N,) those voxels.
        kind: (N,) of the triangles: class and instance in ascending order.
        category: (kinds,) class of each kind.
        grid: the voxels.
    """
    holder, contested = np.full(grid.n_voxels, -1, np.int64), np.zeros(grid.n_voxels, bool)
    holder[voxel] = kind
    contested[voxel[holder[voxel] != kind]] = True
    rows = np.flatnonzero(contested[voxel])
    triangle, voxel, kind = triangle[rows], voxel[rows], kind[rows]
    area = clipped_areas(corners[:, :, triangle] - np.stack(np.unravel_index(voxel, grid.shape)))
    area = np.rint(area * (1 << 40)).astype(np.int64)  # whole numbers: sums do not depend on the order
    chosen, classes = _largest(voxel, category[kind], area)
    mine = category[kind] == classes[np.searchsorted(chosen, voxel)]
    chosen, kinds = _largest(voxel[mine], kind[mine], area[mine])
    holder[chosen] = kinds
    return holder


def _largest(voxel: np.ndarray, value: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The voxels, ascending, and of each the value with the largest sum of areas, of equals the smallest."""
    several = value.max(initial=0) + 1
    pairs, number = np.unique(voxel * several + value, return_inverse=True)
    sums = np.zeros(len(pairs), np.int64)
    np.add.at(sums, number, area)
    voxel, value = pairs // several, pairs % several
    best = np.lexsort((value, -sums, voxel))
    best = best[np.flatnonzero(np.diff(voxel[best], prepend=-1))]
    return voxel[best], value[best]
