"""What stands on a tile while it is being planned: pieces on the sheet that become meshes in the world at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.ground import RASTER, Patch, Tile
from pasco_core.data.simulation.town.shapes import placed
from pasco_core.data.simulation.town.surfaces import Surface

_LAND = 0.11  # metres of a garden above the road
MAX_THINGS = 1023  # per tile


@dataclass(frozen=True)
class Frame:
    """Axes of a piece of land: s along the street to the right of who looks from the street, t into the land.

    Args:
        origin: (u, v) of s = t = 0.
        quarter: quarter turns counter-clockwise of s from +u.
        length: metres of street.
    """

    origin: tuple[float, float]
    quarter: int
    length: float = 0.0

    @property
    def heading(self) -> float:
        """Direction of s on the sheet, radians."""
        return self.quarter * np.pi / 2

    def to_sheet(self, st: np.ndarray) -> np.ndarray:
        """(..., 2) metres along s and t to (..., 2) on the sheet."""
        st = np.asarray(st, np.float64)
        c, s = ((1, 0), (0, 1), (-1, 0), (0, -1))[self.quarter % 4]
        return np.stack(
            [c * st[..., 0] - s * st[..., 1] + self.origin[0], s * st[..., 0] + c * st[..., 1] + self.origin[1]], -1
        )

    def box(self, s0: float, t0: float, s1: float, t1: float) -> tuple[float, float, float, float]:
        """A rectangle as u0, v0, u1, v1 on the sheet."""
        corners = self.to_sheet(np.array([[s0, t0], [s1, t1]]))
        return (*corners.min(axis=0), *corners.max(axis=0))


class Pieces:
    """Collects what stands on ``tile``; heights are taken at the end, when the tile's ground is complete."""

    def __init__(self, tile: Tile):
        self.tile = tile
        self._built: list[tuple[Mesh, np.ndarray, np.ndarray | None]] = []
        self._put: list[tuple[Mesh, np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self._taken = np.zeros((0, 4))
        self._things = 0
        self._first = ((tile.i & 1023) * 1024 + (tile.j & 1023)) * (MAX_THINGS + 1)

    def number(self) -> int:
        """Instance number of a new thing."""
        self._things = min(self._things + 1, MAX_THINGS)
        return self._first + self._things

    def take(self, box: tuple[float, float, float, float], margin: float = 0.0) -> None:
        """Keeps a rectangle on the sheet free from what comes later."""
        row = np.array([[box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin]])
        self._taken = np.concatenate([self._taken, row])

    def is_free(self, u: float, v: float, radius: float) -> bool:
        """Whether a circle on the sheet touches nothing that is taken."""
        t = self._taken
        beside = np.maximum(np.maximum(t[:, 0] - u, u - t[:, 2]), 0.0)
        above = np.maximum(np.maximum(t[:, 1] - v, v - t[:, 3]), 0.0)
        return not bool(np.any(beside * beside + above * above < radius * radius))

    def pave(
        self, frame: Frame, s0: float, t0: float, s1: float, t1: float, surface: Surface
    ) -> tuple[float, float, float, float]:
        """Gives a rectangle another surface; it is moved to the raster. Returns its box on the sheet."""
        box = [round(x / RASTER) * RASTER for x in frame.box(s0, t0, s1, t1)]
        self.tile.patches.append(Patch(*box, surface))
        return tuple(box)

    def build(self, mesh: Mesh, frame: Frame, at: tuple[float, float] | None = None) -> None:
        """Adds a mesh in the frame's axes: level, at the ground of ``at`` (s, t), or following the ground."""
        uv = frame.to_sheet(mesh.vertices[:, :2].astype(np.float64))
        self._built.append((mesh, uv, None if at is None else frame.to_sheet(np.array(at))))

    def put(
        self, mesh: Mesh, u: float, v: float, heading: float = 0.0, scale: np.ndarray | float = 1.0, instance: int = 0
    ) -> None:
        """Adds a rigid mesh with its origin on the ground at (u, v), turned by ``heading`` on the sheet."""
        size = np.broadcast_to(np.asarray(scale, np.float64), (3,))
        self._put.append((mesh, np.array([u, v]), np.array(heading), size, np.array(instance)))

    def meshes(self, size: float) -> list[Mesh]:
        """Everything in the world, what stands within one square of a raster of ``size`` metres as one mesh."""
        squares: dict[tuple[int, int], list[Mesh]] = {}
        for mesh, uv, at in self._built:
            middle = (uv.min(axis=0) + uv.max(axis=0)) / 2.0
            squares.setdefault(_square(middle, size), []).append(self._bent(mesh, uv, at))
        for square, mesh in self._copies(size):
            squares.setdefault(square, []).append(mesh)
        return [Mesh.joined(parts) for parts in squares.values()]

    def _bent(self, mesh: Mesh, uv: np.ndarray, at: np.ndarray | None) -> Mesh:
        height = self.tile.road_height(uv if at is None else at) + _LAND
        vertices = np.concatenate([self.tile.sheet.to_world(uv), (mesh.vertices[:, 2] + height)[:, None]], axis=1)
        return Mesh(vertices.astype(np.float32), mesh.triangles, mesh.category, mesh.instance, mesh.material)

    def _copies(self, size: float) -> Iterator[tuple[tuple[int, int], Mesh]]:
        """The rigid meshes with their squares; equal ones in a square are made at once."""
        if not self._put:
            return
        uv, heading, scale, instance = (np.stack([item[k] for item in self._put]) for k in range(1, 5))
        xyz = np.concatenate([self.tile.sheet.to_world(uv), self.tile.height(uv)[:, None]], axis=1)
        yaw = self.tile.sheet.direction(uv, heading)
        groups: dict[tuple[tuple[int, int], int], list[int]] = {}
        for n, item in enumerate(self._put):
            groups.setdefault((_square(item[1], size), id(item[0])), []).append(n)
        for (square, _), rows in groups.items():
            yield square, placed(self._put[rows[0]][0], xyz[rows], yaw[rows], scale[rows], instance[rows])


def _square(uv: np.ndarray, size: float) -> tuple[int, int]:
    return int(uv[0] // size), int(uv[1] // size)
