"""The learning rate over the steps of a training, as a factor of its peak."""

from __future__ import annotations

import math

from training.config import ScheduleConfig

_ONE_CYCLE_START = 1 / 25


def learning_rate_factor(step: int, total: int, schedule: ScheduleConfig) -> float:
    """Factor of the peak learning rate at a step.

    Args:
        step: from 0.
        total: steps of the whole training.
        schedule: its kind and numbers.

    >>> [learning_rate_factor(step, 100, ScheduleConfig("step", step_at=50)) for step in (0, 49, 50)]
    [1.0, 1.0, 0.1]
    """
    warmup = schedule.warmup
    if step < warmup:
        start = _ONE_CYCLE_START if schedule.kind == "one_cycle" else 0.0
        return start + (1.0 - start) * (step + 1) / (warmup + 1)
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "step":
        return schedule.factor if step >= schedule.step_at else 1.0
    share = min(1.0, (step - warmup) / max(1, total - warmup))
    return schedule.factor + (1.0 - schedule.factor) * 0.5 * (1.0 + math.cos(math.pi * share))
