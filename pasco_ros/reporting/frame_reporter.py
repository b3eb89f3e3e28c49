"""What the node tells about each cloud: counters, status message, log lines, and the numbers for the diagnostics."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from pasco_core.stream.cloud_source import CloudMember
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.stream.outcomes import FrameReport, Outcome, Verdict
from pasco_ros.computing.backoff import FailureBackoff
from pasco_ros.inputs.cloud_frame import CloudFrame

_log = logging.getLogger(__name__)

_QUIET = (Outcome.DROPPED_OVERLOAD, Outcome.DROPPED_NO_SUBSCRIBER, Outcome.FLUSHED)
_REPEAT = 5.0  # seconds between log lines of the same code


class FrameReporter:
    """Settles clouds: counts them, publishes their status and logs what went wrong, at a bounded rate.

    Args:
        publish_status: (cloud, verdict, report, counts), called for every cloud of a frame.
        backoff: told of failed and successful computations.
        topic: name of the input topic.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        publish_status: Callable[[CloudMember, Verdict, FrameReport, Sequence[int]], None],
        backoff: FailureBackoff,
        topic: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish_status = publish_status
        self._backoff = backoff
        self._topic = topic
        self._clock = clock
        self._lock = threading.Lock()
        self._logged_at: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()
        self._notes: set[str] = set()
        self._problem: tuple[str, str, float] | None = None
        self.last_report: FrameReport | None = None
        self.latency: float | None = None

    def settle(self, frame: CloudFrame, verdict: Verdict) -> None:
        """Give the clouds of a frame their outcome; called once per frame, from any thread."""
        now = self._clock()
        counts = [frame.ledger.settle(verdict.outcome) for _ in frame.members]
        # A copy: of a frame that is flushed the computing thread may still write into its report.
        report = replace(frame.report, stages=dict(frame.report.stages))
        if verdict.outcome == Outcome.PUBLISHED:
            self.last_report, self.latency = report, now - frame.received
            self._backoff.succeeded()
        elif verdict.outcome == Outcome.INFERENCE_FAILED and verdict.code != "PAUSED":
            self._backoff.failed(now)
        self._log_verdict(frame, verdict, now)
        for member, counted in zip(frame.members, counts, strict=True):
            try:
                self._publish_status(member, verdict, report, counted)
            except Exception:
                _log.exception("The outcome %s of a cloud could not be published", verdict.outcome.name)

    def note(self, text: str, level: int = logging.WARNING) -> None:
        """Log a remark about the clouds, once; numbers in it do not make it another."""
        key = re.sub(r"\d+", "#", text)
        with self._lock:
            new = key not in self._notes
            self._notes.add(key)
        if new:
            _log.log(level, "%s: %s (said once)", self._topic, text)

    def problem(self) -> tuple[str, str, float] | None:
        """Code and message of the last cloud with a problem, and how many seconds ago it was."""
        problem = self._problem
        return None if problem is None else (problem[0], problem[1], self._clock() - problem[2])

    def _log_verdict(self, frame: CloudFrame, verdict: Verdict, now: float) -> None:
        if verdict.outcome == Outcome.PUBLISHED:
            return
        stamp, topics = stamp_ns(frame.header.stamp) / 1e9, ", ".join(member.topic for member in frame.members)
        text = f"Cloud {stamp:.3f} on {topics}: {verdict.outcome.name} ({verdict.code}). {verdict.message}"
        if verdict.outcome in _QUIET:
            _log.debug("%s", text)
            return
        self._problem = (verdict.code, verdict.message, now)
        with self._lock:
            due = now - self._logged_at.get(verdict.code, float("-inf")) >= _REPEAT
            if not due:
                self._unlogged[verdict.code] += 1
                return
            self._logged_at[verdict.code] = now
            before = self._unlogged.pop(verdict.code, 0)
        _log.warning("%s%s", text, f" ({before} more like it since the last such line)" if before else "")
