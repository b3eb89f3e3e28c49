"""The node's outputs with rclpy's types and QoS; what they hold is made by ``pasco_core.messages``."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.qos import QoSProfile

from pasco_core.messages import outputs
from pasco_ros.outputs.messages import TYPES
from pasco_ros.qos import LARGE_OUTPUT, LATCHED_OUTPUT
from pasco_ros.settings.node_config import NodeConfig


@dataclass(frozen=True)
class Output:
    """One output topic, ``~/<name>``; the parameter ``publish_<name>`` switches it.

    Args:
        name: name of the topic in the node's namespace.
        type: message type.
        qos: quality of service of the publisher.
        latched: whether a subscriber that comes late gets the last message, so that it must always be made.
        needs_camera: whether it exists only where the settings name a camera.
    """

    name: str
    type: type
    qos: QoSProfile
    latched: bool
    needs_camera: bool = False

    @classmethod
    def of(cls, output: outputs.Output) -> Output:
        """An output of the core's table."""
        quality = LATCHED_OUTPUT if output.latched else LARGE_OUTPUT
        return cls(output.name, getattr(TYPES, output.type), quality, output.latched, output.needs_camera)

    def enabled(self, config: NodeConfig) -> bool:
        """Whether the settings switch this output on."""
        return bool(getattr(config, f"publish_{self.name}")) and bool(config.cameras or not self.needs_camera)


OUTPUTS = tuple(map(Output.of, outputs.OUTPUTS))
CAMERA_OUTPUTS = tuple(map(Output.of, outputs.CAMERA_OUTPUTS))
"""What is made of a scene and the pictures of cameras."""
