"""Every quality of service the node and the demo use, in one table."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from pasco_core.messages.outputs import Output


def _profile(reliability: ReliabilityPolicy, durability: DurabilityPolicy, depth: int) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


SENSOR_INPUT = _profile(ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE, 5)
"""Subscription to clouds: matches every publisher; equal to rclpy's qos_profile_sensor_data."""

ODOMETRY_INPUT = _profile(ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE, 100)
"""Subscription to odometry, up to hundreds of small messages a second: none may be lost to a busy moment."""

LARGE_OUTPUT = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 2)
"""Voxels and points, megabytes each: none may be lost, none is kept for who comes late."""

LATCHED_OUTPUT = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL, 1)
"""Small results: who comes late gets the last one, under its own stamp."""

STATUS = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 100)
"""One short message per input cloud."""

DIAGNOSTICS = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 10)
"""/diagnostics, as the aggregator subscribes to it."""

PLAYED_CLOUDS = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 10)
"""The demo's player: reliable for the recorder; the node's best-effort subscription matches it too."""

TRANSFORMS = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 100)
"""/tf, as tf2 subscribes to it."""

STATIC_TRANSFORMS = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL, 100)
"""/tf_static: sent once, also to who comes late."""


def of_output(output: Output) -> QoSProfile:
    """What an output of the node is published with."""
    return LATCHED_OUTPUT if output.latched else LARGE_OUTPUT


def recording(published: QoSProfile) -> QoSProfile:
    """To subscribe to everything that is published with a profile: the same with a queue that outlasts a busy moment.

    With the publisher's own depth, which is 1 for latched topics, a recorder that is late by one message loses it.
    """
    return _profile(published.reliability, published.durability, _RECORDED)


_RECORDED = 50

ODOMETRY = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 50)
"""Odometry of the simulated car."""

CLOCK = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 1)
"""/clock: only the newest time matters."""
