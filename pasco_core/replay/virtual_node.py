"""The node's load rules on a virtual clock: which clouds it would have dropped, and how old results would have been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pasco_core.stream.outcomes import Outcome, Verdict

_NANO = 1_000_000_000


@dataclass(frozen=True)
class Arrival:
    """A cloud as the virtual node sees it.

    Args:
        number: of the cloud.
        received: when it arrived, ns.
        stamp: of its header, ns.
        latency: seconds from the start of its computation to its result.
        verdict: what the computation led to.
        refused: whether it was refused on arrival, and never computed.
        flush: why what is on its way must be forgotten when it arrives, as after a jump of the clock.
    """

    number: int
    received: int
    stamp: int
    latency: float
    verdict: Verdict
    refused: bool = False
    flush: Verdict | None = None


@dataclass(frozen=True)
class Fate:
    """What became of a cloud.

    Args:
        number: of the cloud.
        verdict: its outcome.
        settled: when that was known, ns.
        waited: seconds between arrival and the start of its computation; None where it was not computed.
        age: seconds between its stamp and its result; None where nothing was published.
        delay: seconds between its arrival and its result; None where nothing was published.
    """

    number: int
    verdict: Verdict
    settled: int
    waited: float | None = None
    age: float | None = None
    delay: float | None = None


class VirtualNode:
    """One computation at a time, at most one cloud that waits, the newest wins; results older than allowed are dropped.

    Args:
        max_age: the node's parameter, seconds; 0: no limit.
        topic: for messages.
    """

    def __init__(self, max_age: float = 0.0, topic: str = "points") -> None:
        self._max_age = max_age
        self._topic = topic
        self._running: Fate | None = None
        self._waiting: Arrival | None = None

    def arrive(self, cloud: Arrival) -> Iterator[Fate]:
        """Fates that are certain once this cloud has arrived; clouds come in the order of arrival."""
        now = cloud.received
        yield from self._until(now)
        if cloud.refused:
            yield Fate(cloud.number, cloud.verdict, now)
            return
        if cloud.flush is not None:
            yield from self._flushed(cloud.flush, now)
        if self._waiting is not None:
            verdict = Verdict(Outcome.DROPPED_OVERLOAD, "OVERLOAD", "A newer cloud took its place")
            yield Fate(self._waiting.number, verdict, now)
        self._waiting = cloud
        yield from self._until(now)

    def end(self) -> Iterator[Fate]:
        """The fates of what is still on its way after the last cloud."""
        yield from self._until(None)

    def _until(self, now: int | None) -> Iterator[Fate]:
        """What ends by ``now``, and the begin of what waits when that ends."""
        free = 0
        while True:
            if self._running is not None:
                if now is not None and self._running.settled > now:
                    return
                free = self._running.settled
                yield self._running
                self._running = None
            if self._waiting is None:
                return
            cloud, self._waiting = self._waiting, None
            self._running = self._computed(cloud, max(free, cloud.received))

    def _computed(self, cloud: Arrival, start: int) -> Fate:
        waited = (start - cloud.received) / _NANO
        stale = self._stale(cloud, start)
        if stale is not None:
            return Fate(cloud.number, stale, start, waited)
        end = start + round(cloud.latency * _NANO)
        verdict = self._stale(cloud, end) or cloud.verdict
        if verdict.outcome not in (Outcome.PUBLISHED, Outcome.EMPTY):
            return Fate(cloud.number, verdict, end, waited)
        return Fate(cloud.number, verdict, end, waited, (end - cloud.stamp) / _NANO, (end - cloud.received) / _NANO)

    def _flushed(self, verdict: Verdict, now: int) -> Iterator[Fate]:
        for cloud in (self._running, self._waiting):
            if cloud is not None:
                yield Fate(cloud.number, verdict, now)
        self._running = self._waiting = None

    def _stale(self, cloud: Arrival, now: int) -> Verdict | None:
        age = (now - cloud.stamp) / _NANO
        if self._max_age == 0 or age <= self._max_age:
            return None
        expected = f"Expected the cloud on {self._topic} to be at most {self._max_age:g} s old"
        return Verdict(Outcome.DROPPED_STALE, "STALE", f"{expected}, got {age:.3f} s")
