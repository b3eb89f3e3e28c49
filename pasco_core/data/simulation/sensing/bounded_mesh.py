"""A large mesh of which parts are asked for again and again."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.mesh import Mesh


def part_of(mesh: Mesh, chosen: np.ndarray) -> Mesh:
    """Some triangles, chosen by a mask (T,) or indices, and their vertices alone."""
    triangles = mesh.triangles[chosen]
    used = np.zeros(len(mesh.vertices), bool)
    used[triangles.reshape(-1)] = True
    number = np.cumsum(used, dtype=np.int32) - 1
    return Mesh(
        mesh.vertices[used], number[triangles], mesh.category[chosen], mesh.instance[chosen], mesh.material[chosen]
    )


class BoundedMesh:
    """A mesh with the bounds of its triangles seen from above.

    Args:
        mesh: the triangles.
    """

    def __init__(self, mesh: Mesh):
        self.mesh = mesh
        a, b, c = (mesh.vertices[mesh.triangles[:, i], :2] for i in range(3))
        self._low = np.ascontiguousarray(np.minimum(np.minimum(a, b), c).T)
        self._high = np.ascontiguousarray(np.maximum(np.maximum(a, b), c).T)

    def near(self, low: np.ndarray, high: np.ndarray) -> Mesh:
        """The triangles whose bounds meet the rectangle from ``low`` (2,) to ``high`` (2,)."""
        near = np.ones(len(self.mesh), bool)
        for axis in range(2):
            near &= (self._low[axis] <= np.float32(high[axis])) & (self._high[axis] >= np.float32(low[axis]))
        return part_of(self.mesh, np.flatnonzero(near))
