"""Per-point times: units, absolute and relative values, and what no sweep can be (row 17 of the fault list)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pasco_core.data.point_times import UNITS, PointTimes, find_time

STAMP = 1_700_000_000_123_456_789
SWEEP = np.linspace(0.0, 0.1, 1001)


def seconds_of(values, stamp=STAMP, unit="auto", name="t"):
    return PointTimes(unit).apply(np.asarray(values), name, stamp)


@pytest.mark.parametrize("name", ["t", "time", "timestamp", "offset_time", "Time_Stamp"])
def test_the_usual_names_are_found_and_the_intensity_is_not_taken_for_one(name):
    assert find_time(["x", "y", "z", "intensity", name]) == name
    assert find_time(["x", "y", "z", "intensity", "tag"]) is None


@pytest.mark.parametrize(
    ("unit", "kind"),
    [(unit, kind) for unit in UNITS for kind in ("f8", "f4", "u8", "u4", "i8", ">f8", ">u4")
     if unit != "s" or kind[-2] == "f"],  # whole seconds cannot tell a sweep
)
def test_row_17_the_unit_is_seen_from_the_spread_of_the_values(unit, kind):
    if unit == "ms" and kind[-2] != "f":
        values, expected = np.arange(101), np.arange(101) / 1e3
    else:
        expected = SWEEP
        values = SWEEP * 1e9 / UNITS[unit]
    times, note = seconds_of(np.asarray(values).astype(kind))
    np.testing.assert_allclose(times, expected, atol=2e-5)
    assert f"read as {unit}, counted from the stamp" in note and "'t'" in note


def test_row_17_negative_times_lie_before_the_stamp():
    times, _ = seconds_of((SWEEP - 0.1).astype(np.float32))
    np.testing.assert_allclose(times, SWEEP - 0.1, atol=1e-6)
    times, _ = seconds_of(np.rint((SWEEP - 0.05) * 1e9).astype(np.int32))
    np.testing.assert_allclose(times, SWEEP - 0.05, atol=1e-9)


@pytest.mark.parametrize(("unit", "kind"), [*((unit, "f8") for unit in UNITS), ("us", "u8"), ("ns", "u8")])
def test_row_17_absolute_times_are_brought_to_the_stamp(unit, kind):
    ticks = [(STAMP + round(t * 1e9)) / UNITS[unit] if kind == "f8" else (STAMP + round(t * 1e9)) // UNITS[unit]
             for t in SWEEP]
    times, note = seconds_of(np.array(ticks, kind))
    np.testing.assert_allclose(times, SWEEP, atol=2e-6)
    assert "absolute times of the stamp's clock" in note


def test_whole_nanoseconds_since_1970_keep_every_nanosecond():
    times, _ = seconds_of(np.array([STAMP - 1, STAMP, STAMP + 50_000_001], np.uint64))
    assert np.rint(times * 1e9).astype(int).tolist() == [-1, 0, 50_000_001]


def test_row_17_times_of_another_clock_begin_at_the_stamp():
    times, note = seconds_of((SWEEP * 1e9).astype(np.uint64) + np.uint64(7_345_000_000_000))
    np.testing.assert_allclose(times, SWEEP, atol=1e-9)
    assert "another clock" in note


@pytest.mark.parametrize("value", [0.0, 0.05, 1.7e9, 123456789.0])
def test_row_17_equal_times_divide_nothing_by_zero(value):
    with np.errstate(all="raise"):
        times, note = seconds_of(np.full(10, value))
    assert times.tolist() == [0.0] * 10 and "all values are equal" in note


def test_row_17_small_signed_integers_do_not_overflow():
    times, _ = seconds_of(np.array([-30_000, 0, 30_000], np.int16))
    np.testing.assert_allclose(times, [-0.03, 0, 0.03])


def test_absolute_times_of_a_clock_that_has_just_begun_are_not_taken_for_relative_ones():
    for begin in (0.3, 5.0):
        times, note = seconds_of(begin + SWEEP, stamp=round(begin * 1e9))
        np.testing.assert_allclose(times, SWEEP, atol=1e-9)
        assert "absolute" in note
    np.testing.assert_allclose(seconds_of(SWEEP - 0.1, stamp=300_000_000)[0], SWEEP - 0.1, atol=1e-9)


def test_row_17_one_point_alone_is_at_the_stamp():
    assert seconds_of(np.array([123], np.uint32))[0].tolist() == [0.0]


def test_row_17_seconds_since_1970_in_a_float32_are_too_coarse_and_not_used():
    values = (1.7e9 + np.linspace(0, 300, 100)).astype(np.float32)
    times, note = seconds_of(values)
    assert times is None and "too coarse" in note


def test_row_17_a_spread_that_no_sweep_has_in_any_unit_is_not_used():
    times, note = seconds_of(np.array([0, 3_000_000_000], np.uint32))
    assert times is None and "cannot be one sweep" in note


def test_a_unit_guessed_too_large_from_a_fragment_is_corrected_for_good():
    reader = PointTimes()
    fragment = np.array([0, 400_000], np.uint32)  # 0.4 ms in ns, or 0.4 s in us
    assert "read as us" in reader.apply(fragment, "t", STAMP)[1]
    times, note = reader.apply((SWEEP * 1e9).astype(np.uint32), "t", STAMP)
    np.testing.assert_allclose(times, SWEEP, atol=1e-9)
    assert "read as ns" in note
    np.testing.assert_allclose(reader.apply(fragment, "t", STAMP)[0], [0, 4e-4])


@settings(max_examples=300, deadline=None)
@example(values=np.array([3.4028235e38, 0.0], np.float32), stamp=0, unit="auto")
@given(
    arrays(st.sampled_from([np.dtype(k) for k in ("f4", "f8", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")]),
           st.integers(1, 6)),
    st.integers(0, 2**62), st.sampled_from(["auto", *UNITS]),
)
def test_row_17_whatever_the_values_are_the_times_are_within_a_sweep_or_not_used(values, stamp, unit):
    values = values[np.isfinite(values)]
    if not len(values):
        return
    with np.errstate(all="raise", under="ignore"):
        times, note = PointTimes(unit).apply(values, "t", stamp)
    assert note.startswith("point time field 't'")
    if times is not None:
        assert times.shape == values.shape and np.isfinite(times).all() and np.ptp(times) <= 1.0 + 1e-6
        assert np.abs(times).max() <= 2.0 + 1e-6


def test_a_given_unit_is_kept_and_values_it_does_not_fit_are_refused():
    fragment = np.array([0, 400_000], np.uint32)
    np.testing.assert_allclose(seconds_of(fragment, unit="ns")[0], [0, 4e-4])
    times, note = seconds_of((SWEEP * 1e9).astype(np.uint32), unit="us")
    assert times is None and "us" in note
