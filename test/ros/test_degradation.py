"""The ladder: down when deadlines are missed, up when there is room, and never to and fro."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.errors import ConfigError
from pasco_core.settings.deadline_settings import LEVELS, DeadlineSettings
from pasco_core.settings.value_checks import check_config
from pasco_ros.computing.degradation import DegradationLadder, Load, time_budget

TEN_HERTZ = DeadlineSettings(target_rate=10.0)
NAN = float("nan")


class Drive:
    """A machine on which level i takes ``seconds[i] * slowness``, and the ladder that lives with it."""

    def __init__(self, seconds=(0.3, 0.2, 0.09, 0.05), rules=TEN_HERTZ, levels=LEVELS):
        self.seconds, self.rules = dict(zip(levels, seconds, strict=True)), rules
        self.ladder = DegradationLadder(levels)
        self.now, self.slowness = 0.0, 1.0
        self.steps, self.times = [], []

    def go(self, duration):
        end = self.now + duration
        while self.now < end:
            busy = self.seconds[self.ladder.level] * self.slowness
            self.now += max(busy, 0.1)
            step = self.ladder.observe(Load(busy, time_budget(self.rules, NAN)), self.now, self.rules)
            if step is not None:
                self.steps.append(step)
                self.times.append(self.now)
        return self

    def path(self):
        return [step.after for step in self.steps]


def test_the_effort_goes_down_level_by_level_until_the_deadline_is_kept():
    drive = Drive().go(4)
    assert drive.path() == ["fewer_subnets", "shorter_range"] and all(step.down for step in drive.steps)
    assert drive.steps[0].before == "full" and "3 of the last 3 deadlines were missed" in drive.steps[0].reason
    assert drive.ladder.level == "shorter_range"


def test_a_model_that_is_fast_enough_keeps_full_effort_for_ever():
    assert Drive(seconds=(0.099, 0.05, 0.03, 0.02)).go(300).steps == []


@pytest.mark.parametrize(("levels", "mode"), [(LEVELS, "off"), (LEVELS, "shorter_range"), (LEVELS[:1], "auto")])
def test_where_the_effort_cannot_be_lowered_the_missed_deadlines_are_said_until_they_are_kept(levels, mode):
    ladder, rules = DegradationLadder(levels), replace(TEN_HERTZ, degradation=mode)
    ladder.follow(mode)
    for now in range(4):
        ladder.observe(Load(0.5, 0.1), now, rules)
    assert ladder.shortfall == "4 of the last 4 deadlines were missed"
    for now in range(4, 7):
        ladder.observe(Load(0.05, 0.1), now, rules)
    assert ladder.shortfall == ""


def test_single_misses_below_the_threshold_change_nothing():
    ladder = DegradationLadder(LEVELS)
    for number in range(100):
        busy = 0.2 if number % 5 in (0, 1) else 0.05
        assert ladder.observe(Load(busy, 0.1), 0.1 * number, TEN_HERTZ) is None


def test_two_of_three_misses_suffice_where_the_settings_say_so():
    rules = replace(TEN_HERTZ, missed_deadlines=2, deadline_window=3)
    ladder = DegradationLadder(LEVELS)
    steps = [ladder.observe(Load(busy, 0.1), now, rules) for now, busy in enumerate((0.2, 0.05, 0.2))]
    assert steps[:2] == [None, None] and steps[2].after == "fewer_subnets"


def test_at_the_lowest_level_there_is_no_further_step():
    drive = Drive(seconds=(9.0, 8.0, 7.0, 6.0)).go(500)
    assert drive.path() == list(LEVELS[1:]) and drive.ladder.lower("memory", drive.now, TEN_HERTZ) is None
    assert drive.ladder.shortfall == "5 of the last 5 deadlines were missed"


def test_when_the_machine_becomes_fast_the_effort_comes_back_after_the_recovery_time():
    drive = Drive().go(20)
    level, before = drive.ladder.level, len(drive.steps)
    drive.slowness = 0.1
    began = drive.now
    drive.go(30)
    assert level == "shorter_range"
    assert drive.path()[before:] == ["fewer_subnets", "full"] and not any(s.down for s in drive.steps[before:])
    assert all(now - began >= TEN_HERTZ.recovery_time for now in drive.times[before:])
    assert "there was room for more" in drive.ladder.reason


def test_a_level_that_would_not_fit_with_headroom_is_not_gone_back_to_soon():
    # Full effort takes 0.09 s: it fits, but not within 80 % of 0.1 s.
    drive = Drive(seconds=(0.09, 0.05, 0.03, 0.02))
    drive.slowness = 2.0
    drive.go(3)
    drive.slowness = 1.0
    assert drive.path() == ["fewer_subnets"]
    drive.go(15)
    assert drive.path() == ["fewer_subnets"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1.2, 4.0), min_size=3, max_size=3), st.floats(0.02, 3.0), st.floats(0.1, 10.0))
def test_under_a_constant_load_the_level_settles(ratios, slowest, disturbance):
    # Whatever the levels cost, and whatever the load was at first.
    seconds = [slowest]
    for ratio in ratios:
        seconds.append(seconds[-1] / ratio)
    drive = Drive(seconds)
    drive.slowness = disturbance
    drive.go(10)
    drive.slowness = 1.0
    drive.go(500)
    late = [now for now in drive.times if now > 10]
    attempts = sum(not step.down for step, now in zip(drive.steps, drive.times, strict=True) if now > 10)
    assert attempts <= 6 and len(late) <= 13
    fits = [name for name in LEVELS if drive.seconds[name] <= 0.1]
    assert LEVELS.index(drive.ladder.level) >= LEVELS.index(fits[0] if fits else LEVELS[-1]) - 1


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 20.0))
def test_full_effort_always_comes_back_in_the_end_when_it_fits_with_room(disturbance):
    drive = Drive(seconds=(0.04, 0.03, 0.02, 0.01))
    drive.slowness = disturbance
    drive.go(20)
    drive.slowness = 1.0
    assert drive.go(600).ladder.level == "full"


def test_a_raise_that_did_not_last_doubles_the_wait_for_the_next():
    # Memory runs out at full effort each time, which no measured time can tell.
    ladder, raised, rules = DegradationLadder(LEVELS[:2]), [0.0], DeadlineSettings()
    ladder.lower("the memory ran out", 0.0, rules)
    for tenth in range(10_000):
        step = ladder.observe(Load(0.05, math.inf), tenth / 10, rules)
        if step is not None:
            raised.append(tenth / 10)
            ladder.lower("the memory ran out", tenth / 10, rules)
    gaps = [later - earlier for earlier, later in pairwise(raised)]
    assert [round(gap / rules.recovery_time) for gap in gaps[:7]] == [1, 2, 4, 8, 16, 32, 32]


def test_late_results_are_misses_although_the_computation_was_quick():
    ladder = DegradationLadder(LEVELS)
    steps = [ladder.observe(Load(0.01, 1.0, late=True), now, TEN_HERTZ) for now in range(3)]
    assert steps[-1].after == "fewer_subnets"


@pytest.mark.parametrize(
    ("rules", "age", "budget"),
    [
        (DeadlineSettings(), 3.0, math.inf),
        (DeadlineSettings(target_rate=4.0), 3.0, 0.25),
        (DeadlineSettings(max_age=1.0), 0.25, 0.75),
        (DeadlineSettings(max_age=1.0), NAN, math.inf),
        (DeadlineSettings(max_age=1.0, target_rate=2.0), 0.75, 0.25),
        (DeadlineSettings(max_age=1.0, target_rate=2.0), 0.25, 0.5),
    ],
)
def test_the_time_budget_is_the_shorter_of_rate_and_age(rules, age, budget):
    assert time_budget(rules, age) == pytest.approx(budget)


@pytest.mark.parametrize(
    ("levels", "mode", "level"),
    [
        (LEVELS, "off", "full"),
        (LEVELS, "auto", "full"),
        *((LEVELS, name, name) for name in LEVELS),
        (("full", "shorter_range", "semantics_only"), "fewer_subnets", "shorter_range"),
        (("full",), "semantics_only", "full"),
    ],
)
def test_a_fixed_level_is_kept_or_the_next_lower_one_there_is(levels, mode, level):
    ladder = DegradationLadder(levels)
    step = ladder.follow(mode)
    assert ladder.level == level and (step is None) == (level == "full") and ladder.follow(mode) is None
    rules = replace(TEN_HERTZ, degradation=mode)
    if mode != "auto":
        assert all(ladder.observe(Load(9.0, 0.1), now, rules) is None for now in range(50))


def test_a_window_shorter_than_the_misses_it_should_hold_is_refused():
    with pytest.raises(ConfigError, match="'missed_deadlines' to be at most deadline_window = 2, got 3"):
        check_config(DeadlineSettings(deadline_window=2))


def test_only_settings_with_a_deadline_or_a_lower_level_can_lead_to_less_effort():
    assert not DeadlineSettings().may_degrade and not replace(TEN_HERTZ, degradation="off").may_degrade
    assert TEN_HERTZ.may_degrade and DeadlineSettings(max_age=1.0).may_degrade
    assert DeadlineSettings(degradation="semantics_only").may_degrade
    assert not DeadlineSettings(degradation="full").may_degrade
