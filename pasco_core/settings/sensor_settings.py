"""Several LiDARs, their motion during a sweep, and cameras."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.data.point_times import UNITS
from pasco_core.data.scan_statistics import TRAINING_SENSORS
from pasco_core.errors import ConfigError
from pasco_core.settings.setting import SettingsGroup, setting

OFF, ODOMETRY, TF = "off", "odometry", "tf"
RAW, COMPRESSED = "raw", "compressed"
CLASS, CAMERA = "class", "camera"
_NO_TOPIC = ("",)
_ONE_LIDAR = "a replay reads the clouds of one LiDAR"
_POSE = "x y z [m] roll pitch yaw [rad]"


@dataclass(frozen=True)
class SensorSettings(SettingsGroup):
    """Several LiDARs, their motion during a sweep, and cameras."""

    partner_topics: tuple[str, ...] = setting(
        _NO_TOPIC, "Topics of further LiDARs, whose clouds are joined to those on the topic points; \"\" alone: none.",
        fixed=True, node_only=_ONE_LIDAR)
    partner_poses: tuple[float, ...] = setting(
        (0.0,) * 6, f"Without base_frame: where each further LiDAR is mounted, {_POSE}, one after the other, seen from "
        "where sensor_pose is seen from.", low=-1000.0, high=1000.0, length=6, fixed=True, node_only=_ONE_LIDAR)
    merge_tolerance: float = setting(
        0.05, "Clouds whose stamps differ by less are joined [s]; at most half the time between two clouds on points.",
        low=0.0, high=10.0, fixed=True, node_only=_ONE_LIDAR)
    merge_timeout: float = setting(
        0.05, "How long a cloud on points waits for further LiDARs before it is computed without them [s].",
        low=0.0, high=10.0, fixed=True, node_only=_ONE_LIDAR)
    intensity_maxima: tuple[float, ...] = setting(
        (0.0,), "The value that each LiDAR writes for full intensity, the one on points first: 255.0 for bytes, 1.0 "
        "where it is 0 to 1 already; 0.0, or no value: seen from the field's type and values.",
        low=0.0, high=1e9, length=1, fixed=True)
    deskew: str = setting(
        OFF, "Bring the points, which are measured one after the other, to the cloud's stamp by how the vehicle moved: "
        "odometry (nav_msgs/Odometry on the topic odometry, whose child frame is base_frame or, without it, what "
        "sensor_pose is seen from), tf (odom_frame in /tf; needs base_frame) or off. Where the movement is not known, "
        "the cloud goes on as it is, and diagnostics say so.", choices=(OFF, ODOMETRY, TF), fixed=True)
    odom_frame: str = setting("odom", "Fixed frame of deskew = tf.", fixed=True)
    point_time_unit: str = setting(
        "auto", "Unit of the points' times; auto sees it from their spread and logs it.", choices=("auto", *UNITS),
        fixed=True)
    training_sensor: str = setting(
        "hdl-64e", "The LiDAR with whose scans the network was trained: diagnostics warn when the input is far from "
        "it; none: no comparison.", choices=("none", *TRAINING_SENSORS))
    camera_topics: tuple[str, ...] = setting(
        _NO_TOPIC, "Image topics of cameras; each needs camera_info beside it (/front/image_raw: /front/camera_info). "
        "\"\" alone: no camera.", fixed=True)
    camera_transport: str = setting(
        RAW, "How images come: raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage, JPEG or PNG, on the "
        "topic of the image with /compressed behind it).", choices=(RAW, COMPRESSED), fixed=True)
    camera_poses: tuple[float, ...] = setting(
        (0.0,) * 6, f"Without base_frame: where each camera's optical frame (z forward, x right) is, {_POSE}, one "
        "after the other, seen from where sensor_pose is seen from.", low=-1000.0, high=1000.0, length=6, fixed=True)
    cameras_rectified: bool = setting(
        False, "The images are rectified already (image_rect): P and R of camera_info hold, not K and D.", fixed=True)
    camera_tolerance: float = setting(
        0.1, "An image belongs to a cloud when their stamps differ by less [s].", low=0.0, high=10.0)
    point_colours: str = setting(
        CLASS, "Colours of ~/occupied_points: class, or camera (class colours where no camera sees the voxel).",
        choices=(CLASS, CAMERA))

    @property
    def partners(self) -> tuple[str, ...]:
        """Topics of the further LiDARs."""
        return () if self.partner_topics == _NO_TOPIC else self.partner_topics

    @property
    def cameras(self) -> tuple[str, ...]:
        """Image topics of the cameras."""
        return () if self.camera_topics == _NO_TOPIC else self.camera_topics

    def check(self) -> None:
        """Empty names among others, lists of another length, and tf without base_frame are refused with ConfigError."""
        base_frame = getattr(self, "base_frame", "")  # of another group
        for name, topics in (("partner_topics", self.partners), ("camera_topics", self.cameras)):
            if any(topic.strip("/") in ("", "points") for topic in topics):
                raise ConfigError(f"Expected parameter '{name}' to list topics other than points, got {list(topics)}")
        for name, poses, topics in (("partner_poses", self.partner_poses, self.partners),
                                    ("camera_poses", self.camera_poses, self.cameras)):
            if topics and not base_frame and (len(poses) != 6 * len(topics) or not any(poses)):
                got = f"{len(poses)} numbers" if any(poses) else "none"  # on the ground below the car is no place
                raise ConfigError(
                    f"Expected parameter '{name}' to have {_POSE} for each of {len(topics)} topics without base_frame, "
                    f"got {got}; with base_frame they come from /tf"
                )
        if len(self.intensity_maxima) > 1 + len(self.partners):
            raise ConfigError(
                "Expected parameter 'intensity_maxima' to have at most one number per LiDAR, "
                f"{1 + len(self.partners)}, got {len(self.intensity_maxima)}"
            )
        if self.deskew == TF and not base_frame:
            raise ConfigError("Expected parameter 'base_frame' to be a frame's name with deskew = tf, got ''")
