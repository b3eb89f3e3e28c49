"""The computing thread: newest frame wins, every frame has exactly one outcome, whatever the schedule."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.errors import CloudError
from pasco_core.stream.outcomes import FrameLedger, Outcome, Verdict
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker

DONE = Verdict(Outcome.PUBLISHED)
GONE = Verdict(Outcome.FLUSHED, "DEACTIVATED", "The node was deactivated")


class Bench:
    """A worker whose computations wait for ``let_one_through`` and whose events are recorded."""

    def __init__(self):
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.computed, self.delivered, self.settled = [], [], []
        self.ledger = FrameLedger()
        self.worker = LatestFrameWorker(self.compute, self.deliver, self.settle)
        self.worker.start()

    def compute(self, frame):
        self.computed.append(frame)
        self.entered.release()
        self.gate.acquire()
        if isinstance(frame, BaseException):
            raise frame
        return frame

    def deliver(self, frame, result):
        assert frame is result
        self.delivered.append(frame)
        return DONE

    def settle(self, frame, verdict):
        self.settled.append((frame, verdict))
        self.ledger.settle(verdict.outcome)

    def submit(self, frame):
        self.ledger.receive()
        self.worker.submit(frame)

    def submit_and_wait_until_computing(self, frame):
        self.submit(frame)
        assert self.entered.acquire(timeout=5)

    def let_one_through(self):
        before = len(self.settled)
        self.gate.release()
        wait_for(lambda: len(self.settled) > before)

    def close(self):
        for _ in range(50):
            self.gate.release()
        assert self.worker.stop(GONE, timeout=5)

    def outcomes(self):
        return Counter(verdict.outcome for _, verdict in self.settled)


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.close()


def test_a_frame_is_computed_delivered_and_settled(bench):
    bench.submit_and_wait_until_computing("a")
    bench.let_one_through()
    assert bench.delivered == ["a"] and bench.settled == [("a", DONE)]


def test_row_18_of_a_burst_only_the_frame_in_flight_and_the_newest_are_computed(bench):
    bench.submit_and_wait_until_computing(0)
    for frame in range(1, 100):
        bench.submit(frame)
    bench.let_one_through()
    bench.let_one_through()
    assert bench.computed == [0, 99] and bench.delivered == [0, 99]
    assert bench.outcomes() == {Outcome.PUBLISHED: 2, Outcome.DROPPED_OVERLOAD: 98}
    assert [frame for frame, verdict in bench.settled if verdict.outcome == Outcome.DROPPED_OVERLOAD] == [*range(1, 99)]


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (CloudError("no points", "EMPTY"), Outcome.EMPTY, "EMPTY"),
        (CloudError("bad row_step", "LAYOUT"), Outcome.REJECTED, "LAYOUT"),
        (ValueError("boom"), Outcome.INFERENCE_FAILED, "INFERENCE_FAILED"),
        (MemoryError("too big"), Outcome.INFERENCE_FAILED, "INFERENCE_FAILED"),
    ],
)
def test_row_28_a_computation_that_raises_is_counted_by_its_kind_and_the_next_frame_is_computed(
    bench, error, outcome, code
):
    bench.submit_and_wait_until_computing(error)
    bench.let_one_through()
    verdict = bench.settled[0][1]
    assert (verdict.outcome, verdict.code) == (outcome, code) and str(error) in verdict.message
    bench.submit_and_wait_until_computing("next")
    bench.let_one_through()
    assert bench.delivered == ["next"]


def test_row_28_a_delivery_that_raises_is_counted_as_failed():
    settled = []

    def deliver(frame, result):
        raise RuntimeError("publisher gone")

    worker = LatestFrameWorker(lambda f: f, deliver, lambda f, v: settled.append(v))
    worker.start()
    worker.submit("a")
    wait_for(lambda: settled)
    assert worker.stop(GONE, timeout=5)
    assert settled[0].outcome == Outcome.INFERENCE_FAILED and "publisher gone" in settled[0].message


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_row_28_a_dead_thread_is_replaced_and_its_frame_settled(bench):
    bench.submit_and_wait_until_computing(SystemExit())
    bench.gate.release()
    wait_for(lambda: not bench.worker.alive)
    bench.worker.start()
    assert bench.settled[0][1].code == "WORKER_DIED"
    bench.submit_and_wait_until_computing("next")
    bench.let_one_through()
    assert bench.delivered == ["next"]


def test_row_22_a_flush_settles_the_frame_in_flight_at_once_and_its_result_is_never_delivered(bench):
    bench.submit_and_wait_until_computing("in flight")
    bench.submit("waiting")
    bench.worker.flush(GONE)
    assert sorted(bench.settled) == [("in flight", GONE), ("waiting", GONE)] and bench.ledger.counts()[0] == 0
    bench.gate.release()
    bench.submit_and_wait_until_computing("later")
    bench.let_one_through()
    assert bench.delivered == ["later"] and len(bench.settled) == 3


def test_row_22_a_flush_waits_for_a_delivery_that_has_begun():
    delivering, go_on, events = threading.Event(), threading.Event(), []

    def deliver(frame, result):
        delivering.set()
        assert go_on.wait(5)
        events.append("delivered")
        return DONE

    worker = LatestFrameWorker(lambda f: f, deliver, lambda f, v: events.append(v.outcome))
    worker.start()
    worker.submit("a")
    assert delivering.wait(5)
    flusher = threading.Thread(target=lambda: (worker.flush(GONE), events.append("flushed")))
    flusher.start()
    time.sleep(0.05)
    assert events == []
    go_on.set()
    flusher.join(5)
    assert events == ["delivered", Outcome.PUBLISHED, "flushed"]
    assert worker.stop(GONE, timeout=5)


def test_row_22_stopping_during_a_computation_gives_up_after_the_timeout_and_says_so(bench):
    bench.submit_and_wait_until_computing("slow")
    assert bench.worker.stop(GONE, timeout=0.05) is False
    assert bench.settled == [("slow", GONE)]
    bench.submit("too late")
    assert bench.settled[1][1].code == "STOPPED"
    bench.gate.release()
    assert bench.worker.stop(GONE, timeout=5)
    assert bench.delivered == []


def test_a_compute_step_may_end_a_frame_with_a_verdict_of_its_own():
    settled = []
    stale = Verdict(Outcome.DROPPED_STALE, "STALE", "3 s old")
    worker = LatestFrameWorker(lambda f: stale, lambda f, r: pytest.fail("delivered"), lambda f, v: settled.append(v))
    worker.start()
    worker.submit("a")
    wait_for(lambda: settled)
    assert worker.stop(GONE, timeout=5) and settled == [stale]


def test_a_callback_that_fails_to_report_does_not_stop_the_worker():
    delivered = []

    def settle(frame, verdict):
        raise RuntimeError("context shut down")

    worker = LatestFrameWorker(lambda f: f, lambda f, r: delivered.append(f) or DONE, settle)
    worker.start()
    for number in (1, 2):
        worker.submit(number)
        wait_for(lambda number=number: number in delivered)
    assert worker.stop(GONE, timeout=5)


OPERATIONS = st.lists(st.sampled_from(["submit", "fail", "finish", "flush", "restart"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_under_any_schedule_every_frame_has_exactly_one_outcome_and_the_counters_sum_to_the_inputs(operations):
    bench = Bench()
    submitted = []
    for number, operation in enumerate(operations):
        if operation in ("submit", "fail"):
            frame = ValueError(number) if operation == "fail" else number
            submitted.append(frame)
            bench.submit(frame)
        elif operation == "finish":
            bench.gate.release()
        elif operation == "flush":
            bench.worker.flush(GONE)
        else:
            bench.worker.start()
        assert sum(bench.ledger.counts()) == len(submitted)
    bench.close()
    assert Counter(id(f) for f, _ in bench.settled) == Counter(id(f) for f in submitted)
    counts = bench.ledger.counts()
    assert sum(counts) == len(submitted) and counts[Outcome.PENDING] == 0
    assert counts[Outcome.PUBLISHED] == len(bench.delivered) == len(set(bench.delivered))
    assert bench.delivered == sorted(bench.delivered)


def test_many_threads_submitting_at_once_lose_no_frame():
    settled, lock = [], threading.Lock()

    def settle(frame, verdict):
        with lock:
            settled.append(frame)

    worker = LatestFrameWorker(lambda f: f, lambda f, r: DONE, settle)
    worker.start()

    def send(first):
        for number in range(first, first + 500):
            worker.submit(number)
            if number % 97 == 0:
                worker.flush(GONE)

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 500, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert worker.stop(GONE, timeout=5)
    assert sorted(settled) == [*range(1500)]


def test_the_ledger_refuses_an_outcome_for_a_cloud_that_was_never_received():
    with pytest.raises(ValueError, match="a pending cloud and a final outcome, got 0"):
        FrameLedger().settle(Outcome.PUBLISHED)
