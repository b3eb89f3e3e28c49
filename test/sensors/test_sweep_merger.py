"""Which clouds of several LiDARs are merged: every one ends in exactly one place, in bounded memory and time."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_ros.inputs.sweep_merger import SweepMerger

MS = 1_000_000


def add(merger, sensor, stamp_ms, now=0.0):
    return merger.add(sensor, stamp_ms * MS, (sensor, stamp_ms), now)


def test_clouds_within_the_tolerance_go_on_together_as_soon_as_the_last_has_come():
    merger = SweepMerger(3, tolerance=0.04, timeout=0.1)
    assert not add(merger, 2, 990).ready and not add(merger, 0, 1000).ready
    (frame,) = add(merger, 1, 1030).ready
    assert frame.items == ((0, 1000), (1, 1030), (2, 990)) and frame.missing == ()


def test_of_two_candidates_the_nearer_in_time_is_taken_and_the_other_let_go():
    merger = SweepMerger(2, tolerance=0.05, timeout=0.1)
    add(merger, 1, 960), add(merger, 1, 1010)
    step = add(merger, 0, 1000)
    assert step.ready[0].items == ((0, 1000), (1, 1010)) and step.unmatched == [(1, 960)]


def test_the_wait_ends_with_the_timeout_and_the_missing_are_counted():
    merger = SweepMerger(3, tolerance=0.04, timeout=0.1)
    add(merger, 0, 1000, now=5.0), add(merger, 1, 1000, now=5.05)
    assert not merger.poll(5.099).ready
    (frame,) = merger.poll(5.101).ready
    assert frame.items == ((0, 1000), (1, 1000)) and frame.missing == (2,)
    assert merger.missed == {1: 0, 2: 1} and merger.absent() == (2,)


def test_a_partner_that_comes_after_its_frame_is_late():
    merger = SweepMerger(2, tolerance=0.04, timeout=0.1)
    add(merger, 0, 1000, now=0.0)
    merger.poll(0.1)
    assert add(merger, 1, 1010).late == [(1, 1010)] and merger.late == {1: 1}


def test_the_next_cloud_of_the_primary_does_not_wait_behind_the_one_before():
    merger = SweepMerger(2, tolerance=0.04, timeout=10.0)
    add(merger, 0, 1000)
    step = add(merger, 0, 1100)
    assert [frame.items for frame in step.ready] == [((0, 1000),)] and step.ready[0].missing == (1,)


def test_a_dead_partner_is_not_waited_for_after_five_frames_until_it_comes_again():
    merger = SweepMerger(2, tolerance=0.04, timeout=0.1)
    for i in range(5):
        assert not add(merger, 0, 1000 + 100 * i, now=i / 10).ready
        assert merger.poll(i / 10 + 0.101).ready
    assert add(merger, 0, 1500).ready[0].missing == (1,)
    add(merger, 1, 1600)
    assert add(merger, 0, 1600).ready[0].items == ((0, 1600), (1, 1600))
    assert not add(merger, 0, 1700).ready


def test_flush_hands_back_everything_that_waits_and_forgets_the_stamps():
    merger = SweepMerger(2, tolerance=0.04, timeout=0.1)
    add(merger, 1, 5000), add(merger, 0, 4900)
    assert sorted(merger.flush()) == [(0, 4900), (1, 5000)] and merger.flush() == []
    add(merger, 1, 10)
    assert add(merger, 0, 12).ready[0].items == ((0, 12), (1, 10))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 80), st.integers(0, 120)), max_size=60))
def test_every_cloud_ends_in_exactly_one_place_and_memory_stays_bounded(events):
    merger = SweepMerger(4, tolerance=0.03, timeout=0.08)
    stamps, now, sent, settled = [0, 0, 0, 0], 0.0, [], []

    def count(step):
        for frame in step.ready:
            members = {sensor for sensor, _ in frame.items}
            assert frame.items[0][0] == 0 and members | set(frame.missing) == {0, 1, 2, 3}
            assert len(members) == len(frame.items) == 4 - len(frame.missing)
            assert all(abs(stamp - frame.items[0][1]) <= 30 for _, stamp in frame.items)
            settled.extend(frame.items)
        settled.extend(itertools.chain(step.late, step.unmatched))

    for sensor, step, wait in events:
        stamps[sensor] += step
        sent.append((sensor, stamps[sensor]))
        count(add(merger, sensor, stamps[sensor], now))
        now += wait / 1000
        count(merger.poll(now))
        assert len(sent) - len(settled) <= 1 + 3 * 4
    settled.extend(merger.flush())
    assert sorted(settled) == sorted(sent)
