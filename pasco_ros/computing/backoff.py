"""Bounded retries: after several failures in a row the node pauses, longer each time."""

from __future__ import annotations


class FailureBackoff:
    """Counts failures in a row and says until when nothing should be tried.

    After ``limit`` failures in a row each further attempt is made only after a pause that doubles from ``first`` up to
    ``longest`` seconds; one success ends it.
    """

    def __init__(self, limit: int, first: float = 1.0, longest: float = 30.0) -> None:
        self._limit = limit
        self._first = first
        self._longest = longest
        self._until = float("-inf")
        self.failures = 0

    def failed(self, now: float) -> None:
        """One more failure at time ``now`` in seconds."""
        self.failures += 1
        if self.failures >= self._limit:
            exponent = min(self.failures - self._limit, 30)
            self._until = now + min(self._first * 2.0**exponent, self._longest)

    def succeeded(self) -> None:
        """A success: the count starts again."""
        self.failures = 0
        self._until = float("-inf")

    def pause_left(self, now: float) -> float:
        """Seconds until the next attempt, 0 if it may be made now."""
        return max(0.0, self._until - now)
