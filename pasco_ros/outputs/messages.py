"""The messages of ``pasco_core.messages`` as rclpy's, and those that only the node has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from types import SimpleNamespace

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from pasco_core.messages import markers, scene_messages
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_ros.reporting.health import Condition


def message_class(name: str) -> type:
    """rclpy's class of a ROS type, such as ``sensor_msgs/msg/PointCloud2``."""
    package, _, short = name.split("/")
    return getattr(import_module(f"{package}.msg"), short)


TYPES = SimpleNamespace(**{short: message_class(name) for short, name in MESSAGE_TYPES.items()})
"""rclpy's message classes, as the builders of messages take them."""

compress_layers = scene_messages.compress_layers
cloud_message = partial(scene_messages.cloud_message, TYPES)
structured_cloud_message = partial(scene_messages.structured_cloud_message, TYPES)
voxel_grid_message = partial(scene_messages.voxel_grid_message, TYPES)
unknown_voxel_grid_message = partial(scene_messages.unknown_voxel_grid_message, TYPES)
layered_grid_message = partial(scene_messages.layered_grid_message, TYPES)
segment_array_message = partial(scene_messages.segment_array_message, TYPES)
no_segments_message = partial(scene_messages.no_segments_message, TYPES)
occupied_points_message = partial(scene_messages.occupied_points_message, TYPES)
no_points_message = partial(scene_messages.no_points_message, TYPES)
plane_message = partial(scene_messages.plane_message, TYPES)
status_message = partial(scene_messages.status_message, TYPES)
instance_markers = partial(markers.instance_markers, TYPES)


def diagnostics_message(conditions: Sequence[Condition], node: str, hardware: str, stamp: Time) -> DiagnosticArray:
    """The conditions of a node for /diagnostics.

    Args:
        conditions: as ``health.assess`` gives them.
        node: name of the node, which each condition's name begins with.
        hardware: what the aggregator groups by, here the weights.
        stamp: the node's time.
    """
    statuses = [
        DiagnosticStatus(
            level=bytes([condition.level]), name=f"{node}: {condition.name}", message=condition.message,
            hardware_id=hardware, values=[KeyValue(key=key, value=value) for key, value in condition.values.items()],
        )
        for condition in conditions
    ]
    return DiagnosticArray(header=Header(stamp=stamp), status=statuses)
