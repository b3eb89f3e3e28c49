"""Where the sensor is on the vehicle, and in which frame the outputs are."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.errors import ConfigError
from pasco_core.settings.setting import SettingsGroup, setting

SENSOR, BASE = "sensor", "base"
_KITTI_POSE = (0.0, 0.0, 1.73, 0.0, 0.0, 0.0)
_POSE = "x y z [m] roll pitch yaw [rad], axes as in REP-103; a positive pitch looks down"


@dataclass(frozen=True)
class FrameSettings(SettingsGroup):
    """Where the sensor is on the vehicle, and in which frame the outputs are."""

    base_frame: str = setting(
        "", "Frame of the vehicle, on the ground below it, such as base_footprint: where the sensor is in it comes "
        "from /tf. Empty: no /tf is read, and sensor_pose says where the sensor is.", fixed=True)
    sensor_pose: tuple[float, ...] = setting(
        _KITTI_POSE, "Without base_frame: where the sensor is mounted, seen from the ground below the vehicle: "
        f"{_POSE}. The default is KITTI's own place, 1.73 m above the ground.", low=-1000.0, high=1000.0, length=6)
    network_pose: tuple[float, ...] = setting(
        _KITTI_POSE, "Where the LiDAR was mounted with whose scans the network was trained, in the same frame as "
        "sensor_pose or in base_frame; clouds are brought there before they are computed. Change it when base_frame "
        "is not on the ground (base_link in mid-air), or for a network that was trained on another vehicle.",
        low=-1000.0, high=1000.0, length=6)
    output_frame: str = setting(
        SENSOR, "Frame of the outputs: sensor (the cloud's own; the grid lies turned in it when the sensor is "
        "tilted) or base (base_frame).", choices=(SENSOR, BASE))
    tf_timeout: float = setting(
        0.1, "How long a cloud may wait for the transform at its stamp [s]; after that its outcome is TF_UNAVAILABLE.",
        low=0.0, high=2.0)
    tf_cache_time: float = setting(
        10.0, "How long transforms are remembered [s].", low=0.1, high=60.0, fixed=True)

    def check(self) -> None:
        """Poses of another length, and parameters that contradict each other, are refused with ConfigError."""
        if self.base_frame.startswith("/"):
            raise ConfigError(f"Expected parameter 'base_frame' to have no slash in front, got {self.base_frame!r}")
        for name in ("sensor_pose", "network_pose"):
            value = getattr(self, name)
            if len(value) != 6:
                raise ConfigError(f"Expected parameter '{name}' to have 6 numbers, {_POSE}, got {len(value)}")
        if self.base_frame and self.sensor_pose != _KITTI_POSE:
            raise ConfigError(
                f"Expected parameter 'sensor_pose' to be left out with base_frame = {self.base_frame!r}, because /tf "
                f"tells where the sensor is, got {list(self.sensor_pose)}"
            )
        if self.output_frame == BASE and not self.base_frame:
            raise ConfigError("Expected parameter 'base_frame' to be a frame's name with output_frame = base, got ''")
