"""What becomes of an input cloud: one vocabulary for counters, status messages, diagnostics and the demo's table."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import IntEnum


class Outcome(IntEnum):
    """Fate of one input cloud; names and numbers are those of pasco/msg/FrameStatus."""

    PENDING = 0
    PUBLISHED = 1
    EMPTY = 2
    DROPPED_OVERLOAD = 3
    DROPPED_STALE = 4
    DROPPED_DUPLICATE = 5
    DROPPED_NO_SUBSCRIBER = 6
    FLUSHED = 7
    REJECTED = 8
    TF_UNAVAILABLE = 9
    INFERENCE_FAILED = 10


@dataclass(frozen=True)
class Verdict:
    """Why a cloud met its outcome.

    Args:
        outcome: one of ``Outcome`` except PENDING.
        code: short name in capitals, such as ``LAYOUT``; ``OK`` where all is well.
        message: one sentence for a person.
    """

    outcome: Outcome
    code: str = "OK"
    message: str = ""


@dataclass
class FrameReport:
    """What is known about one frame beside its verdict; the merged clouds of several sensors are one frame.

    Args:
        points_in_range: finite points inside the grid.
        occupied_voxels: voxels published as not empty.
        n_segments: segments published.
        age: node clock at the end of publication minus stamp in seconds, NaN when nothing was published or the clock
            has not started.
        effort: level of effort of the computation, "" when nothing was computed.
        stages: seconds per stage, in order.
    """

    points_in_range: int = 0
    occupied_voxels: int = 0
    n_segments: int = 0
    age: float = float("nan")
    effort: str = ""
    stages: dict[str, float] = field(default_factory=dict)


class FrameLedger:
    """Counts clouds from their reception to their outcome; at any time received = sum over outcomes, PENDING included.

    Every method may be called from any thread.

    Args:
        total: ledger over all activations, in which everything is counted too.
    """

    def __init__(self, total: FrameLedger | None = None) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * len(Outcome)
        self._total = total

    def receive(self) -> None:
        """One more cloud, without an outcome so far."""
        with self._lock:
            self._counts[Outcome.PENDING] += 1
            if self._total is not None:
                self._total.receive()

    def settle(self, outcome: Outcome) -> tuple[int, ...]:
        """Give one pending cloud its outcome; returns the counts, indexed by outcome, with it included.

        Raises:
            ValueError: no cloud is pending, or ``outcome`` is PENDING.
        """
        with self._lock:
            if outcome == Outcome.PENDING or self._counts[Outcome.PENDING] == 0:
                pending = self._counts[Outcome.PENDING]
                raise ValueError(f"Expected a pending cloud and a final outcome, got {pending} and {outcome.name}")
            self._counts[Outcome.PENDING] -= 1
            self._counts[outcome] += 1
            if self._total is not None:
                self._total.settle(outcome)
            return tuple(self._counts)

    def counts(self) -> tuple[int, ...]:
        """Clouds by outcome."""
        with self._lock:
            return tuple(self._counts)
