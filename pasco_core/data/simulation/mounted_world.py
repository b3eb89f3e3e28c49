"""A world as seen from another place on the car, so that a drive's LiDAR can sit anywhere on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.sensing.beam_tables import SpinningLidar
from pasco_core.data.simulation.sensing.lidar import OWN_CAR_BELOW
from pasco_core.data.simulation.world import World


class MountedWorld:
    """A world whose ego pose is that of a sensor mounted on the car; give the drive ``at_its_pose(sensor)``.

    Args:
        world: what is driven through.
        mount: (4, 4), the sensor in the car's ground frame (x forward, y left, z up, on the road under KITTI's LiDAR).
    """

    def __init__(self, world: World, mount: np.ndarray):
        self._world = world
        self._mount = np.asarray(mount, np.float64)

    def ego_pose(self, time: float) -> np.ndarray:
        return self._world.ego_pose(time) @ self._mount

    def standing(self, centre: np.ndarray, radius: float) -> Mesh:
        return self._world.standing(centre, radius)

    def moving(self, centre: np.ndarray, radius: float, time: float) -> Mesh:
        return self._world.moving(centre, radius, time)

    def ego_car(self) -> Mesh:
        """The own car as the sensor sees it; a drive draws it lower by ``OWN_CAR_BELOW``, along its sensor's axis."""
        lowered = np.eye(4)
        lowered[2, 3] = -OWN_CAR_BELOW
        return self._world.ego_car().moved(np.linalg.inv(lowered) @ np.linalg.inv(self._mount) @ lowered)


def at_its_pose(sensor: SpinningLidar) -> SpinningLidar:
    """The sensor for a drive whose world's ego pose is the sensor's own: nothing is added for its height."""
    return replace(sensor, height=0.0)
