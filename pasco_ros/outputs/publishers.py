"""The node's publishers, and what it learns about partners that do not fit."""

from __future__ import annotations

from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import qos_policy_name_from_kind

from pasco_core.messages.outputs import OUTPUTS, Output, enabled_outputs
from pasco_core.settings.node_config import NodeConfig
from pasco_ros import qos
from pasco_ros.outputs.messages import message_class


class QosEvents:
    """Collects incompatible partners and lost clouds for the diagnostics."""

    def __init__(self) -> None:
        self._sentences: dict[tuple[str, str], str] = {}
        self.n_lost = 0

    def incompatible(self, topic: str, partner: str, event: Any) -> None:
        """A partner on ``topic`` wants or offers another quality of service."""
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._sentences[topic, partner] = (
            f"{event.total_count} {partner}(s) on {topic} have an incompatible QoS ({policy}) and are not connected"
        )

    def lost(self, event: Any) -> None:
        """Clouds were lost in transport."""
        self.n_lost = event.total_count

    def sentences(self) -> tuple[str, ...]:
        """One sentence per topic and kind of partner."""
        return tuple(self._sentences.values())


class OutputPublishers:
    """One lifecycle publisher per output that the settings switch on.

    Args:
        node: the node that publishes.
        config: its settings.
        events: told of incompatible subscribers.
    """

    def __init__(self, node: LifecycleNode, config: NodeConfig, events: QosEvents) -> None:
        self._node = node
        self._latched = {output.name for output in OUTPUTS if output.latched}
        self._publishers = {output.name: self._create(output, events) for output in enabled_outputs(config)}

    def wanted(self, name: str) -> bool:
        """Whether a message of this output can reach somebody: it has a subscriber, or is kept for a late one."""
        publisher = self._publishers.get(name)
        return publisher is not None and (name in self._latched or publisher.get_subscription_count() > 0)

    def listened_to(self) -> bool:
        """Whether any output has a subscriber."""
        return any(publisher.get_subscription_count() > 0 for publisher in self._publishers.values())

    def publish(self, name: str, message: Any) -> None:
        """Publish a message of output ``name``."""
        self._publishers[name].publish(message)

    def destroy(self) -> None:
        """Remove the publishers from the node."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def _create(self, output: Output, events: QosEvents) -> LifecyclePublisher:
        topic = self._node.resolve_topic_name(f"~/{output.name}")
        callbacks = PublisherEventCallbacks(
            incompatible_qos=lambda event: events.incompatible(topic, "subscriber", event)
        )
        return self._node.create_lifecycle_publisher(
            message_class(output.ros_type), f"~/{output.name}", qos.of_output(output), event_callbacks=callbacks
        )
