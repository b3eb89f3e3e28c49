"""The car in the simulated town: where its sensors sit and what they see in a frame; knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.simulation.drive import FRAME_RATE, SimulatedDrive
from pasco_core.data.simulation.mounted_world import MountedWorld, at_its_pose
from pasco_core.data.simulation.sensing.beam_tables import sensor_named
from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION
from pasco_core.data.simulation.sensing.lidar import LabelledScan
from pasco_core.data.simulation.world import TownWorld, World

_STEP = 0.01  # seconds on either side over which the velocity is measured


@dataclass(frozen=True)
class CarPlan:
    """A car and its drive; can be sent to other processes.

    Args:
        seed: of the town.
        sensor: kind of the LiDARs.
        sweep: as for ``SimulatedDrive``.
        mounts: (4, 4) of each LiDAR in the car's ground frame.
        images_every: every so many frames have an image, 0: none.
        truth_every: every so many frames have voxel truth, 0: none.
    """

    seed: int
    sensor: str
    sweep: str
    mounts: tuple[np.ndarray, ...]
    images_every: int = 0
    truth_every: int = 0


@dataclass(frozen=True)
class CarFrame:
    """What the sensors see in a frame.

    Args:
        number: of the frame in the drive.
        scans: one per LiDAR, in its frame.
        image: (H, W, 3) uint8, or None.
        truth: voxels around the place of KITTI's LiDAR, or None.
    """

    number: int
    scans: tuple[LabelledScan, ...]
    image: np.ndarray | None = None
    truth: VoxelTruth | None = None


class Car:
    """The car of a plan.

    Args:
        plan: what it carries.
        world: what it drives through; the town of the plan's seed when not given.

    Raises:
        ConfigError: embreex is not installed, or the plan cannot be.
    """

    def __init__(self, plan: CarPlan, world: World | None = None):
        self._plan = plan
        self._world = TownWorld(plan.seed) if world is None else world
        sensor = sensor_named(plan.sensor)
        self._kitti = SimulatedDrive(plan.seed, sensor, self._world, plan.sweep)
        self._drives = [self._drive(mount) for mount in plan.mounts]

    def frame(self, number: int) -> CarFrame:
        """What the sensors see in a frame; the same plan and number give the same bits."""
        plan = self._plan
        return CarFrame(
            number,
            tuple(drive.scan(number) for drive in self._drives),
            self._kitti.image(number).rgb if plan.images_every and number % plan.images_every == 0 else None,
            self._kitti.truth(number) if plan.truth_every and number % plan.truth_every == 0 else None,
        )

    def pose(self, time: float) -> np.ndarray:
        """(4, 4) float64 of the car's ground frame in the world, ``time`` seconds into the drive."""
        return np.asarray(self._world.ego_pose(time), np.float64)

    def velocity(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Linear (3,) m/s and angular (3,) rad/s velocity in the car's frame."""
        before, after = self.pose(max(time - _STEP, 0.0)), self.pose(time + _STEP)
        span = time + _STEP - max(time - _STEP, 0.0)
        moved = np.linalg.inv(before) @ after
        turned = moved[:3, :3] - moved[:3, :3].T
        return moved[:3, 3] / span, np.array([turned[2, 1], turned[0, 2], turned[1, 0]]) / (2.0 * span)

    def _drive(self, mount: np.ndarray) -> SimulatedDrive:
        if np.array_equal(mount, kitti_lidar_mount(self._plan.sensor)):
            return self._kitti
        plan = self._plan
        sensor = at_its_pose(sensor_named(plan.sensor))
        return SimulatedDrive(plan.seed, sensor, MountedWorld(self._world, mount), plan.sweep, self._kitti)


def kitti_lidar_mount(sensor: str) -> np.ndarray:
    """(4, 4): where KITTI's LiDAR sits in the car's ground frame."""
    mount = np.eye(4)
    mount[2, 3] = sensor_named(sensor).height
    return mount


def camera_mount(sensor: str) -> np.ndarray:
    """(4, 4): KITTI's left colour camera (x right, y down, z forward) in the car's ground frame."""
    to_camera = KITTI_CALIBRATION.tr.copy()
    intrinsics = KITTI_CALIBRATION.p2[:, :3]
    to_camera[:3, 3] += np.linalg.solve(intrinsics, KITTI_CALIBRATION.p2[:, 3])
    return kitti_lidar_mount(sensor) @ np.linalg.inv(to_camera)


def every(rate: float) -> int:
    """Every how many frames something comes that is wanted ``rate`` times per second; 0: never."""
    return max(1, round(FRAME_RATE / rate)) if rate > 0 else 0
