"""What happens in a soak test and when: clouds at a rate, faults in between; the same seed gives the same schedule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EPISODES = (
    "burst", "silence", "clock back", "clock forward", "no transforms", "same stamp again", "older stamp",
    "good parameter", "bad parameter", "deactivate",
)
_LONGEST, _SHORTEST = 12.0, 1.2  # seconds between two episodes
_BROKEN = 0.25  # share of clouds that are not as they should be
_BURST = 40


@dataclass(frozen=True)
class Step:
    """Something to do.

    Args:
        time: seconds since the start.
        action: "cloud" or one of ``EPISODES``.
        kind: of a cloud, a key of ``clouds.KINDS``.
        amount: seconds or clouds that an episode takes.
    """

    time: float
    action: str
    kind: str = ""
    amount: float = 0.0


def make_schedule(seed: int, seconds: float, rate: float, kinds: tuple[str, ...]) -> list[Step]:
    """Every step in the order of time; where there is time for it, every episode and every kind occurs.

    Args:
        seed: chooses what comes when.
        seconds: of driving.
        rate: clouds per second.
        kinds: names of the kinds of clouds; the first is that of most.
    """
    rng = np.random.default_rng(seed)
    period = float(np.clip(seconds / (len(EPISODES) + 1), _SHORTEST, _LONGEST))
    times = np.arange(period, seconds - period / 2, period)
    deck = _deck(EPISODES, len(times), rng)
    steps = [Step(float(t), name, amount=_amount(name, period, rng)) for t, name in zip(times, deck)]
    silent = [(s.time, s.time + s.amount) for s in steps if s.action == "silence"]
    moments = [
        time for time in (np.arange(round(seconds * rate)) / rate).tolist()
        if not any(begin <= time < end for begin, end in silent)
    ]
    broken = rng.random(len(moments)) < _BROKEN
    names = iter(_deck(kinds[1:], int(broken.sum()), rng))
    for time, bad in zip(moments, broken.tolist()):
        steps.append(Step(time, "cloud", next(names) if bad else kinds[0]))
    return sorted(steps, key=lambda step: step.time)


def _deck(names: tuple[str, ...], n: int, rng: np.random.Generator) -> list[str]:
    """``n`` names, each as often as the others, shuffled."""
    rounds = [rng.permutation(names).tolist() for _ in range(n // len(names) + 1)]
    return [name for cards in rounds for name in cards][:n]


def _amount(name: str, period: float, rng: np.random.Generator) -> float:
    if name == "burst":
        return _BURST
    if name == "clock forward":
        return 3600.0
    longest = min(period, 6.0)
    return float(rng.uniform(0.3, 0.8)) * longest
