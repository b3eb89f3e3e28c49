"""Every input message ends in exactly one outcome, whatever happens to it and around it; no ROS is needed."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pasco_core.errors import CloudError
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.cloud_source import CloudMember
from pasco_core.stream.outcomes import FrameLedger, Outcome, Verdict
from pasco_ros.computing.backoff import FailureBackoff
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.inputs.cloud_frame import CloudFrame
from pasco_ros.inputs.intake import CloudIntake
from pasco_ros.reporting.frame_reporter import FrameReporter

START = 1_000_000_000_000
GONE = Verdict(Outcome.FLUSHED, "DEACTIVATED", "The node was deactivated")
TOPICS = {1: ("/points",), 2: ("/points", "/left")}


def cloud(stamp: int, **changes) -> SimpleNamespace:
    """What a PointCloud2 of 4 points looks like."""
    fields = [SimpleNamespace(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(("x", "y", "z"))]
    header = SimpleNamespace(frame_id="lidar", stamp=SimpleNamespace(sec=stamp // 10**9, nanosec=stamp % 10**9))
    values = {
        "header": header, "height": 1, "width": 4, "fields": fields, "is_bigendian": False, "point_step": 12,
        "row_step": 48, "data": np.ones(12, np.float32).tobytes(), "is_dense": True,
    }
    return SimpleNamespace(**{**values, **changes})


class Station:
    """The node without ROS: intake, worker, reporter and ledgers, with clocks that tests move."""

    def __init__(self, n_topics: int = 1):
        self.topics = TOPICS[n_topics]
        self.config = replace(NodeConfig(), max_failures=2)
        self.now, self.seconds, self.stamp = START, 0.0, START
        self.listened, self.context = True, True
        self.gate, self.endings, self.computing = threading.Semaphore(0), [], False
        self.delivered: list[object] = []
        self.received: list[object] = []
        self.statuses: list[tuple[object, Outcome]] = []
        self.closed_counts: list[tuple[int, ...]] = []
        self.backoff = FailureBackoff(self.config.max_failures)
        self.reporter = FrameReporter(self.publish_status, self.backoff, "/points", self.clock)
        self.worker = LatestFrameWorker(self.compute, self.deliver, self.reporter.settle, clock=self.clock)
        self.total = FrameLedger()
        self.intake: CloudIntake | None = None
        self.worker.start()
        self.activate()

    def clock(self) -> float:
        return self.seconds

    def compute(self, frame):
        self.computing = True
        self.gate.acquire()
        self.computing = False
        ending = self.endings.pop(0) if self.endings else "published"
        if isinstance(ending, BaseException):
            raise ending
        return ending

    def rest(self):
        """Wait until the computing thread computes, has nothing to do, or is dead."""
        worker, end = self.worker, time.monotonic() + 5
        while worker.alive and not self.computing and (worker._waiting or worker._current):
            assert time.monotonic() < end
            time.sleep(0.0002)

    def deliver(self, frame, result):
        self.delivered += [member.message for member in frame.members]
        if result == "unpublishable":
            raise RuntimeError("the publisher is gone")
        return Verdict(Outcome.PUBLISHED)

    def publish_status(self, member, verdict, report, counts):
        self.statuses.append((member.message, verdict.outcome))
        if not self.context:
            raise RuntimeError("the context is shut down")

    def activate(self):
        if self.intake is None:
            self.intake = CloudIntake(
                self.topics, self.worker, self.reporter.settle, self.backoff, lambda: self.config,
                lambda: self.now, lambda: self.listened, total=self.total, clock=self.clock,
            )

    def deactivate(self):
        if self.intake is not None:
            self.intake.close(GONE)
            assert self.intake.ledger.counts()[Outcome.PENDING] == 0
            self.closed_counts.append(self.intake.ledger.counts())
            self.old, self.intake = self.intake, None

    def send(self, message, number=0):
        intake = self.intake or getattr(self, "old", None)  # after deactivation: a callback that was already under way
        if intake is not None:
            self.received.append(message)
            intake.receive(message, number % len(self.topics))
            if self.intake is None:
                self.closed_counts[-1] = intake.ledger.counts()

    def close(self):
        for _ in range(200):
            self.gate.release()
        self.deactivate()
        self.worker.start()
        assert self.worker.stop(GONE, timeout=10)


CLOUDS = ("good", "duplicate", "older", "restart", "future", "short", "empty", "no frame", "unreadable")
ENDINGS = {
    "published": "published",
    "stale": Verdict(Outcome.DROPPED_STALE, "STALE", "too old"),
    "no transform": Verdict(Outcome.TF_UNAVAILABLE, "LOOKUP", "no transform"),
    "fails": ValueError("boom"),
    "out of memory": MemoryError("out of memory"),
    "empty": CloudError("no point", "EMPTY"),
    "dies": SystemExit(),
    "unpublishable": "unpublishable",
}
STEPS = st.one_of(
    st.tuples(st.just("send"), st.just("good"), st.integers(0, 1)),
    st.tuples(st.just("send"), st.sampled_from(CLOUDS), st.integers(0, 1)),
    st.tuples(st.just("finish"), st.just("dies")),
    st.tuples(st.just("finish"), st.sampled_from(sorted(ENDINGS))),
    st.tuples(st.sampled_from(["deactivate", "activate", "restart worker", "poll", "jump", "listen", "context"])),
    st.tuples(st.just("wait"), st.floats(0.01, 40.0)),
)


def message_of(kind: str, station: Station):
    station.stamp += {"duplicate": 0, "older": -10**6, "restart": -5 * 10**9}.get(kind, 10**8)
    changes = {"short": {"data": b"123"}, "empty": {"width": 0, "row_step": 0, "data": b""}}.get(kind, {})
    message = cloud(station.stamp + (10**13 if kind == "future" else 0), **changes)
    if kind == "no frame":
        message.header.frame_id = ""
    if kind == "unreadable":
        del message.fields
    station.now = max(station.now, station.stamp)
    return message


def take(step: tuple, station: Station) -> None:
    name = step[0]
    if name == "send":
        station.send(message_of(step[1], station), step[2])
    elif name == "finish" and station.computing:
        station.endings.append(ENDINGS[step[1]])
        station.computing = False
        station.gate.release()
    elif name == "wait":
        station.seconds += step[1]
    elif name == "restart worker":
        station.worker.start()
    elif name == "listen":
        station.listened = not station.listened
    elif name == "context":
        station.context = not station.context
    elif name in ("deactivate", "activate"):
        getattr(station, name)()
    elif station.intake is not None and name == "poll":
        station.intake.poll()
    elif station.intake is not None and name == "jump":
        station.now -= 10**9
        station.intake.clock_jumped(Verdict(Outcome.FLUSHED, "CLOCK_JUMP", "The clock jumped"))


class Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def of(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]


@pytest.fixture(autouse=True)
def errors():
    log, handler = logging.getLogger("pasco_ros"), Errors()
    before = log.propagate, log.handlers[:]
    log.propagate, log.handlers[:] = False, [handler]
    yield handler
    log.propagate, log.handlers[:] = before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 2), st.lists(STEPS, max_size=40))
def test_row_18_inputs_are_the_sum_of_the_outcomes_at_any_time_under_any_schedule(errors, n_topics, steps):
    station = Station(n_topics)
    try:
        for step in steps:
            take(step, station)
            station.rest()
            assert sum(station.total.counts()) == len(station.received)
    finally:
        station.close()
    counts = station.total.counts()
    assert sum(counts) == len(station.received) and counts[Outcome.PENDING] == 0
    assert Counter(id(m) for m, _ in station.statuses) == Counter(id(m) for m in station.received)
    fate = {id(message): outcome for message, outcome in station.statuses}
    assert {fate[id(message)] for message in station.delivered} <= {Outcome.PUBLISHED, Outcome.INFERENCE_FAILED}
    assert not errors.of("could not be reported")
    assert Counter(outcome for _, outcome in station.statuses) == +Counter(dict(zip(Outcome, counts, strict=True)))
    by_activation = np.sum([*station.closed_counts, (0,) * len(Outcome)], axis=0)
    assert tuple(by_activation) == counts


def test_a_cloud_whose_callback_was_under_way_at_deactivation_is_flushed_and_never_computed():
    station = Station()
    station.deactivate()
    station.send(message_of("good", station))
    assert station.statuses[-1][1] == Outcome.FLUSHED
    station.close()
    assert station.total.counts()[Outcome.FLUSHED] == 1


def test_a_cloud_that_cannot_even_be_looked_at_is_rejected_with_the_reason_and_the_node_goes_on():
    station = Station()
    station.send(message_of("unreadable", station))
    assert [outcome for _, outcome in station.statuses] == [Outcome.REJECTED]
    assert "fields" in station.reporter.problem()[1]
    station.gate.release()
    station.send(message_of("good", station))
    end = time.monotonic() + 5
    while len(station.statuses) < 2 and time.monotonic() < end:
        time.sleep(0.001)
    assert station.statuses[-1][1] == Outcome.PUBLISHED
    station.close()


def test_the_clouds_of_a_frame_share_its_outcome_and_are_counted_and_reported_one_by_one():
    ledger, statuses = FrameLedger(FrameLedger()), []
    reporter = FrameReporter(lambda *status: statuses.append(status), FailureBackoff(3), "/points")
    members = tuple(CloudMember(cloud(START + i), topic) for i, topic in enumerate(TOPICS[2]))
    for _ in members:
        ledger.receive()
    reporter.settle(CloudFrame(members, ledger, 0.0), Verdict(Outcome.INFERENCE_FAILED, "INFERENCE_FAILED", "boom"))
    assert [(s[0].topic, s[1].outcome) for s in statuses] == [(t, Outcome.INFERENCE_FAILED) for t in TOPICS[2]]
    assert ledger.counts()[Outcome.INFERENCE_FAILED] == 2 == sum(ledger.counts())
    # One computation failed, not two.
    assert reporter._backoff.failures == 1


def test_a_report_that_is_still_written_to_does_not_change_under_the_status():
    ledger, statuses = FrameLedger(), []
    reporter = FrameReporter(lambda *status: statuses.append(status[2]), FailureBackoff(3), "/points")
    frame = CloudFrame((CloudMember(cloud(START), "/points"),), ledger, 0.0)
    frame.report.stages["wait"] = 0.5
    ledger.receive()
    reporter.settle(frame, GONE)
    frame.report.stages["encoder"] = 1.0
    assert statuses[0].stages == {"wait": 0.5}


def test_a_frame_that_two_threads_want_to_settle_is_settled_once():
    settled = []
    # Its thread never starts.
    worker = LatestFrameWorker(lambda f: f, lambda f, r: GONE, lambda f, v: settled.append(f))
    start = threading.Barrier(3)

    def end():
        for _ in range(100):
            start.wait(5)
            worker.flush(GONE)
            start.wait(5)

    threads = [threading.Thread(target=end) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(100):
        worker.submit(number)
        start.wait(5)
        worker.submit(1000 + number)  # takes the place of the first, unless a flush was quicker
        start.wait(5)
    for thread in threads:
        thread.join(5)
    worker.flush(GONE)
    assert Counter(settled) == Counter([*range(100), *range(1000, 1100)])


def test_the_total_goes_on_over_activations_while_each_activation_counts_anew():
    station = Station()
    station.send(message_of("short", station))
    station.deactivate()
    station.activate()
    station.send(message_of("no frame", station))
    assert station.intake.ledger.counts()[Outcome.REJECTED] == 1
    assert station.total.counts()[Outcome.REJECTED] == 2
    station.close()
