"""The computing thread between the subscription and the publishers: the newest frame wins and none is forgotten."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from pasco_core.errors import CloudError
from pasco_core.stream.outcomes import Outcome, Verdict

Frame = TypeVar("Frame")
Result = TypeVar("Result")
_Step = TypeVar("_Step")

_log = logging.getLogger(__name__)


class _Job(Generic[Frame]):
    """A submitted frame and whether it has met its outcome."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.started = 0.0
        self._lock = threading.Lock()

    @property
    def settled(self) -> bool:
        """Whether somebody has taken it upon them to settle the frame."""
        return self._lock.locked()

    def claim(self) -> bool:
        """Whether the caller is the one, of all threads, who settles the frame."""
        return self._lock.acquire(blocking=False)


class LatestFrameWorker(Generic[Frame, Result]):
    """Computes frames one at a time in a thread of its own and holds at most one more that waits.

    A frame that is submitted while another waits takes its place (DROPPED_OVERLOAD for the older). Every submitted
    frame is settled exactly once, also when its computation raises, when it is flushed, and when the worker stops.

    Args:
        compute: frame -> result, in the worker's thread. A ``CloudError`` becomes EMPTY or REJECTED with its code,
            any other exception INFERENCE_FAILED. It may return a ``Verdict`` instead of a result to end the frame.
        deliver: (frame, result) -> verdict, in the worker's thread; never called for a frame that was flushed, and
            never running any more once ``flush`` has returned.
        settle: (frame, verdict), called once per frame, from the worker's or the caller's thread.
        name: name of the thread.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        compute: Callable[[Frame], Result | Verdict],
        deliver: Callable[[Frame, Result], Verdict],
        settle: Callable[[Frame, Verdict], None],
        name: str = "inference",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compute = compute
        self._deliver = deliver
        self._settle = settle
        self._name = name
        self._clock = clock
        self._wake = threading.Condition()
        self._delivery = threading.RLock()
        self._waiting: _Job[Frame] | None = None
        self._current: _Job[Frame] | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def busy(self) -> float:
        """Seconds since the present computation began, 0 between computations."""
        job = self._current
        return 0.0 if job is None else self._clock() - job.started

    def start(self) -> None:
        """Start the thread. Called again it replaces a thread that died, whose frame is settled as failed."""
        if self.alive or self._stopping:
            return
        dead, self._current = self._current, None
        self._end(dead, Verdict(Outcome.INFERENCE_FAILED, "WORKER_DIED", "The computing thread had ended"))
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def submit(self, frame: Frame) -> None:
        """Take a frame; returns at once."""
        job = _Job(frame)
        with self._wake:
            stopping = self._stopping
            older, self._waiting = self._waiting, None if stopping else job
            self._wake.notify()
        self._end(older, Verdict(Outcome.DROPPED_OVERLOAD, "OVERLOAD", "A newer cloud took its place"))
        if stopping:
            self._end(job, Verdict(Outcome.FLUSHED, "STOPPED", "The node is stopping"))

    def flush(self, verdict: Verdict) -> None:
        """Settle the waiting frame and the one in flight with ``verdict``.

        A delivery that has begun is finished first; a computation that has begun runs on, but its result is discarded.
        """
        with self._delivery:
            with self._wake:
                waiting, self._waiting = self._waiting, None
                current = self._current
            self._end(current, verdict)
            self._end(waiting, verdict)

    def stop(self, verdict: Verdict, timeout: float | None = None) -> bool:
        """Flush, end the thread and wait up to ``timeout`` seconds for it; returns whether it has ended."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self.flush(verdict)
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.alive

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._waiting is None and not self._stopping:
                    self._wake.wait()
                if self._stopping or self._waiting is None:
                    return
                job, self._waiting = self._waiting, None
                job.started = self._clock()
                self._current = job
            self._process(job)
            with self._wake:
                self._current = None

    def _process(self, job: _Job[Frame]) -> None:
        result = self._guarded(lambda: self._compute(job.frame))
        with self._delivery:
            if job.settled:
                return
            verdict = result if isinstance(result, Verdict) else self._delivered(job.frame, result)
            self._end(job, verdict)

    def _delivered(self, frame: Frame, result: Result) -> Verdict:
        return self._guarded(lambda: self._deliver(frame, result))

    def _end(self, job: _Job[Frame] | None, verdict: Verdict) -> None:
        """Settle a job, unless another thread does or did."""
        if job is None or not job.claim():
            return
        try:
            self._settle(job.frame, verdict)
        except Exception:
            _log.exception("The outcome %s of a cloud could not be reported", verdict.outcome.name)

    def _guarded(self, step: Callable[[], _Step]) -> _Step | Verdict:
        try:
            return step()
        except CloudError as error:
            outcome = Outcome.EMPTY if error.code == "EMPTY" else Outcome.REJECTED
            return Verdict(outcome, error.code, str(error))
        except Exception as error:
            _log.debug("Inference failed", exc_info=True)
            return Verdict(Outcome.INFERENCE_FAILED, "INFERENCE_FAILED", f"{type(error).__name__}: {error}")
