"""Transforms kept by tf2_ros, where ROS has it installed, under the rules of the own buffer."""

from __future__ import annotations

import numpy as np
import tf2_ros
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time

from pasco_core.errors import TransformError
from pasco_core.geometry.poses import rigid_matrix
from pasco_core.geometry.transform_buffer import NANO, NOT_CONNECTED, PAST, Link, Pose, TransformBuffer, Way, asked

_AUTHORITY = "/tf"


class Tf2Buffer(TransformBuffer[Link]):
    """A ``TransformBuffer`` whose samples are in a ``tf2_ros.Buffer``, which interpolates and joins them.

    tf2's own ``TransformListener`` is not used: it counts and names neither what is refused nor publishers that cannot
    be heard, and its buffer forgets everything when a clock jumps back, new transforms too.

    Args:
        window: seconds for which transforms are remembered.
    """

    def __init__(self, window: float = 10.0) -> None:
        super().__init__(window)
        self._buffer = tf2_ros.Buffer(Duration(nanoseconds=self._window))

    def _new_link(self, parent: str, static: bool) -> Link:
        return Link(parent, static)

    def _store(self, child: str, link: Link, time: int, pose: Pose) -> bool:
        if time == link.newest:  # tf2 keeps every one of them
            return False
        sent = _message(link.parent, child, time, pose)
        if link.newest is None:  # tf2 forgets what it knows of a frame that becomes static
            self._buffer.set_transform_static(sent, _AUTHORITY)
        if not link.static:
            self._buffer.set_transform(sent, _AUTHORITY)
        return True

    def _between(self, target: str, source: str, way: Way, time: int) -> np.ndarray:
        try:
            at = Time(nanoseconds=max(time, 1))  # 0 is the newest to tf2
            found = self._buffer.lookup_transform_core(target, source, at).transform
        except tf2_ros.TransformException as error:
            reason = PAST if isinstance(error, tf2_ros.ExtrapolationException) else NOT_CONNECTED
            raise TransformError(f"{asked(target, source, time)}, got: {error}", reason) from error
        move, turn = found.translation, found.rotation
        return rigid_matrix((move.x, move.y, move.z), (turn.x, turn.y, turn.z, turn.w))


def _message(parent: str, child: str, time: int, pose: Pose) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(time, NANO)
    (x, y, z), turn = pose
    move, rotation = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = float(x), float(y), float(z)
    rotation.x, rotation.y, rotation.z, rotation.w = map(float, turn)
    return message
