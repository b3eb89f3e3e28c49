"""What the demo records: every topic of the graph with its type and the QoS it is published with."""

from __future__ import annotations

from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray
from pasco.msg import FrameStatus
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from pasco_core.messages.outputs import OUTPUTS
from pasco_core.settings.node_config import NODE_NAME
from pasco_ros import qos
from pasco_ros.outputs.messages import message_class

NODE = f"/{NODE_NAME}"
CLOUDS = "/points"
STATUS = f"{NODE}/status"
DIAGNOSTICS = "/diagnostics"


@dataclass(frozen=True)
class Topic:
    """A recorded topic.

    Args:
        name: fully qualified name.
        type: message class of rclpy.
        qos: as it is published.
    """

    name: str
    type: type
    qos: QoSProfile

    @property
    def type_name(self) -> str:
        """Such as ``sensor_msgs/msg/PointCloud2``."""
        package, _, _ = self.type.__module__.partition(".")
        return f"{package}/msg/{self.type.__name__}"


TOPICS = (
    Topic(CLOUDS, PointCloud2, qos.PLAYED_CLOUDS),
    *(Topic(f"{NODE}/{output.name}", message_class(output.ros_type), qos.of_output(output)) for output in OUTPUTS),
    Topic(STATUS, FrameStatus, qos.STATUS),
    Topic(DIAGNOSTICS, DiagnosticArray, qos.DIAGNOSTICS),
)
