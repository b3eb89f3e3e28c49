"""Notices when the node's clock jumps: a recording starts again, a simulation is reset, the system's clock is set."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import JumpThreshold, ROSClock, TimeJump
from rclpy.duration import Duration

from pasco_core.clock_jumps import BACKWARD, FORWARD

_NANO = 1_000_000_000


class ClockWatch:
    """Watches a clock until it is closed.

    Jumps of a simulated clock are told by rclpy as they happen. A clock of the system moves with time, so ``check``
    finds its jumps by comparison with the steady clock, and those of a simulated one that went back.

    Args:
        clock: the node's.
        jumped: called with a sentence and the time in ns after each jump, from the thread that noticed it.
        steady: seconds of a clock that nobody sets.
    """

    def __init__(
        self, clock: ROSClock, jumped: Callable[[str, int], None], steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._jumped = jumped
        self._steady = steady
        self._seen = self._read()
        threshold = JumpThreshold(
            min_forward=Duration(seconds=FORWARD), min_backward=Duration(seconds=-BACKWARD), on_clock_change=True
        )
        self._handle = clock.create_jump_callback(threshold, pre_callback=self._before, post_callback=self._after)

    def check(self) -> None:
        """Compare the clock with the time that has passed since it was last looked at."""
        (before, steady_before), (now, steady) = self._seen, self._read()
        passed = 0.0 if self._clock.ros_time_is_active else steady - steady_before
        self._seen = now, steady
        step = (now - before) / _NANO - passed
        if before > 0 and (step < -BACKWARD or (step > FORWARD and not self._clock.ros_time_is_active)):
            self._tell(step)

    def close(self) -> None:
        """Watch no longer."""
        self._handle.unregister()

    def _before(self) -> None:
        self._seen = self._read()

    def _after(self, jump: TimeJump) -> None:
        before, self._seen = self._seen[0], self._read()
        if before > 0:  # else it is the first time that a simulated clock tells
            self._tell(jump.delta.nanoseconds / _NANO)

    def _read(self) -> tuple[int, float]:
        return self._clock.now().nanoseconds, self._steady()

    def _tell(self, step: float) -> None:
        way = f"jumped {'back' if step < 0 else 'forward'} by {abs(step):.3f} s"
        self._jumped(f"The node's clock {way}: older clouds and transforms are discarded", self._seen[0])
