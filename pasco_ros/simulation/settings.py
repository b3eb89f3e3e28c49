"""The parameters of the simulated town."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.drive import FRAME_RATE, SWEEPS
from pasco_core.data.simulation.sensing.beam_tables import SENSORS
from pasco_core.errors import ConfigError
from pasco_core.geometry.poses import pose_matrix
from pasco_core.settings.setting import SettingsGroup, setting

MOUNT_NUMBERS = 6
"""x y z in metres, roll pitch yaw in radians: the order of static_transform_publisher's options."""


@dataclass(frozen=True)
class DriveSettings(SettingsGroup):
    """What is driven, and how fast."""

    seed: int = setting(0, "Chooses the town and the way through it.", low=0, high=2**31 - 1, fixed=True)
    start_frame: int = setting(0, "Frame of the drive to begin with; ten are a second.", low=0, high=10**6, fixed=True)
    frames: int = setting(0, "Frames to drive; 0: on and on.", low=0, high=10**6, fixed=True)
    loop: bool = setting(
        False, "After the last frame begin anew, with the clock too, as a recording played in a loop; else end.",
        fixed=True)
    clock: bool = setting(
        True, "Publish /clock and stamp everything with simulated time, which waits where the computer is too slow. "
        "Without it stamps are the system's time.", fixed=True)
    speed: float = setting(
        1.0, "Seconds of the drive per second, where the computer is fast enough.", low=0.01, high=100.0, fixed=True)
    workers: int = setting(
        0, "Processes that compute frames ahead; 0: one less than there are cores.", low=0, high=64, fixed=True)
    ahead: int = setting(20, "Frames that are computed ahead at most.", low=1, high=1000, fixed=True)

    def check(self) -> None:
        """A drive without end that is to be repeated is refused with ConfigError."""
        if self.loop and self.frames == 0:
            raise ConfigError("Expected parameter 'frames' to be above 0 where loop is true, got 0")


@dataclass(frozen=True)
class CarSettings(SettingsGroup):
    """What the car carries, and what of it is published."""

    sensor: str = setting("hdl-64e", "Kind of all LiDARs.", choices=tuple(SENSORS), fixed=True)
    sweep: str = setting(
        "still", "still: all beams fire at once, the quickest to compute. raw: the car moves while the LiDAR turns; "
        "the field time tells when each point was measured. deskewed: the same, brought to the cloud's stamp.",
        choices=SWEEPS, fixed=True)
    lidar_topics: tuple[str, ...] = setting(("points",), "Topic of each LiDAR.", fixed=True)
    lidar_frames: tuple[str, ...] = setting(("velodyne",), "frame_id of each LiDAR.", fixed=True)
    lidar_mounts: tuple[float, ...] = setting(
        (0.0, 0.0, 1.73, 0.0, 0.0, 0.0), "Where each LiDAR sits in base_link, which lies on the road under the middle "
        "of the roof: x y z [m] roll pitch yaw [rad], one after the other.",
        low=-10.0, high=10.0, length=MOUNT_NUMBERS, fixed=True)
    image_rate: float = setting(
        5.0, "Images of the camera per second, with their camera_info; 0: none.", low=0.0, high=FRAME_RATE, fixed=True)
    truth_rate: float = setting(
        0.0, "Grids of voxel truth per second, around the place of KITTI's LiDAR; 0: none. One takes a second to "
        "compute.", low=0.0, high=FRAME_RATE, fixed=True)
    odometry_rate: float = setting(
        50.0, "Messages of odometry, /tf and /clock per second.", low=FRAME_RATE, high=1000.0, fixed=True)

    @property
    def mounts(self) -> tuple[np.ndarray, ...]:
        """(4, 4) of each LiDAR in base_link."""
        return tuple(pose_matrix(numbers) for numbers in np.reshape(self.lidar_mounts, (-1, MOUNT_NUMBERS)).tolist())

    def check(self) -> None:
        """Lists of different lengths are refused with ConfigError."""
        n = len(self.lidar_topics)
        counts = {"lidar_frames": len(self.lidar_frames), "lidar_mounts": len(self.lidar_mounts) // MOUNT_NUMBERS}
        for name, count in counts.items():
            if count != n:
                raise ConfigError(
                    f"Expected parameter '{name}' to be given for each of the {n} lidar_topics, got {count}"
                )


@dataclass(frozen=True)
class SimulationSettings(CarSettings, DriveSettings):
    """Every parameter of the simulated town."""
