"""Seconds per named stage; the clock comes from outside, so that tests can hold it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class StageTimer:
    """Adds up the seconds spent in each stage.

    Args:
        clock: returns seconds; only differences matter.
        device: a CUDA device is synchronised at both ends of a stage, so that its work is counted where it belongs.

    >>> ticks = iter([0.0, 2.0])
    >>> timer = StageTimer(clock=lambda: next(ticks))
    >>> with timer("encoder"):
    ...     pass
    >>> timer.seconds
    {'encoder': 2.0}
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, device: torch.device | str = "cpu"):
        self._clock = clock
        self._device = torch.device(device)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Times the body of a ``with`` block as ``stage``."""
        start = self._now()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + self._now() - start

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return self._clock()
