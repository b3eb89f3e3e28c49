"""How a sensor moves during a sweep, as nav_msgs/Odometry or /tf tell it."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from pasco_core.data.deskew import PosesAt
from pasco_core.errors import TransformError
from pasco_core.geometry.poses import rigid_matrix
from pasco_core.geometry.trajectory import Trajectory
from pasco_core.geometry.transform_buffer import TransformBuffer
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.sensor_settings import ODOMETRY, TF
from pasco_core.stream.frame_resolver import FrameResolver
from pasco_core.stream.header_checks import stamp_ns

_SAMPLES = 9  # of /tf over a sweep
_RUN_UP = 50_000_000  # ns before the last sample, so that there is a movement to go on with


class EgoMotion(Protocol):
    """Where a sensor was at any time; for the computing thread."""

    def poses_of(self, header: Any, mounted: np.ndarray, config: NodeConfig) -> PosesAt:
        """Poses of the frame of a cloud in a fixed frame.

        Args:
            header: of the cloud.
            mounted: pose (4, 4) of the cloud's frame in the vehicle's.
            config: the settings.
        """

    def source(self) -> str:
        """In words, where the movement comes from and how much of it is known."""


class OdometryMotion:
    """The movement by odometry messages, which the executor's thread brings.

    Args:
        topic: where they come from, resolved.
        resolver: where the sensor is on what the odometry moves.
    """

    def __init__(self, topic: str, resolver: FrameResolver) -> None:
        self._topic = topic
        self._resolver = resolver
        self._trajectory = Trajectory()
        self._moved = ""
        self.received = self.refused = 0
        self.problem = ""

    def receive(self, message: Any) -> None:
        """Take one nav_msgs/Odometry; a pose that is none is refused and counted."""
        self.received += 1
        position, turn = message.pose.pose.position, message.pose.pose.orientation
        values = (position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w)
        norm = math.sqrt(sum(value * value for value in values[3:]))
        if not all(map(math.isfinite, values)) or not abs(norm - 1) <= 0.01:
            self.refused += 1
            got = ", ".join(f"{value:g}" for value in values)
            self.problem = (
                f"Expected the pose on {self._topic} to be finite with a quaternion of length 1, got ({got})"
            )
            return
        if message.child_frame_id != self._moved:
            self._moved, self._trajectory = message.child_frame_id, Trajectory()
        self._trajectory.add(stamp_ns(message.header.stamp), rigid_matrix(values[:3], values[3:]))

    def poses_of(self, header: Any, mounted: np.ndarray, config: NodeConfig) -> PosesAt:
        """As ``EgoMotion`` says; nothing is known where /tf does not tell where the sensor is on what moves."""
        moved, trajectory = self._moved.removeprefix("/"), self._trajectory
        if moved == header.frame_id.removeprefix("/"):
            return trajectory.at
        if config.base_frame and moved and moved != config.base_frame.removeprefix("/"):
            try:
                mounted = self._resolver.in_frame(moved, header)
            except TransformError as error:
                self.problem = str(error)
                return lambda times: None

        def poses_at(times: np.ndarray) -> np.ndarray | None:
            poses = trajectory.at(times)
            return None if poses is None else poses @ mounted

        return poses_at

    def source(self) -> str:
        """In words, where the movement comes from and how much of it is known."""
        covers = self._trajectory.covers()
        span = "" if covers is None else f"{covers[0] / 1e9:.3f} to {covers[1] / 1e9:.3f} s"
        known = f"known from {span}" if span else "no movement known"
        problem = f"; last problem: {self.problem}" if self.problem else ""
        return f"{self._topic}: {known}, {self.received} messages, {self.refused} refused{problem}"


class TfMotion:
    """The movement by /tf.

    Args:
        tree: the transforms.
        fixed: name of a frame that stands still over a sweep.
    """

    def __init__(self, tree: TransformBuffer, fixed: str) -> None:
        self._tree = tree
        self._fixed = fixed
        self._problem = ""

    def poses_of(self, header: Any, mounted: np.ndarray, config: NodeConfig) -> PosesAt:
        """As ``EgoMotion`` says; ``mounted`` is not needed, for /tf tells where the sensor itself is."""

        def poses_at(times: np.ndarray) -> np.ndarray | None:
            try:
                return self._way(header.frame_id, int(times.min()), int(times.max())).at(times)
            except TransformError as error:
                self._problem = str(error)
                return None

        return poses_at

    def source(self) -> str:
        """In words, where the movement comes from and what was wrong last."""
        return f"/tf, fixed frame {self._fixed!r}" + (f"; last problem: {self._problem}" if self._problem else "")

    def _way(self, frame: str, first: int, last: int) -> Trajectory:
        newest = self._tree.newest_common(self._fixed, frame)
        last = last if newest is None else min(last, newest)
        way = Trajectory()
        first = min(first, last - _RUN_UP)
        for number in range(_SAMPLES):  # whole numbers: a float of nanoseconds since 1970 could lie after the newest
            time = first + (last - first) * number // (_SAMPLES - 1)
            way.add(time, self._tree.lookup(self._fixed, frame, time))
        return way


def ego_motion(
    config: NodeConfig, topic: str, resolver: FrameResolver, tree: TransformBuffer | None
) -> EgoMotion | None:
    """What ``deskew`` asks for; None where nothing is to be de-skewed.

    Args:
        config: the settings.
        topic: of the odometry, resolved.
        resolver: where the sensors are.
        tree: the transforms, None where no /tf is read.
    """
    if config.deskew == ODOMETRY:
        return OdometryMotion(topic, resolver)
    return TfMotion(tree, config.odom_frame) if config.deskew == TF and tree is not None else None
