"""The exact truth about a grid of voxels: surfaces by class and instance, free space, and what nobody can have seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.sensing.bounded_mesh import BoundedMesh
from pasco_core.data.simulation.truth.voxel_surface import surface_voxels
from pasco_core.geometry import KITTI_GRID, VoxelGrid

_IS_THING = np.isin(np.arange(256), list(SEMANTIC_KITTI.thing_ids))


@dataclass(frozen=True)
class CompleteVoxels:
    """Everything about the voxels of a grid, whether it can be known or not.

    Args:
        semantics: (X, Y, Z) uint8, class, 0 = empty.
        instances: (X, Y, Z) int32, number of the thing in the world, 0 = none.
        unknown: (X, Y, Z) bool, what the drive never sees.
    """

    semantics: np.ndarray
    instances: np.ndarray
    unknown: np.ndarray

    def truth(self, everything: bool = False) -> VoxelTruth:
        """As a dataset has it; instances are numbered from 1 in the order of the world's numbers.

        Args:
            everything: know also what the drive never sees.
        """
        if everything:
            return VoxelTruth(self.semantics, _renumbered(self.instances))
        semantics = np.where(self.unknown, np.uint8(UNKNOWN), self.semantics)
        return VoxelTruth(semantics, _renumbered(np.where(self.unknown, 0, self.instances)))


def measured_voxels(points: np.ndarray, grid: VoxelGrid = KITTI_GRID) -> np.ndarray:
    """Bool of the grid's shape: voxels that hold a point (N, 3 or more) of a scan in the grid's frame."""
    mask = np.zeros(grid.shape, bool)
    mask[tuple(grid.voxel_of(points[grid.contains(points[:, :3]), :3]).T)] = True
    return mask


def complete_voxels(
    standing: BoundedMesh,
    moving: Mesh,
    pose: np.ndarray,
    seen: np.ndarray | None,
    grid: VoxelGrid = KITTI_GRID,
) -> CompleteVoxels:
    """What is in every voxel at one moment.

    Free voxels are known where they are seen, occupied ones where they or a free voxel at one of their faces are. What
    the traffic encloses at the moment is unknown, as the inside of parked cars is.

    Args:
        standing: what never moves, in the world.
        moving: the traffic at the moment, in the world.
        pose: (4, 4) of the grid's frame in the world.
        seen: bool of the grid's shape, what the drive sees from its places between what stands; None: everything is
            known.
        grid: the voxels.
    """
    mesh = Mesh.joined([_in_frame(m, pose, grid) for m in (standing, BoundedMesh(moving))])
    voxels, classes, instances = surface_voxels(mesh, grid)
    semantics, numbers = np.zeros(grid.n_voxels, np.uint8), np.zeros(grid.n_voxels, np.int32)
    semantics[voxels] = classes
    numbers[voxels] = np.where(_IS_THING[classes], instances, 0)
    semantics, numbers = semantics.reshape(grid.shape), numbers.reshape(grid.shape)
    unknown = np.zeros(grid.shape, bool)
    if seen is not None:
        unknown = ~_known(seen, semantics > 0)
        unknown |= _enclosed(numbers, np.unique(moving.instance[moving.instance > 0]))
    return CompleteVoxels(semantics, numbers, unknown)


def _in_frame(part: BoundedMesh, pose: np.ndarray, grid: VoxelGrid) -> Mesh:
    """The triangles near the grid, in its frame; computed in float64, since the world is large."""
    inverse = np.linalg.inv(pose)
    corners = np.array([[(grid.origin, grid.upper)[(i >> a) & 1][a] for a in range(3)] for i in range(8)])
    corners = (corners @ pose[:3, :3].T + pose[:3, 3])[:, :2]
    near = part.near(corners.min(axis=0), corners.max(axis=0))
    vertices = near.vertices.astype(np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
    return Mesh(vertices.astype(np.float32), near.triangles, near.category, near.instance, near.material)


def _known(seen: np.ndarray, occupied: np.ndarray) -> np.ndarray:
    """Seen voxels, and occupied ones beside seen free ones."""
    open_space = seen & ~occupied
    beside = np.zeros_like(seen)
    for axis in range(3):
        a, b = (np.moveaxis(x, axis, 0) for x in (beside, open_space))
        a[1:] |= b[:-1]
        a[:-1] |= b[1:]
    return seen | (beside & occupied)


def _enclosed(numbers: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Free voxels between voxels of the same instance on both sides along every axis."""
    result = np.zeros(numbers.shape, bool)
    things = np.flatnonzero(numbers)
    number, voxel = numbers.reshape(-1)[things], np.stack(np.unravel_index(things, numbers.shape))
    for instance in instances:
        mine = voxel[:, number == instance]
        if not mine.size:
            continue
        box = tuple(slice(low, high + 1) for low, high in zip(mine.min(axis=1), mine.max(axis=1), strict=True))
        mask, inside = numbers[box] == instance, numbers[box] == 0
        for axis in range(3):
            before = np.maximum.accumulate(mask, axis=axis)
            after = np.flip(np.maximum.accumulate(np.flip(mask, axis), axis=axis), axis)
            inside &= before & after
        result[box] |= inside
    return result


def _renumbered(numbers: np.ndarray) -> np.ndarray:
    """Numbers from 1 without gaps, in the same order, as uint16."""
    present = np.unique(numbers[numbers > 0])
    result = np.zeros(numbers.shape, np.uint16)
    rows = numbers > 0
    result[rows] = np.searchsorted(present, numbers[rows]) + 1
    return result
