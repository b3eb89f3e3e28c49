"""A procedural town as triangles: the same seed gives the same bits, in whatever order one looks at it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.blocks import furnish
from pasco_core.data.simulation.town.chunks import CHUNK, TileStore, cut
from pasco_core.data.simulation.town.ground import Tile
from pasco_core.data.simulation.town.layout import Plan, Sheet
from pasco_core.data.simulation.town.route import FIRST_TIME, Route
from pasco_core.data.simulation.town.traffic import Traffic
from pasco_core.data.simulation.town.vegetation import Plants
from pasco_core.data.simulation.town.vehicles import ego_car
from pasco_core.data.simulation.town.walkers import Walkers
from pasco_core.errors import ConfigError

_AXLES, _TRACK = 1.35, 0.75  # metres: half distances over which the car evens out the road


class Town:
    """Streets, houses, plants, people and traffic around a car that drives through them.

    Args:
        seed: chooses everything about it; a whole number from 0.

    Raises:
        ConfigError: another seed.
    """

    def __init__(self, seed: int):
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ConfigError(f"Expected the seed of a town to be a whole number from 0, got {seed!r}")
        self.seed = int(seed)
        self.plan, self.sheet = Plan(self.seed), Sheet(self.seed)
        self.route = Route(self.plan, self.sheet, self.seed)
        self._plants = Plants(self.seed)
        self._tile = lru_cache(256)(self._make_tile)
        self._walkers = lru_cache(256)(self._walkers_around)
        self._traffic = Traffic(self.plan, self.sheet, self.route, self.seed)
        self._static = TileStore(self._static_meshes)

    def height(self, xy: np.ndarray) -> np.ndarray:
        """(...) metres, height of the ground's surface at (..., 2) in the world."""
        uv = self.sheet.to_sheet(np.asarray(xy, np.float64))
        flat = uv.reshape(-1, 2)
        tiles = [self.plan.tile_at(u, v) for u, v in flat]
        height = np.empty(len(flat))
        for tile in set(tiles):
            chosen = np.array([t == tile for t in tiles])
            height[chosen] = self._tile(*tile).height(flat[chosen])
        return height.reshape(uv.shape[:-1])

    def ego_pose(self, time: float) -> np.ndarray:
        """4×4 float64 pose in the world of the car's ground frame (x forward, y left, z up) at ``time`` seconds.

        The origin is on the road under the sensor; pitch and roll follow the road.

        Raises:
            ConfigError: ``time`` is not a number from -5 on.
        """
        _, xy, heading = self.route.position(float(time))
        forward = np.array([np.cos(heading), np.sin(heading)])
        left = np.array([-forward[1], forward[0]])
        spots = xy + np.array([_AXLES * forward, -_AXLES * forward, _TRACK * left, -_TRACK * left, 0.0 * left])
        front, back, port, starboard, z = self.sheet.hills(spots)
        x_axis = np.array([*forward, (front - back) / (2 * _AXLES)])
        y_axis = np.array([*left, (port - starboard) / (2 * _TRACK)])
        x_axis /= np.linalg.norm(x_axis)
        y_axis -= x_axis * (x_axis @ y_axis)
        y_axis /= np.linalg.norm(y_axis)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([x_axis, y_axis, np.cross(x_axis, y_axis)], axis=1)
        pose[:3, 3] = [*xy, z]
        return pose

    def geometry(self, centre: np.ndarray, radius: float, time: float) -> Mesh:
        """Everything within ``radius`` metres of ``centre`` (2,) at ``time`` seconds, in the world; not the own car.

        What lies farther away may be in it too; the ground reaches beyond the radius on all sides.

        Raises:
            ConfigError: a centre, radius or time that is not finite, or a radius that is not positive.
        """
        return Mesh.joined([self.moving(centre, radius, time), self.standing(centre, radius)])

    def standing(self, centre: np.ndarray, radius: float) -> Mesh:
        """The part of ``geometry`` that never moves."""
        centre = _circle(centre, radius)
        return Mesh.joined(self._static.within(self._tiles_near(centre, radius), centre, radius))

    def moving(self, centre: np.ndarray, radius: float, time: float) -> Mesh:
        """The part of ``geometry`` that moves: the traffic, and people who walk."""
        if not np.isfinite(time) or time < FIRST_TIME:
            raise ConfigError(f"Expected the time to be a number from {FIRST_TIME:g} seconds on, got {time}")
        centre, meshes = _circle(centre, radius), []
        for tile in self._tiles_near(centre, radius):
            meshes += self._walkers(*tile).meshes(self.sheet, time, centre, radius)
        return Mesh.joined([*meshes, *self._traffic.meshes(time, centre, radius)])

    def ego_car(self) -> Mesh:
        """The car with the sensor, in its own ground frame; instance 0."""
        return ego_car()

    def _tiles_near(self, centre: np.ndarray, radius: float) -> list[tuple[int, int]]:
        """Tiles with any point within the circle, and perhaps some more."""
        u, v = self.sheet.to_sheet(centre)
        reach = 1.15 * radius + 2.0
        (i0, j0), (i1, j1) = self.plan.tile_at(u - reach, v - reach), self.plan.tile_at(u + reach, v + reach)
        return [(i, j) for i in range(i0, i1 + 1) for j in range(j0, j1 + 1)]

    def _make_tile(self, i: int, j: int) -> Tile:
        tile = Tile(self.plan, self.sheet, i, j)
        furnish(tile, self._plants)
        return tile

    def _walkers_around(self, i: int, j: int) -> Walkers:
        return Walkers.around(Tile(self.plan, self.sheet, i, j))

    def _static_meshes(self, i: int, j: int) -> list[Mesh]:
        tile = Tile(self.plan, self.sheet, i, j)
        pieces = furnish(tile, self._plants)
        return [*cut(tile.mesh(), CHUNK), *pieces.meshes(CHUNK)]


def _circle(centre: np.ndarray, radius: float) -> np.ndarray:
    """The centre (2,) of a circle that can be one."""
    centre = np.asarray(centre, np.float64)
    if centre.shape != (2,) or not np.isfinite(centre).all():
        raise ConfigError(f"Expected the centre to be two finite numbers, got {centre}")
    if not np.isfinite(radius) or radius <= 0:
        raise ConfigError(f"Expected the radius to be a positive number of metres, got {radius}")
    return centre
