"""The topics of the simulated car: what is published for a moment and for a frame of the drive."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from pasco.msg import VoxelGrid
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from pasco_core.data.simulation.drive import FRAME_RATE
from pasco_core.errors import ConfigError
from pasco_core.messages.camera_view import image_message
from pasco_ros import qos
from pasco_ros.outputs.messages import TYPES
from pasco_ros.simulation import sensor_messages as messages
from pasco_ros.simulation.car import Car, CarFrame, camera_mount, kitti_lidar_mount
from pasco_ros.simulation.settings import SimulationSettings

MAP, ODOM, BASE = "map", "odom", "base_link"
CAMERA = "camera_optical_frame"
TRUTH = "voxel_truth"
"""Frame of the voxel truth: the place of KITTI's LiDAR, wherever the car's own LiDARs sit."""


class CarPublishers:
    """Publishers of everything the car tells.

    Args:
        node: the node that publishes.
        config: which topics and frames.
        car: for its poses; the frame odom begins where the car does.

    Raises:
        ConfigError: the message type of /tf is not installed.
    """

    def __init__(self, node: Node, config: SimulationSettings, car: Car) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError as error:
            raise ConfigError("Expected the ROS package tf2_msgs to be installed, got none") from error
        self._config, self._car = config, car
        self._start = car.pose(config.start_frame / FRAME_RATE)
        self._tf_message = TFMessage
        self._tf = node.create_publisher(TFMessage, "/tf", qos.TRANSFORMS)
        self._tf_static = node.create_publisher(TFMessage, "/tf_static", qos.STATIC_TRANSFORMS)
        self._clock = node.create_publisher(Clock, "/clock", qos.CLOCK) if config.clock else None
        self._odometry = node.create_publisher(Odometry, "odometry", qos.ODOMETRY)
        self._clouds = [node.create_publisher(PointCloud2, topic, qos.PLAYED_CLOUDS) for topic in config.lidar_topics]
        self._image = node.create_publisher(Image, "camera/image", qos.PLAYED_CLOUDS) if config.image_rate else None
        self._info = node.create_publisher(CameraInfo, "camera/camera_info", qos.PLAYED_CLOUDS)
        self._truth = node.create_publisher(VoxelGrid, "voxel_truth", qos.LARGE_OUTPUT) if config.truth_rate else None
        self._static = {frame: (BASE, mount) for frame, mount in zip(config.lidar_frames, config.mounts, strict=True)}
        self._static |= {
            ODOM: (MAP, self._start), CAMERA: (BASE, camera_mount(config.sensor)),
            TRUTH: (BASE, kitti_lidar_mount(config.sensor)),
        }

    def begin(self, stamp: Time) -> None:
        """Send what does not move, for this drive."""
        self._tf_static.publish(self._tf_message(transforms=[
            messages.transform_message(mount, Header(frame_id=parent, stamp=stamp), child)
            for child, (parent, mount) in self._static.items()
        ]))

    def moment(self, time: float, stamp: Time) -> None:
        """The clock, and where the car is ``time`` seconds into the town's time."""
        if self._clock is not None:
            self._clock.publish(Clock(clock=stamp))
        header = Header(frame_id=ODOM, stamp=stamp)
        pose = np.linalg.inv(self._start) @ self._car.pose(time)
        self._odometry.publish(messages.odometry_message(pose, *self._car.velocity(time), header, BASE))
        self._tf.publish(self._tf_message(transforms=[messages.transform_message(pose, header, BASE)]))

    def frame(self, frame: CarFrame, stamp: Time) -> None:
        """What the sensors see."""
        timed = self._config.sweep == "raw"
        for publisher, name, scan in zip(self._clouds, self._config.lidar_frames, frame.scans, strict=True):
            publisher.publish(messages.scan_message(scan, Header(frame_id=name, stamp=stamp), timed))
        if self._image is not None and frame.image is not None:
            height, width, _ = frame.image.shape
            header = Header(frame_id=CAMERA, stamp=stamp)
            self._info.publish(messages.camera_info_message(width, height, header))
            self._image.publish(image_message(TYPES, frame.image, header))
        if self._truth is not None and frame.truth is not None:
            self._truth.publish(messages.truth_message(frame.truth, Header(frame_id=TRUTH, stamp=stamp)))
