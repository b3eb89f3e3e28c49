"""Clouds of several LiDARs from reception to their outcome: accounting, order, what is late or broken."""

from __future__ import annotations

from collections import Counter

import pytest
from hand_made_clouds import POINT, START, cloud
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("std_msgs", reason="the ROS messages are not installed: run `make setup`")

from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.outcomes import Outcome, Verdict
from pasco_ros.computing.backoff import FailureBackoff
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.inputs.intake import CloudIntake


class Desk:
    """The intake of three LiDARs with a worker whose computations always succeed, and a clock that is set by hand."""

    def __init__(self, **changes):
        config = NodeConfig(partner_topics=("/left", "/right"), partner_poses=(0.1,) * 12, **{
            "merge_timeout": 0.08, "skip_without_subscribers": False, **changes})
        self.now, self.outcomes, self.frames = 0.0, {}, []
        self.worker = LatestFrameWorker(self._compute, lambda frame, _: Verdict(Outcome.PUBLISHED), self._settle)
        self.intake = CloudIntake(
            ("/points", "/left", "/right"), self.worker, self._settle, FailureBackoff(3), lambda: config,
            lambda: START, lambda: True, clock=lambda: self.now)

    def _compute(self, frame):
        self.frames.append([member.number for member in frame.members])
        return frame

    def _settle(self, frame, verdict):
        for member in frame.members:
            self.outcomes.setdefault(id(member.message), []).append(verdict)
            frame.ledger.settle(verdict.outcome)

    def send(self, number, milliseconds, frame=None):
        message = cloud(POINT, START + milliseconds * 1_000_000, f"lidar{number}" if frame is None else frame)
        self.intake.receive(message, number)
        return message

    def wait(self, seconds):
        self.now += seconds
        self.intake.poll()

    def codes(self, *messages):
        return [self.outcomes[id(message)][0].code if id(message) in self.outcomes else "" for message in messages]

    def close(self):
        self.intake.close(Verdict(Outcome.FLUSHED, "DEACTIVATED"))
        self.worker.stop(Verdict(Outcome.FLUSHED, "SHUTDOWN"), 5.0)


def test_row_16_each_lidar_has_its_own_order_of_stamps():
    desk = Desk()
    sent = [desk.send(1, 10), desk.send(1, 10), desk.send(0, 0), desk.send(1, 5), desk.send(2, 5)]
    desk.close()
    assert desk.codes(*sent) == ["DEACTIVATED", "DUPLICATE", "DEACTIVATED", "OUT_OF_ORDER", "DEACTIVATED"]


def test_row_15_when_the_stamps_begin_again_everything_that_waits_is_flushed_once():
    desk = Desk(future_tolerance=0.0)
    old = [desk.send(1, 60_040), desk.send(0, 60_000)]
    new = [desk.send(0, 0), desk.send(1, 10), desk.send(2, -5)]
    assert desk.codes(*old) == ["CLOCK_JUMP"] * 2 and desk.codes(*new) == [""] * 3
    desk.close()
    assert desk.codes(*new) == ["DEACTIVATED"] * 3


def test_row_12_a_malformed_cloud_of_a_partner_is_rejected_by_its_topic_and_the_frame_goes_on_without_it():
    desk = Desk()
    sent = [desk.send(0, 0), desk.send(1, 5), desk.send(2, 5, frame="")]
    desk.wait(0.09)
    assert desk.codes(*sent) == ["", "", "FRAME_ID"] and "/right" in desk.outcomes[id(sent[2])][0].message
    assert desk.intake.merger.missed == {1: 0, 2: 1}
    desk.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-30, 90), st.integers(0, 120), st.booleans()), max_size=40))
def test_every_cloud_of_every_lidar_has_one_outcome_and_members_of_a_frame_share_theirs(events):
    desk, stamps, sent = Desk(), [0, 0, 0], []
    desk.worker.start()
    for number, step, wait, broken in events:
        stamps[number] += step
        sent.append(desk.send(number, stamps[number], "" if broken and wait > 100 else None))
        desk.wait(wait / 1000)
    desk.close()
    assert [len(desk.outcomes[id(message)]) for message in sent] == [1] * len(sent)
    counts = Counter(verdicts[0].outcome for verdicts in desk.outcomes.values())
    assert {Outcome(i): n for i, n in enumerate(desk.intake.ledger.counts()) if n} == counts
    assert all(members[0] == 0 and sorted(members) == members for members in desk.frames)
