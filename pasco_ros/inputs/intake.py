"""What happens to a cloud when it arrives: cheap checks in the executor's thread, then the computing thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.cloud_source import CloudMember, CloudSource
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.stream.outcomes import FrameLedger, Outcome, Verdict
from pasco_ros.computing.backoff import FailureBackoff
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.inputs.cloud_frame import CloudFrame
from pasco_ros.inputs.sweep_merger import Sorted, SweepMerger

_log = logging.getLogger(__name__)


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
        jumped: told in a sentence that the stamps have jumped back, and to which time in ns, so that older things are
            forgotten elsewhere too.
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
        jumped: Callable[[str, int], None] = lambda sentence, now: None,
        total: FrameLedger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = [CloudSource(topic, config(), number) for number, topic in enumerate(topics)]
        self._last_clouds: list[float | None] = [None for _ in topics]
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
        source, now = self._sources[number], self._clock()
        self._last_clouds[number] = now
        member = source.member(message)
        self.ledger.receive()
        with self._lock:
            verdict = self._closed or self._guarded_refusal(member, source)
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

    def clock_jumped(self, verdict: Verdict, now: int | None = None) -> None:
        """The node's clock jumped: clouds on their way end with ``verdict``, and the order of stamps begins anew.

        Args:
            verdict: their outcome.
            now: the time in ns after the jump: where clouds of that time came before it was noticed, these go on.
        """
        with self._lock:
            begun = now is not None and any(source.is_of(now) for source in self._sources)
            for source in self._sources:
                source.restart()
            if not begun:
                self._flush(verdict)

    @property
    def last_cloud(self) -> float | None:
        """When the primary's last cloud came."""
        return self._last_clouds[0]

    def silence(self, number: int = 0) -> float:
        """Seconds since the last cloud of a LiDAR, or since the start before its first."""
        last = self._last_clouds[number]
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

    def _guarded_refusal(self, member: CloudMember, source: CloudSource) -> Verdict | None:
        try:
            return self._refusal(member, source)
        except Exception as error:
            _log.exception("A cloud on %s could not be checked", member.topic)
            return Verdict(Outcome.REJECTED, "CHECK_FAILED", f"{type(error).__name__}: {error}")

    def _refusal(self, member: CloudMember, source: CloudSource) -> Verdict | None:
        config = self._config()
        verdict = source.check(member, self._now(), config)
        if verdict is not None and verdict.outcome != Outcome.FLUSHED:
            return verdict
        if verdict is not None:
            _log.warning("%s", verdict.message)
            for other in self._sources:  # theirs jump back too: one flush is enough
                if other is not source:
                    other.restart()
            self._flush(verdict)
            self._jumped(verdict.message, stamp_ns(member.message.header.stamp))
        if config.skip_without_subscribers and not self._listened_to():
            return Verdict(Outcome.DROPPED_NO_SUBSCRIBER, "NO_SUBSCRIBER", "No output has a subscriber")
        pause = self._backoff.pause_left(self._clock())
        if pause > 0:
            message = f"{self._backoff.failures} computations failed in a row; next attempt in {pause:.1f} s"
            return Verdict(Outcome.INFERENCE_FAILED, "PAUSED", message)
        return None
