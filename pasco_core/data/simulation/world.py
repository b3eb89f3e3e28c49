"""What a simulated drive leads through: any world of triangles, and the procedural town as one."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pasco_core.data.simulation.mesh import Mesh


class World(Protocol):
    """What a drive leads through; all in one frame, metres and seconds."""

    def ego_pose(self, time: float) -> np.ndarray:
        """(4, 4) float64: the own car's ground frame (x forward, y left, z up, on the road under the LiDAR)."""
        ...

    def standing(self, centre: np.ndarray, radius: float) -> Mesh:
        """Everything near ``centre`` (2,) that never moves."""
        ...

    def moving(self, centre: np.ndarray, radius: float, time: float) -> Mesh:
        """The traffic near ``centre`` (2,) at that time."""
        ...

    def ego_car(self) -> Mesh:
        """The own car in its ground frame."""
        ...


class TownWorld:
    """The procedural town of a seed as a drive's world."""

    def __init__(self, seed: int):
        from pasco_core.data.simulation.town import Town

        self._town = Town(seed)
        self._springs = _Springs(seed)

    def ego_pose(self, time: float) -> np.ndarray:
        return self._town.ego_pose(time) @ self._springs.tilt(time)

    def standing(self, centre: np.ndarray, radius: float) -> Mesh:
        return self._town.standing(centre, radius)

    def moving(self, centre: np.ndarray, radius: float, time: float) -> Mesh:
        return self._town.moving(centre, radius, time)

    def ego_car(self) -> Mesh:
        return self._town.ego_car()


class _Springs:
    """How the car leans on its springs, and how far from level the sensor was mounted; smooth in time.

    In KITTI the road before the car is tilted by up to about a degree against the LiDAR.
    """

    def __init__(self, seed: int):
        rng = np.random.default_rng([seed, 5000])
        self._mount = np.radians(rng.normal(0.0, 0.35, 2))
        self._swing = np.radians(rng.uniform(0.05, 0.25, (2, 4)))
        self._rate = 2.0 * np.pi * rng.uniform(0.05, 1.2, (2, 4))
        self._phase = rng.uniform(0.0, 2.0 * np.pi, (2, 4))

    def tilt(self, time: float) -> np.ndarray:
        """(4, 4) float64: pitch and roll, from the tilted frame to the level one."""
        pitch, roll = self._mount + (self._swing * np.sin(self._rate * time + self._phase)).sum(axis=1)
        turn = np.eye(4)
        turn[:3, :3] = [[np.cos(pitch), 0.0, np.sin(pitch)], [0.0, 1.0, 0.0], [-np.sin(pitch), 0.0, np.cos(pitch)]]
        lean = np.eye(4)
        lean[1:3, 1:3] = [[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]
        return turn @ lean
