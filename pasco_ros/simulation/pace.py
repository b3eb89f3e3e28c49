"""How simulated time passes: with the computer's, but never beyond a frame that is not computed yet."""

from __future__ import annotations


class Pace:
    """Simulated seconds since the start of a drive.

    Args:
        speed: simulated seconds per second where nothing has to be waited for.
    """

    def __init__(self, speed: float = 1.0):
        self._speed = speed
        self._owed = 0.0
        self._real = self._simulated = 0.0
        self.now = 0.0

    def let_pass(self, seconds: float) -> None:
        """So many real seconds have passed."""
        self._owed += seconds * self._speed
        self._real += seconds

    def reach(self, time: float) -> bool:
        """Let simulated time come as near to ``time`` as is owed; returns whether it is reached."""
        step = min(self._owed, max(0.0, time - self.now))
        self._owed -= step
        self._simulated += step
        reached = self.now + step >= time
        self.now = time if reached else self.now + step
        return reached

    def wait(self) -> None:
        """Something is not ready: what is owed is not made up for."""
        self._owed = 0.0

    def restart(self) -> None:
        """Back to the beginning of the drive."""
        self.now = 0.0

    def factor(self) -> float:
        """Simulated seconds per real second since this was last asked for; 1 is real time."""
        factor = self._simulated / self._real if self._real > 0 else self._speed
        self._real = self._simulated = 0.0
        return factor
