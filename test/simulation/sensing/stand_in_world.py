"""A small world of boxes on a plane, through which a drive can lead: everything about it can be computed by hand."""

from __future__ import annotations

import numpy as np

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.materials import MATERIAL
from pasco_core.data.simulation.mesh import Mesh

CLASS = {name: index for index, name in enumerate(SEMANTIC_KITTI.class_names)}
_FACES = np.array(
    [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4),
     (1, 5, 7), (1, 7, 3)], np.int32
)


def mesh(vertices, triangles, category: str, instance: int = 0, material: str = "plaster") -> Mesh:
    n = len(triangles)
    return Mesh(
        np.asarray(vertices, np.float32), np.asarray(triangles, np.int32), np.full(n, CLASS[category], np.uint8),
        np.full(n, instance, np.int32), np.full(n, MATERIAL[material], np.uint8),
    )


def box(low, high, category: str, instance: int = 0, material: str = "plaster") -> Mesh:
    corners = [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    return mesh(corners, _FACES, category, instance, material)


def ground(size: float = 120.0, z: float = 0.0, category: str = "road", material: str = "asphalt") -> Mesh:
    s = size
    corners = [(-s, -s, z), (s, -s, z), (s, s, z), (-s, s, z)]
    return mesh(corners, [(0, 1, 2), (0, 2, 3)], category, 0, material)


class BoxWorld:
    """A road with houses, parked cars and one car that drives ahead at 8 m/s; the own car drives at 10 m/s along x."""

    def __init__(self, parts: list[Mesh] | None = None, with_traffic: bool = True):
        self.parts = parts if parts is not None else [
            ground(400.0),
            *(box((k * 20.0, 8.0, 0.0), (k * 20.0 + 14.0, 16.0, 7.0), "building", 0, "brick") for k in range(-5, 12)),
            *(box((k * 20.0, -17.0, 0.0), (k * 20.0 + 14.0, -9.0, 6.0), "building") for k in range(-5, 12)),
            *(box((k * 12.0, 4.0, 0), (k * 12.0 + 4.2, 5.8, 1.5), "car", k + 100, "grey paint") for k in range(-5, 18)),
            *(box((k * 17.0, -6.0, 0.0), (k * 17.0 + 0.15, -5.85, 4.0), "pole", 0, "steel") for k in range(-5, 12)),
        ]
        self.with_traffic = with_traffic
        self.offset = (0.03, 0.07)  # keeps the walls off the borders of voxels

    def ego_pose(self, time: float) -> np.ndarray:
        pose = np.eye(4)
        pose[0, 3] = 10.0 * time + self.offset[0]
        pose[1, 3] = self.offset[1]
        return pose

    def standing(self, centre, radius: float) -> Mesh:
        return Mesh.joined(self.parts)

    def moving(self, centre, radius: float, time: float) -> Mesh:
        if not self.with_traffic:
            return Mesh.joined([])
        x = 15.0 + 8.0 * time
        return box((x, -2.0, 0.3), (x + 4.0, -0.2, 1.6), "car", 1, "bright paint")

    def ego_car(self) -> Mesh:
        return box((-2.4, -0.9, 0.3), (1.6, 0.9, 1.4), "car", 0, "grey paint")
