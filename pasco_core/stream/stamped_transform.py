"""A geometry_msgs/TransformStamped, of rclpy or of a bag, on its way into a buffer of transforms."""

from __future__ import annotations

from typing import Any

from pasco_core.geometry.transform_buffer import TransformBuffer
from pasco_core.stream.header_checks import stamp_ns


def insert_stamped(tree: TransformBuffer, stamped: Any, static: bool) -> bool:
    """Take a transform in; returns whether it was kept.

    Raises:
        TransformError: as ``TransformBuffer.insert``.
    """
    move, turn = stamped.transform.translation, stamped.transform.rotation
    return tree.insert(
        stamped.header.frame_id, stamped.child_frame_id, stamp_ns(stamped.header.stamp), (move.x, move.y, move.z),
        (turn.x, turn.y, turn.z, turn.w), static,
    )
