"""What a soak test found, judged: plain rules over what was counted, without ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

GROWTH = 0.05
"""Share by which memory may grow after the warm-up."""
LONG = 110.0
"""Seconds of driving from which on memory is judged: before, the allocator still finds its size."""
_WARM_UP, _WINDOW = 0.25, 0.25  # of the whole time
_SHOWN = 60  # samples of the memory


@dataclass
class Findings:
    """What was seen.

    Args:
        seconds: of driving.
        sent: clouds sent, by kind.
        received: clouds the node says it received, over all activations.
        statuses: status messages.
        outcomes: clouds by outcome, by the node's own counters.
        unbalanced: activations at whose end the counters did not add up, in words.
        outputs: messages by output.
        surprises: what should not have been, in words -> how often.
        memory: (seconds, bytes) resident memory of the node.
        log: lines of the node's log that report an error.
        exit_code: of the node.
        episodes: faults by name.
    """

    seconds: float = 0.0
    sent: Mapping[str, int] = field(default_factory=dict)
    received: int = 0
    statuses: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    unbalanced: Sequence[str] = ()
    outputs: Mapping[str, int] = field(default_factory=dict)
    surprises: Mapping[str, int] = field(default_factory=dict)
    memory: Sequence[tuple[float, int]] = ()
    log: Sequence[str] = ()
    exit_code: int = 0
    episodes: Mapping[str, int] = field(default_factory=dict)


def judge(found: Findings) -> dict[str, Any]:
    """The verdict as plain values: ``passed``, each check by name, and the numbers behind them."""
    growth = memory_growth(found.memory)
    checks = {
        "the node received clouds and published results": found.received > 0 and found.outcomes.get("PUBLISHED", 0) > 0,
        "no unaccounted cloud: received = statuses = sum of outcomes": not found.unbalanced
        and found.received == found.statuses == sum(found.outcomes.values()),
        "every cloud has an outcome that its state allows": not found.surprises,
        "no unexpected error in the log": not found.log,
        "the node ends with exit code 0": found.exit_code == 0,
    }
    if found.seconds >= LONG:
        checks[f"resident memory grows by at most {GROWTH:.0%} after the warm-up"] = growth <= GROWTH
    megabytes = [n / 1e6 for _, n in found.memory]
    return {
        "passed": all(checks.values()), "checks": checks, "seconds": round(found.seconds, 1),
        "clouds": {"sent": dict(found.sent), "sent in all": sum(found.sent.values()), "received": found.received,
                   "outcomes": dict(found.outcomes), "unbalanced": list(found.unbalanced)},
        "outputs": dict(found.outputs), "faults": dict(found.episodes), "surprises": dict(found.surprises),
        "memory": {"growth": round(growth, 4), "first [MB]": round(megabytes[0], 1) if megabytes else None,
                   "last [MB]": round(megabytes[-1], 1) if megabytes else None,
                   "highest [MB]": round(max(megabytes), 1) if megabytes else None,
                   "over time [s, MB]": [[round(t), round(n / 1e6)] for t, n in
                                         found.memory[::max(1, len(found.memory) // _SHOWN)]]},
        "log": list(found.log), "exit code": found.exit_code,
    }


def memory_growth(samples: Sequence[tuple[float, int]]) -> float:
    """By which share the lowest size of the last quarter is above that of the second; 0 with fewer than eight samples.

    What is only used for a moment lifts the sizes here and there, what is not given back lifts the lowest one.

    >>> round(memory_growth([(t, 1000 + 10 * t) for t in range(8)]), 3)
    0.039
    """
    if len(samples) < 8:
        return 0.0
    times, sizes = np.array([t for t, _ in samples]), np.array([n for _, n in samples], float)
    share = (times - times[0]) / (times[-1] - times[0])
    early = sizes[(share >= _WARM_UP) & (share < _WARM_UP + _WINDOW)]
    late = sizes[share >= 1 - _WINDOW]
    return float(late.min() / early.min() - 1.0) if len(early) and len(late) else 0.0


def error_lines(log: str) -> list[str]:
    """Lines of a log that report an error, a fatal one, or the start of a traceback."""
    marks = ("[ERROR]", "[FATAL]", "Traceback (most recent call last)")
    return [line[:300] for line in log.splitlines() if any(mark in line for mark in marks)]
