"""The sensors beside the primary LiDAR: further LiDARs, odometry and cameras, from the settings to subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from pasco_core.geometry import VoxelGrid
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.sensor_settings import COMPRESSED
from pasco_core.stream.cameras import Cameras, CameraTopics
from pasco_core.stream.ego_motion import OdometryMotion, ego_motion
from pasco_core.stream.frame_resolver import FrameResolver
from pasco_core.stream.sweep_builder import SweepBuilder
from pasco_ros import qos
from pasco_ros.frames.transform_listener import TransformListener
from pasco_ros.inputs.intake import CloudIntake
from pasco_ros.outputs.publishers import QosEvents
from pasco_ros.reporting.sensor_health import CameraHealth, PartnerHealth, SensorHealth

_POLL = 0.005  # seconds between two looks at the clouds that wait for partners


class SensorSuite:
    """What the settings say about sensors, between configure and cleanup; it listens while the node is active.

    Args:
        node: the node that subscribes.
        config: its settings.
        transforms: /tf, where the node reads it.
        grid: of the network.
        events: told of publishers that cannot be heard.
    """

    def __init__(
        self, node: Node, config: NodeConfig, transforms: TransformListener | None, grid: VoxelGrid, events: QosEvents
    ) -> None:
        self._node = node
        self._config = config
        self._events = events
        self.topics = tuple(node.resolve_topic_name(name) for name in ("points", *config.partners))
        self.resolver = FrameResolver(transforms)
        tree = None if transforms is None else transforms.tree
        self._motion = ego_motion(config, node.resolve_topic_name("odometry"), self.resolver, tree)
        self.builder = SweepBuilder(self.resolver, self._motion, grid)
        names, transport = map(node.resolve_topic_name, config.cameras), config.camera_transport
        topics = [CameraTopics.of(name, transport, number) for number, name in enumerate(names)]
        self.cameras = Cameras(topics, config, self.resolver, self._motion) if topics else None
        self._subscriptions: list[Any] = []
        self._timer: Any = None

    def listen(self, intake: CloudIntake) -> None:
        """Subscribe to everything but the primary LiDAR."""
        for number, topic in enumerate(self.topics[1:], 1):
            self._subscribe(PointCloud2, topic, partial(intake.receive, number=number))
        if isinstance(self._motion, OdometryMotion):
            self._subscribe(Odometry, "odometry", self._motion.receive, qos.ODOMETRY_INPUT)
        image = CompressedImage if self._config.camera_transport == COMPRESSED else Image
        for camera in self.cameras.all if self.cameras is not None else ():
            self._subscribe(image, camera.image_topic, camera.receive_image)
            self._subscribe(CameraInfo, camera.info_topic, camera.receive_info)
        if intake.merger is not None:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self._node.create_timer(_POLL, intake.poll, clock=steady)

    def silence(self) -> None:
        """Stop listening; called again it does nothing."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def health(self, config: NodeConfig, intake: CloudIntake | None) -> SensorHealth:
        """What the diagnostics are made from, as it is now."""
        partners = []
        if intake is not None and intake.merger is not None:
            merger, absent = intake.merger, intake.merger.absent()
            partners = [
                PartnerHealth(topic, intake.silence(i), merger.missed[i], merger.late[i], i in absent)
                for i, topic in enumerate(self.topics[1:], 1)
            ]
        motion = "" if self._motion is None else self._motion.source()
        cameras = () if self.cameras is None else self.cameras.all
        return SensorHealth(
            config.training_sensor, self.builder.statistics, motion, "; ".join(self.builder.not_deskewed), partners,
            [CameraHealth(camera.image_topic, camera.used, camera.problem) for camera in cameras],
        )

    def _subscribe(
        self, kind: type, topic: str, take: Callable[[Any], None], profile: QoSProfile = qos.SENSOR_INPUT
    ) -> None:
        resolved = self._node.resolve_topic_name(topic)
        events = SubscriptionEventCallbacks(
            incompatible_qos=lambda event: self._events.incompatible(resolved, "publisher", event)
        )
        self._subscriptions.append(
            self._node.create_subscription(kind, topic, take, profile, event_callbacks=events)
        )
