"""Conditions, and what is kept of a method's quality under them, against hand calculation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from small_world import FRAMES, ShiftedSource, SmallWorld, plan

from pasco_core.errors import ConfigError, DataError
from pasco_core.evaluation.condition import CLEAN, Condition, conditions_of
from pasco_core.evaluation.results import Results, read_baseline
from pasco_core.evaluation.robustness import robustness

FOG = [Condition("fog", level) for level in ("light", "moderate", "heavy")]


def test_resilience_and_error_are_those_of_a_hand_calculation():
    mine = {CLEAN: 0.4, FOG[0]: 0.4, FOG[1]: 0.2, FOG[2]: 0.0, Condition("snow", "heavy"): 0.1}
    base = {CLEAN: 0.5, FOG[0]: 0.5, FOG[1]: 0.4, FOG[2]: 0.1, Condition("snow", "heavy"): 0.4}
    result = robustness(mine, base)
    fog, snow = result.corruptions
    assert fog.resilience == pytest.approx(0.5) and snow.resilience == pytest.approx(0.25)
    assert result.mean_resilience == pytest.approx(0.375)
    assert fog.error == pytest.approx(2.4 / 2.0) and snow.error == pytest.approx(0.9 / 0.6)
    assert result.mean_error == pytest.approx(1.35)


def test_a_method_against_itself_has_an_error_of_one():
    mine = {CLEAN: 0.4, FOG[0]: 0.3}
    assert robustness(mine, mine).mean_error == 1


def test_without_a_baseline_there_is_no_error():
    assert robustness({CLEAN: 0.4, FOG[0]: 0.3}).mean_error is None


def test_corruptions_the_baseline_lacks_have_no_error():
    result = robustness({CLEAN: 0.4, FOG[0]: 0.3, Condition("snow", "light"): 0.2}, {CLEAN: 0.4, FOG[0]: 0.2})
    assert [one.error for one in result.corruptions] == [pytest.approx(0.7 / 0.8), None]
    assert result.mean_error == pytest.approx(0.7 / 0.8)


def test_nothing_is_kept_of_nothing():
    assert math.isnan(robustness({CLEAN: 0.0, FOG[0]: 0.0}).mean_resilience)


def test_conditions_are_the_clean_scan_and_every_corruption_at_every_level():
    assert conditions_of(None) == (CLEAN,)
    assert conditions_of("fog, snow", "heavy,light") == (
        CLEAN, Condition("fog", "heavy"), Condition("fog", "light"),
        Condition("snow", "heavy"), Condition("snow", "light"),
    )
    assert len(conditions_of("all")) == 1 + 8 * 3


@pytest.mark.parametrize(
    ("corruptions", "levels"), [("hail", None), ("fog", "awful"), ("", None), ("fog", ","), (None, "light")]
)
def test_unknown_corruptions_and_levels_are_refused(corruptions, levels):
    with pytest.raises(ConfigError, match="Expected"):
        conditions_of(corruptions, levels)


@pytest.mark.parametrize("text", ["fog", "fog/", "/heavy", ""])
def test_a_condition_that_is_no_condition_is_refused(text):
    with pytest.raises(DataError, match="Expected a condition"):
        Condition.parse(text)


def test_a_scan_is_corrupted_alike_in_every_process_and_differently_per_frame():
    world = SmallWorld("world")
    points = world.points(FRAMES[0])
    once, again, other = (
        Condition("crosstalk", "heavy").apply(points, frame, 3) for frame in (FRAMES[0], FRAMES[0], FRAMES[1])
    )
    assert np.array_equal(once, again)
    assert once.shape != other.shape or not np.array_equal(once, other)
    assert CLEAN.apply(points, FRAMES[0], 3) is points


def test_an_evaluation_under_corruptions_has_a_row_per_condition_and_a_mean(run_plan, tmp_path):
    results = run_plan(plan(ShiftedSource(1), conditions=(CLEAN, *FOG)), "fog")
    by_condition, kept = results.robustness_tables()
    assert [row[:2] for row in by_condition.rows] == [("clean", ""), *(("fog", c.level) for c in FOG)]
    # The source does not look at the scan, so nothing is lost.
    assert [str(cell) for cell in kept.rows[-1]] == ["mean", "100.00", "100.00"]
    assert (tmp_path / "fog" / "corrupted" / "fog" / "heavy" / "08" / "000005.json").exists()

    baseline = read_baseline(tmp_path / "fog")
    with_errors = Results(results.summary, baseline).robustness_tables()[1]
    assert [str(cell) for cell in with_errors.rows[-1]] == ["mean", "100.00", "100.00", "100.00", "100.00"]


def test_a_baseline_that_is_no_result_is_named(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"results": 3}))
    with pytest.raises(DataError, match=r"Expected .*metrics.json to be a metrics.json"):
        read_baseline(tmp_path)
    with pytest.raises(DataError, match="nowhere"):
        read_baseline(tmp_path / "nowhere")
