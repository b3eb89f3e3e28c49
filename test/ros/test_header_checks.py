"""Frames and stamps that a vehicle should never send, and sends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pasco_core.stream.header_checks import StampOrder, check_header
from pasco_core.stream.outcomes import Outcome
from pasco_ros.computing.backoff import FailureBackoff

SECOND = 1_000_000_000


def stamp(seconds: float):
    return SimpleNamespace(sec=int(seconds), nanosec=round((seconds - int(seconds)) * SECOND))


def header(sec=100, nanosec=0, frame="lidar"):
    return SimpleNamespace(frame_id=frame, stamp=SimpleNamespace(sec=sec, nanosec=nanosec))


def test_a_usual_header_is_accepted():
    assert check_header(header(), "/points", 100 * SECOND, 1.0) is None


@pytest.mark.parametrize(
    ("bad", "code", "value"),
    [
        (header(frame=""), "FRAME_ID", "''"),
        (header(0, 0), "STAMP", "0"),
        (header(100, SECOND), "STAMP", "1000000000"),
        (header(100, 2**32 - 1), "STAMP", "4294967295"),
        (header(-5, 1), "STAMP", "-5"),
        (header(102, 500_000_000), "STAMP_FUTURE", "2.500 s"),
    ],
)
def test_row_12_a_broken_header_is_rejected_with_a_code_the_topic_and_the_value(bad, code, value):
    verdict = check_header(bad, "/points", 100 * SECOND, 1.0)
    assert verdict.outcome == Outcome.REJECTED and verdict.code == code
    assert "/points" in verdict.message and value in verdict.message.split("got")[1]


def test_row_12_a_stamp_within_the_tolerance_or_with_the_check_off_is_accepted():
    assert check_header(header(100, 900_000_000), "/points", 100 * SECOND, 1.0) is None
    assert check_header(header(10_000), "/points", 100 * SECOND, 0.0) is None


def test_row_15_nothing_is_in_the_future_of_a_simulated_clock_that_has_not_started():
    assert check_header(header(), "/points", 0, 1.0) is None


def test_row_16_duplicates_and_older_stamps_are_dropped_by_name_and_the_newest_is_kept():
    order = StampOrder("/points")
    verdicts = [order.take(stamp(t)) for t in (5.0, 5.1, 5.1, 5.0, 5.2)]
    assert [v and v.code for v in verdicts] == [None, None, "DUPLICATE", "OUT_OF_ORDER", None]
    assert {v.outcome for v in verdicts if v} == {Outcome.DROPPED_DUPLICATE}
    assert "0.100 s older" in verdicts[3].message and "/points" in verdicts[2].message


def test_row_15_a_bag_that_starts_again_is_followed_after_a_flush():
    order = StampOrder("/points")
    verdicts = [order.take(stamp(t)) for t in (100.0, 110.0, 100.0, 100.1)]
    assert [v and (v.outcome, v.code) for v in verdicts] == [None, None, (Outcome.FLUSHED, "CLOCK_JUMP"), None]
    assert "10.000 s" in verdicts[2].message


def test_row_15_a_jump_forward_by_an_hour_and_back_is_followed():
    order = StampOrder("/points")
    codes = [v and v.code for v in (order.take(stamp(t)) for t in (100.0, 3700.0, 100.1, 100.2))]
    assert codes == [None, None, "CLOCK_JUMP", None]


def test_row_28_failures_in_a_row_lead_to_pauses_that_double_up_to_a_bound_and_end_with_a_success():
    backoff, pauses = FailureBackoff(3, first=1.0, longest=6.0), []
    for _ in range(7):
        backoff.failed(10.0)
        pauses.append(backoff.pause_left(10.0))
    assert pauses == [0.0, 0.0, 1.0, 2.0, 4.0, 6.0, 6.0]
    assert backoff.pause_left(15.0) == 1.0 and backoff.pause_left(99.0) == 0.0
    backoff.succeeded()
    assert backoff.failures == 0 and backoff.pause_left(10.0) == 0.0
