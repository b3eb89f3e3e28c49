"""How much of its quality a method keeps on corrupted scans, in the manner of Robo3D (Kong et al., ICCV 2023)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pasco_core.evaluation.condition import CLEAN, Condition


@dataclass(frozen=True)
class CorruptionResult:
    """One corruption over its levels.

    Args:
        corruption: name.
        scores: level → quality in [0, 1].
        resilience: mean over the levels, divided by the quality on clean scans (Robo3D's RR); nan if that is 0.
        error: summed shortfall from 1 divided by the baseline's (Robo3D's CE); None without a baseline.
    """

    corruption: str
    scores: dict[str, float]
    resilience: float
    error: float | None


@dataclass(frozen=True)
class Robustness:
    """All corruptions of one method and one quality.

    Args:
        clean: quality on clean scans.
        corruptions: one result each.
        mean_resilience: mean of the resiliences (Robo3D's mRR), 1: nothing is lost.
        mean_error: mean of the errors (Robo3D's mCE), below 1: better than the baseline; None without one.
    """

    clean: float
    corruptions: tuple[CorruptionResult, ...]
    mean_resilience: float
    mean_error: float | None


def robustness(scores: Mapping[Condition, float], baseline: Mapping[Condition, float] | None = None) -> Robustness:
    """Resilience, and error relative to a baseline, of one quality.

    RR_i = (1/L) Σ_l q_{i,l} / q_clean and mRR its mean over corruptions i;
    CE_i = Σ_l (1 - q_{i,l}) / Σ_l (1 - q⁰_{i,l}) for the baseline's quality q⁰, and mCE its mean.

    Args:
        scores: condition → quality in [0, 1], the clean one among them.
        baseline: the same of another method, with at least these conditions; corruptions it lacks have no error.

    >>> scores = {CLEAN: 0.5, Condition("fog", "light"): 0.5, Condition("fog", "heavy"): 0.25}
    >>> result = robustness(scores, {**scores, Condition("fog", "heavy"): 0.5})
    >>> result.mean_resilience, result.mean_error
    (0.75, 1.25)
    """
    clean = scores[CLEAN]
    names = dict.fromkeys(condition.corruption for condition in scores if condition != CLEAN)
    results = tuple(_corruption(name, scores, clean, baseline or {}) for name in names)
    return Robustness(
        clean, results, _mean([result.resilience for result in results]),
        _mean([result.error for result in results if result.error is not None]) if baseline else None,
    )


def _corruption(
    name: str, scores: Mapping[Condition, float], clean: float, baseline: Mapping[Condition, float]
) -> CorruptionResult:
    conditions = [condition for condition in scores if condition.corruption == name]
    qualities = {condition.level: scores[condition] for condition in conditions}
    mean = _mean(list(qualities.values()))
    error = None
    if all(condition in baseline for condition in conditions):
        reference = math.fsum(1 - baseline[condition] for condition in conditions)
        error = math.fsum(1 - scores[condition] for condition in conditions) / reference if reference else math.nan
    return CorruptionResult(name, qualities, mean / clean if clean else math.nan, error)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
