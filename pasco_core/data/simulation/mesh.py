"""Triangles with what they belong to: the one form in which the simulated world meets rays, voxels and cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pasco_core.geometry.rigid import check_transform


@dataclass(frozen=True)
class Mesh:
    """A surface made of triangles.

    Args:
        vertices: (V, 3) float32, metres.
        triangles: (T, 3) int32, indices of vertices; either side may face outwards.
        category: (T,) uint8, class of ``SEMANTIC_KITTI``.
        instance: (T,) int32, number of the thing the triangle is part of, 0 = none.
        material: (T,) uint8, index into ``materials.MATERIALS``.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    category: np.ndarray
    instance: np.ndarray
    material: np.ndarray

    def __len__(self) -> int:
        return len(self.triangles)

    def moved(self, transform: np.ndarray) -> Mesh:
        """The same after a 4×4 transform of column points."""
        matrix = check_transform(transform)
        vertices = self.vertices @ matrix[:3, :3].T + matrix[:3, 3]
        return Mesh(vertices.astype(np.float32), self.triangles, self.category, self.instance, self.material)

    @staticmethod
    def joined(meshes: Sequence[Mesh]) -> Mesh:
        """All of them as one; of none, an empty one."""
        starts = np.cumsum([0, *(len(m.vertices) for m in meshes)])
        triangles = [m.triangles + start for m, start in zip(meshes, starts)]
        return Mesh(
            np.concatenate([np.zeros((0, 3), np.float32), *(m.vertices for m in meshes)]),
            np.concatenate([np.zeros((0, 3), np.int32), *triangles]).astype(np.int32),
            np.concatenate([np.zeros(0, np.uint8), *(m.category for m in meshes)]),
            np.concatenate([np.zeros(0, np.int32), *(m.instance for m in meshes)]),
            np.concatenate([np.zeros(0, np.uint8), *(m.material for m in meshes)]),
        )
