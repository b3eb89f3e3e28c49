"""What happens to a cloud when it arrives: cheap checks in the executor's thread, then the computing thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pasco_core.data.cloud_message import EMPTY, check_cloud
from pasco_core.data.intensity import IntensityScale
from pasco_core.data.point_times import PointTimes
from pasco_core.errors import CloudError
from pasco_core.stream.header_checks import StampOrder, check_header, stamp_ns
from pasco_core.stream.outcomes import FrameLedger, Outcome, Verdict
from pasco_ros.computing.backoff import FailureBackoff
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.inputs.cloud_frame import CloudFrame, CloudMember
from pasco_ros.inputs.sweep_merger import Sorted, SweepMerger
from pasco_ros.settings.node_config import NodeConfig

_log = logging.getLogger(__name__)


class _Stream:
    """One topic with clouds during one activation."""

    def __init__(self, topic: str, number: int, config: NodeConfig) -> None:
        maximum = config.intensity_maxima[number] if number < len(config.intensity_maxima) else 0.0
        self.topic = topic
        self.order = StampOrder(topic)
        self.last_cloud: float | None = None
        self._number = number
        self._scale = IntensityScale(maximum or None)
        self._times = PointTimes(config.point_time_unit)

    def member(self, message: Any) -> CloudMember:
        return CloudMember(message, self.topic, scale=self._scale, times=self._times, number=self._number)


class CloudIntake:
    """Receives the clouds of one activation; each is rejected, dropped or handed to the worker.

    Args:
        topics: names of the input topics: that of the primary LiDAR, then those of its partners.
        worker: the computing thread.
        settle: gives a cloud its outcome.
        backoff: whether the node pauses after failures.
        config: the settings as they are now.
        now: the node's clock in ns.
        listened_to: whether any output has a subscriber.
        jumped: told in a sentence that the stamps have jumped back, so that older things are forgotten elsewhere too.
        total: counts the clouds of all activations.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        topics: Sequence[str],
        worker: LatestFrameWorker[CloudFrame, Any],
        settle: Callable[[CloudFrame, Verdict], None],
        backoff: FailureBackoff,
        config: Callable[[], NodeConfig],
        now: Callable[[], int],
        listened_to: Callable[[], bool],
        jumped: Callable[[str], None] = lambda sentence: None,
        total: FrameLedger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = [_Stream(topic, number, config()) for number, topic in enumerate(topics)]
        self._worker = worker
        self._settle = settle
        self._backoff = backoff
        self._config = config
        self._now = now
        self._listened_to = listened_to
        self._jumped = jumped
        self.merger: SweepMerger[CloudMember] | None = None
        if len(topics) > 1:
            self.merger = SweepMerger(len(topics), config().merge_tolerance, config().merge_timeout)
        self._clock = clock
        self._lock = threading.Lock()
        self._closed: Verdict | None = None
        self.ledger = FrameLedger(total)
        self.started = clock()

    def receive(self, message: Any, number: int = 0) -> None:
        """Take one PointCloud2 of a LiDAR; whatever happens, it is counted and meets an outcome."""
        stream, now = self._streams[number], self._clock()
        stream.last_cloud = now
        member = stream.member(message)
        self.ledger.receive()
        with self._lock:
            verdict = self._closed or self._guarded_refusal(member, stream)
            if verdict is None and self.merger is None:
                self._worker.submit(self._frame(member))
            elif verdict is None and self.merger is not None:
                self._go_on(self.merger.add(number, stamp_ns(message.header.stamp), member, now))
        if verdict is not None:
            self._settle(self._frame(member), verdict)

    def poll(self) -> None:
        """Let a frame go on whose time to wait for partners is over; to be called every few milliseconds."""
        with self._lock:
            if self.merger is not None:
                self._go_on(self.merger.poll(self._clock()))

    def close(self, verdict: Verdict) -> None:
        """The end of the activation: clouds on their way, and any that still come, end with ``verdict``."""
        with self._lock:
            self._closed = verdict
            self._flush(verdict)

    def clock_jumped(self, verdict: Verdict) -> None:
        """The node's clock jumped: clouds on their way end with ``verdict``, and the order of stamps begins anew."""
        with self._lock:
            for stream in self._streams:
                stream.order = StampOrder(stream.topic)
            self._flush(verdict)

    @property
    def last_cloud(self) -> float | None:
        """When the primary's last cloud came."""
        return self._streams[0].last_cloud

    def silence(self, number: int = 0) -> float:
        """Seconds since the last cloud of a LiDAR, or since the start before its first."""
        last = self._streams[number].last_cloud
        return self._clock() - (self.started if last is None else last)

    def _frame(self, *members: CloudMember) -> CloudFrame:
        return CloudFrame(members, self.ledger, self._clock())

    def _go_on(self, step: Sorted[CloudMember]) -> None:
        for merged in step.ready:
            self._worker.submit(self._frame(*merged.items))
        for member in step.late:
            message = f"The clouds of its time were computed without it after {self._config().merge_timeout:g} s"
            self._settle(self._frame(member), Verdict(Outcome.DROPPED_STALE, "LATE", message))
        for member in step.unmatched:
            message = "No cloud of the primary LiDAR was near in time, or another one of this topic was nearer"
            self._settle(self._frame(member), Verdict(Outcome.DROPPED_OVERLOAD, "UNMATCHED", message))

    def _flush(self, verdict: Verdict) -> None:
        self._worker.flush(verdict)
        for member in self.merger.flush() if self.merger is not None else ():
            self._settle(self._frame(member), verdict)

    def _guarded_refusal(self, member: CloudMember, stream: _Stream) -> Verdict | None:
        try:
            return self._refusal(member, stream)
        except Exception as error:
            _log.exception("A cloud on %s could not be checked", member.topic)
            return Verdict(Outcome.REJECTED, "CHECK_FAILED", f"{type(error).__name__}: {error}")

    def _refusal(self, member: CloudMember, stream: _Stream) -> Verdict | None:
        config = self._config()
        refusal = check_header(member.message.header, member.topic, self._now(), config.future_tolerance)
        if refusal is not None:
            return refusal
        try:
            member.layout = check_cloud(member.message, member.topic)
        except CloudError as error:
            if error.code != EMPTY:
                return Verdict(Outcome.REJECTED, error.code, str(error))
            if config.empty_cloud == "skip":
                return Verdict(Outcome.EMPTY, EMPTY, str(error))
        order = stream.order.take(member.message.header.stamp)
        if order is not None and order.outcome != Outcome.FLUSHED:
            return order
        if order is not None:
            _log.warning("%s", order.message)
            for other in self._streams:  # theirs jump back too: one flush is enough
                if other is not stream:
                    other.order = StampOrder(other.topic)
            self._flush(order)
            self._jumped(order.message)
        if config.skip_without_subscribers and not self._listened_to():
            return Verdict(Outcome.DROPPED_NO_SUBSCRIBER, "NO_SUBSCRIBER", "No output has a subscriber")
        pause = self._backoff.pause_left(self._clock())
        if pause > 0:
            message = f"{self._backoff.failures} computations failed in a row; next attempt in {pause:.1f} s"
            return Verdict(Outcome.INFERENCE_FAILED, "PAUSED", message)
        return None
