"""The degradation ladder: less effort while deadlines are missed, more when there is room again; no ROS, no clock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pasco_core.settings.deadline_settings import AUTO, LEVELS, OFF, DeadlineSettings

_FEW = 3  # computations that tell what a level costs
_MOST_PATIENCE = 32  # times recovery_time
_TRUST = 6  # times the waiting time until only half of a measured ratio of costs is believed
_UNKNOWN_RATIO = 2.0  # cost of a level relative to the next lower one, where it was never measured


@dataclass(frozen=True)
class Step:
    """A change of the level of effort.

    Args:
        before, after: names of the levels.
        reason: why, a part of a sentence.
        down: whether the effort was lowered.
    """

    before: str
    after: str
    reason: str
    down: bool


@dataclass(frozen=True)
class Load:
    """What one computation took and what it had, in seconds.

    Args:
        busy: from the moment the computing thread took the frame to the end of its publication.
        budget: how long that might have been, see ``time_budget``; infinite without a deadline.
        late: whether the result was too old to be published.
    """

    busy: float
    budget: float
    late: bool = False

    @property
    def missed(self) -> bool:
        """Whether the deadline was missed."""
        return self.late or self.busy > self.budget


def time_budget(settings: DeadlineSettings, age: float) -> float:
    """Seconds that the computation of a frame may take; infinite without a deadline.

    Only what happens after the computing thread took the frame counts, because no effort saved there makes up for a
    cloud that came late.

    Args:
        settings: maximum age and target rate.
        age: of the frame when its computation begins in seconds; NaN if that is not known.
    """
    by_rate = 1.0 / settings.target_rate if settings.target_rate > 0 else math.inf
    by_age = settings.max_age - age if settings.max_age > 0 and not math.isnan(age) else math.inf
    return min(by_rate, by_age)


class DegradationLadder:
    """Chooses the level of effort from what the computations took.

    Down one level when ``missed_deadlines`` of the last ``deadline_window`` computations at this level were too slow.
    Up one level when for ``recovery_time`` none was, and the level above would have fitted with ``recovery_headroom``:
    what it costs is known from when it was left, relative to the level below at the same time, so a machine that has
    become faster is noticed. That ratio may have been measured while the load changed, so it is believed less and less,
    and in the end the level above is tried. A raise that does not last doubles the time until the next one.

    Args:
        levels: names of the levels the model has, from the most effort to the least; a part of ``LEVELS``, in order.

    ``reason`` says why the level is what it is, and ``shortfall`` that deadlines are missed at this level all the same,
    because it is the lowest or must be kept; each is "" where there is nothing to say.
    """

    def __init__(self, levels: Sequence[str] = LEVELS[:1]) -> None:
        self._levels = tuple(levels)
        self._index = 0
        self._seconds: deque[float] = deque(maxlen=2 * _FEW)
        self._missed: deque[bool] = deque()
        self._room_since: float | None = None
        self._raised_at = -math.inf
        self._patience = 1
        self._left_with: dict[int, float] = {}
        self._ratios: dict[int, tuple[float, float]] = {}
        self.reason = ""
        self.shortfall = ""

    @property
    def level(self) -> str:
        """Name of the level to compute with."""
        return self._levels[self._index]

    def follow(self, mode: str) -> Step | None:
        """Obey the parameter ``degradation``: "off" and the name of a level set the level, "auto" leaves it.

        A level that the model does not have means the next lower one that it has.
        """
        if mode == AUTO:
            return None
        wanted = LEVELS.index(LEVELS[0] if mode == OFF else mode)
        lower = [i for i, name in enumerate(self._levels) if LEVELS.index(name) >= wanted]
        index = lower[0] if lower else len(self._levels) - 1
        return None if index == self._index else self._move(index, f"the parameter degradation is '{mode}'")

    def observe(self, load: Load, now: float, settings: DeadlineSettings) -> Step | None:
        """Take note of a computation at the present level.

        Args:
            load: what it took.
            now: any clock in seconds that does not jump.
            settings: the settings as they are now.

        Returns:
            The change of level that follows, if any.
        """
        self._seconds.append(load.busy)
        self._missed.append(load.missed)
        while len(self._missed) > settings.deadline_window:
            self._missed.popleft()
        self._learn_ratio(now)
        n_missed, self.shortfall = sum(self._missed), ""
        if n_missed >= settings.missed_deadlines:
            self.shortfall = f"{n_missed} of the last {len(self._missed)} deadlines were missed"
        if settings.degradation != AUTO:
            return None
        return self.lower(self.shortfall, now, settings) if self.shortfall else self._raised(load, now, settings)

    def lower(self, reason: str, now: float, settings: DeadlineSettings) -> Step | None:
        """One level down; None at the lowest."""
        if self._index + 1 == len(self._levels):
            return None
        lasted = now - self._raised_at > 2 * self._patience * settings.recovery_time
        self._patience = 1 if lasted else min(2 * self._patience, _MOST_PATIENCE)
        self._left_with.pop(self._index, None)
        self._ratios.pop(self._index, None)
        if self._seconds:
            self._left_with[self._index] = median(self._seconds)
        return self._move(self._index + 1, reason)

    def _raised(self, load: Load, now: float, settings: DeadlineSettings) -> Step | None:
        wait = self._patience * settings.recovery_time
        room = self._index > 0 and len(self._seconds) >= _FEW and not any(self._missed)
        if not room or self._cost_above(now, wait) > settings.recovery_headroom * load.budget:
            self._room_since = None
            return None
        if self._room_since is None:
            self._room_since = now
        if now - self._room_since < wait:
            return None
        self._raised_at = now
        return self._move(self._index - 1, f"for {wait:g} s there was room for more")

    def _cost_above(self, now: float, wait: float) -> float:
        """Seconds that the level above would take now."""
        ratio, measured_at = self._ratios.get(self._index - 1, (_UNKNOWN_RATIO, now))
        trust = 0.5 ** ((now - measured_at) / (_TRUST * wait))
        return max(self._seconds) * (1 + (ratio - 1) * trust)

    def _learn_ratio(self, now: float) -> None:
        above = self._index - 1
        if len(self._seconds) >= _FEW and above in self._left_with:
            ratio = self._left_with.pop(above) / max(median(self._seconds), 1e-9)
            self._ratios[above] = (max(ratio, 1.0), now)

    def _move(self, index: int, reason: str) -> Step:
        step = Step(self.level, self._levels[index], reason, index > self._index)
        self._index, self.reason, self.shortfall, self._room_since = index, reason, "", None
        self._seconds.clear()
        self._missed.clear()
        return step
