"""The vehicle of the soak test: sends clouds, clock and transforms, and notes what the node makes of them."""

from __future__ import annotations

import struct
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from pasco.msg import FrameStatus
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pasco_core.geometry.poses import pose_matrix
from pasco_core.messages.outputs import OUTPUTS
from pasco_core.settings.frame_settings import FrameSettings
from pasco_core.stream.outcomes import Outcome
from pasco_ros import qos
from pasco_ros.demo.topics import CLOUDS, NODE, STATUS
from pasco_ros.outputs.messages import cloud_message, message_class
from pasco_ros.simulation.sensor_messages import transform_message
from pasco_ros.soak.clouds import KINDS

BASE, LIDAR = "base_link", "velodyne"
_CLOCK_PERIOD = 0.02  # seconds
_BEGIN = 10_000.0  # seconds on the clock at the start
_ON_THE_WAY = 2.0  # seconds that a cloud is taken to need at most
_UNSTAMPED = ("instances",)  # outputs whose message begins with no header

Stamp = tuple[int, int]


class Driver(Node):
    """Sends what the schedule says and keeps the books.

    Args:
        scans: (N, 4) each, played forth and back.
        seed: for the details of broken clouds.
    """

    def __init__(self, scans: Sequence[np.ndarray], seed: int) -> None:
        super().__init__("soak_driver")
        self._scans = [*scans, *scans[-2:0:-1]]
        self._rng = np.random.default_rng(seed)
        self._started = time.monotonic()
        self._ahead = _BEGIN - self._started
        self._lock = threading.Lock()
        self._last_stamp: Stamp = (0, 0)
        self._recent: deque[tuple[float, Stamp]] = deque(maxlen=200)
        self.transforms = True
        self.sent: Counter[str] = Counter()
        self.n_sent = 0
        self.allowed: dict[Stamp, set[Outcome]] = defaultdict(set)
        self.statuses: list[FrameStatus] = []
        self.surprises: Counter[str] = Counter()
        self.outputs: Counter[str] = Counter()
        self.silent_since: float | None = None
        self._clouds = self.create_publisher(PointCloud2, CLOUDS, qos.PLAYED_CLOUDS)
        self._clock_publisher = self.create_publisher(Clock, "/clock", qos.CLOCK)
        self._tf = self.create_publisher(TFMessage, "/tf", qos.TRANSFORMS)
        self._mount = pose_matrix(FrameSettings().network_pose)
        self.create_subscription(FrameStatus, STATUS, self._note_status, qos.STATUS)
        for output in OUTPUTS:
            self.create_subscription(
                message_class(output.ros_type), f"{NODE}/{output.name}", self._noting(output.name),
                qos.recording(qos.of_output(output)), raw=True,
            )
        self.create_timer(_CLOCK_PERIOD, self._tick, clock=RosClock(clock_type=ClockType.STEADY_TIME))

    def connected(self) -> bool:
        """Whether the node listens."""
        return self._clouds.get_subscription_count() > 0

    def jump(self, seconds: float) -> None:
        """Let the clock jump, and tell it before the next cloud; clouds on their way may seem to be from the future."""
        for sent_at, stamp in self._recent:
            if time.monotonic() - sent_at < _ON_THE_WAY:
                self.allowed[stamp] |= {Outcome.REJECTED, Outcome.DROPPED_DUPLICATE}
        with self._lock:
            self._ahead += seconds
        self._tick()

    def send(self, kind: str, shift: float = 0.0, again: bool = False, lenient: bool = False) -> None:
        """Send one cloud.

        Args:
            kind: key of ``KINDS``.
            shift: seconds by which its stamp differs from now.
            again: with the stamp of the last cloud.
            lenient: whether the order of stamps may make it a duplicate, or the clock's jump one from the future.
        """
        scan = self._scans[self.n_sent % len(self._scans)]
        now = self._stamp(shift)
        stamp = self._last_stamp if again else (now.sec, now.nanosec)
        header = Header(frame_id=LIDAR, stamp=Time(sec=stamp[0], nanosec=stamp[1]))
        message = cloud_message(scan, header)
        KINDS[kind].change(message, self._rng)
        sent_as = (message.header.stamp.sec, message.header.stamp.nanosec)
        also = {Outcome.DROPPED_DUPLICATE, Outcome.REJECTED} if lenient else set()
        self.allowed[sent_as] |= KINDS[kind].allowed | also
        self._recent.append((time.monotonic(), sent_as))
        self._last_stamp = stamp
        self.sent[kind] += 1
        self.n_sent += 1
        self._clouds.publish(message)

    def _stamp(self, shift: float = 0.0) -> Time:
        seconds, nanoseconds = divmod(round((time.monotonic() + self._ahead + shift) * 1e9), 1_000_000_000)
        return Time(sec=seconds, nanosec=nanoseconds)

    def _tick(self) -> None:
        with self._lock:
            stamp = self._stamp()
            self._clock_publisher.publish(Clock(clock=stamp))
            if self.transforms:
                header = Header(frame_id=BASE, stamp=stamp)
                self._tf.publish(TFMessage(transforms=[transform_message(self._mount, header, LIDAR)]))

    def _note_status(self, status: FrameStatus) -> None:
        self.statuses.append(status)
        stamp, outcome = (status.header.stamp.sec, status.header.stamp.nanosec), Outcome(status.outcome)
        if outcome not in self.allowed.get(stamp, ()):
            self.surprises[f"{outcome.name} ({status.code}): {status.message}"[:300]] += 1

    def _noting(self, name: str) -> Callable[[bytes], None]:
        def note(data: bytes) -> None:
            self.outputs[name] += 1
            silent_since = self.silent_since
            if silent_since is not None and time.monotonic() - silent_since > 1.0:
                self.surprises[f"{name} published while inactive"] += 1
            if name not in _UNSTAMPED and struct.unpack_from("<iI", data, 4) not in self.allowed:
                self.surprises[f"{name} has a stamp that no cloud had"] += 1

        return note
