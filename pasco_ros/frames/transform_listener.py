"""Takes in /tf and /tf_static, and waits for a transform on behalf of another thread."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node

from pasco_core.errors import ConfigError, TransformError
from pasco_core.geometry.transform_buffer import NANO, PAST, TransformBuffer
from pasco_core.geometry.transform_tree import TransformTree
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.stream.stamped_transform import insert_stamped
from pasco_ros import qos
from pasco_ros.outputs.publishers import QosEvents
from pasco_ros.reporting.health import TransformCounts

_log = logging.getLogger(__name__)

_MAX_TOLD = 100  # different problems that are logged


class TransformListener:
    """Subscribes to the transforms for as long as it is not closed.

    Args:
        node: the node that subscribes; its executor's thread fills the tree.
        cache_time: seconds for which transforms are remembered.
        events: told of publishers that cannot be heard.

    Raises:
        ConfigError: the message type of /tf is not installed.
    """

    def __init__(self, node: Node, cache_time: float, events: QosEvents) -> None:
        kind = _message_type()
        self.tree = open_buffer(cache_time)
        self.counts = TransformCounts(kept_by="own buffer" if isinstance(self.tree, TransformTree) else "tf2_ros")
        self._node = node
        self._changed = threading.Condition()
        self._closed = False
        self._told: set[tuple[str, str]] = set()
        self._subscriptions = [
            node.create_subscription(
                kind, topic, partial(self._take, static), profile, event_callbacks=SubscriptionEventCallbacks(
                    incompatible_qos=partial(events.incompatible, topic, "publisher"))
            )
            for topic, static, profile in (("/tf", False, qos.TRANSFORMS), ("/tf_static", True, qos.STATIC_TRANSFORMS))
        ]

    def lookup(self, target: str, source: str, at: int, timeout: float) -> np.ndarray:
        """The transform (4, 4) from ``source`` to ``target`` at a time in ns, waited for up to ``timeout`` seconds.

        Not for the executor's thread, which must go on to take transforms in.

        Raises:
            TransformError: it did not come in time, or, at once, it is older than what is remembered.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                try:
                    return self.tree.lookup(target, source, at)
                except TransformError as error:
                    left = deadline - time.monotonic()
                    if error.reason == PAST or left <= 0 or self._closed:
                        raise
                self._changed.wait(left)

    def flush(self, now: int | None = None) -> None:
        """Forget all transforms but the static ones, and those of ``now``: the time in ns after a jump."""
        self.tree.flush(now)
        self.counts.newest = 0

    def close(self) -> None:
        """Unsubscribe, and let go of who waits."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, static: bool, message: Any) -> None:
        for transform in message.transforms:
            self._insert(transform, static)
        with self._changed:
            self._changed.notify_all()

    def _insert(self, transform: Any, static: bool) -> None:
        self.counts.received += 1
        child = transform.child_frame_id
        stamp, before = stamp_ns(transform.header.stamp), self.tree.link_of(child)
        try:
            insert_stamped(self.tree, transform, static)
        except TransformError as error:
            self.counts.refused += 1
            self._tell(child, error.reason, f"Refused on {'/tf_static' if static else '/tf'}: {error}")
            return
        if not static:
            self.counts.newest = max(self.counts.newest, stamp)
        after = self.tree.link_of(child)
        if before is None or after is None or before is after:
            return
        if before.parent != after.parent:
            what = f"hung below {before.parent!r} and hangs below {after.parent!r} now"
            self._tell(child, "PARENT", f"Frame {child!r} {what}: its past is forgotten")
        elif before.newest is not None and after.newest is not None and stamp < before.newest:
            back = f"The stamps of {child!r} in {after.parent!r} jumped back by {(before.newest - stamp) / NANO:.3f} s"
            self._tell(child, "JUMP", f"{back}: its past is forgotten")

    def _tell(self, child: str, reason: str, problem: str) -> None:
        """Remember a problem for the diagnostics, and log it the first time."""
        self.counts.problem, self.counts.problem_time = problem, time.monotonic()
        if (child, reason) not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add((child, reason))
            _log.warning("%s (said once)", problem)


def open_buffer(cache_time: float) -> TransformBuffer:
    """What keeps transforms for ``cache_time`` seconds: tf2_ros where ROS has it, else the own tree."""
    try:
        import_module("tf2_ros")
    except ImportError as error:
        _log.info("Transforms are kept by the own buffer: tf2_ros is not there (%s)", error)
        return TransformTree(cache_time)
    from pasco_ros.frames.tf2_buffer import Tf2Buffer

    _log.info("Transforms are kept by tf2_ros")
    return Tf2Buffer(cache_time)


def _message_type() -> type:
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError as error:
        raise ConfigError(
            "Expected the ROS package tf2_msgs to be installed, because base_frame needs /tf, got none: "
            "install it (ros-<distro>-tf2-msgs), or leave base_frame empty and set sensor_pose"
        ) from error
    return TFMessage
