"""What sends transforms and clock times to a node under test."""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped
from node_bench import wait_for
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from pasco_ros import qos

STILL = (0.0, 0.0, 0.0, 1.0)
TF = {"base_frame": "base", "diagnostics_period": 0.1}


class Frames:
    """Sends transforms and clock times to a node under test."""

    def __init__(self, node):
        self._node = node
        self._tf = node.client.create_publisher(TFMessage, "/tf", qos.TRANSFORMS)
        self._static = node.client.create_publisher(TFMessage, "/tf_static", qos.STATIC_TRANSFORMS)
        self._clock = node.client.create_publisher(Clock, "/clock", 10)

    def connected(self):
        wait_for(lambda: self._tf.get_subscription_count() and self._static.get_subscription_count())
        return self

    def send(self, parent, child, at=None, move=(0.0, 0.0, 1.73), turn=STILL):
        """The transform at a time in ns, or a static one; returns when the node has it."""
        sent = TransformStamped(child_frame_id=child)
        sent.header.frame_id = parent
        if at is not None:
            sent.header.stamp.sec, sent.header.stamp.nanosec = divmod(at, 1_000_000_000)
        to, rotation = sent.transform.translation, sent.transform.rotation
        to.x, to.y, to.z = map(float, move)
        rotation.x, rotation.y, rotation.z, rotation.w = map(float, turn)
        parts = self._node.node._parts
        before = parts.transforms.counts.received if parts else 0
        (self._static if at is None else self._tf).publish(TFMessage(transforms=[sent]))
        if parts:
            wait_for(lambda: parts.transforms.counts.received > before)

    def tick(self, seconds):
        """Set the simulated clock; returns when the node has it."""
        wait_for(lambda: self._clock.get_subscription_count())
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(round(seconds * 1e9), 1_000_000_000)
        self._clock.publish(message)
        wait_for(lambda: self._node.node._now() == round(seconds * 1e9))
