"""Frame and stamp of an input cloud: what is refused, and what order the stamps must come in."""

from __future__ import annotations

from typing import Any

from pasco_core.clock_jumps import jumps_back
from pasco_core.stream.outcomes import Outcome, Verdict

_NANO = 1_000_000_000


def check_header(header: Any, topic: str, now: int, future_tolerance: float) -> Verdict | None:
    """Why a cloud with this std_msgs/Header must be rejected, or None.

    Args:
        header: an object with ``frame_id`` and ``stamp.sec``, ``stamp.nanosec``.
        topic: name of the topic, for messages.
        now: the node's clock in ns; 0 while a simulated clock has not started, and then nothing is in the future.
        future_tolerance: how far in seconds the stamp may lie ahead of ``now``; 0 accepts any.
    """
    frame, stamp = header.frame_id, header.stamp
    if not frame:
        return _rejected("FRAME_ID", f"Expected the frame_id of the cloud on {topic} to be a frame's name, got ''")
    where = f"the stamp of the cloud on {topic} (frame {frame[:60]!r})"
    if not 0 <= stamp.nanosec < _NANO or stamp.sec < 0:
        got = f"sec {stamp.sec}, nanosec {stamp.nanosec}"
        return _rejected("STAMP", f"Expected {where} to have sec >= 0 and nanosec < 1e9, got {got}")
    if stamp.sec == 0 and stamp.nanosec == 0:
        return _rejected("STAMP", f"Expected {where} to be set, got 0")
    ahead = (stamp_ns(stamp) - now) / _NANO
    if now > 0 and future_tolerance > 0 and ahead > future_tolerance:
        expected = f"Expected {where} to be at most {future_tolerance:g} s ahead of the node's clock"
        return _rejected("STAMP_FUTURE", f"{expected}, got {ahead:.3f} s")
    return None


def stamp_ns(stamp: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(stamp.sec) * _NANO + int(stamp.nanosec)


class StampOrder:
    """Remembers the newest stamp and refuses what is not newer.

    A stamp that lies more than a second further back is taken for a clock that jumped (a bag that starts again, a
    device that was restarted): it is accepted and becomes the newest.

    Attributes:
        newest: that stamp in ns, None before the first.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.newest: int | None = None

    def take(self, stamp: Any) -> Verdict | None:
        """None if the cloud is to be computed; else why not, or FLUSHED where older clouds must be forgotten first."""
        time = stamp_ns(stamp)
        newest = self.newest
        jumped = newest is not None and jumps_back(newest, time)
        back = 0.0 if newest is None else (newest - time) / _NANO
        if newest is None or time > newest or jumped:
            self.newest = time
        if jumped:
            message = f"The stamps on {self._topic} jumped back by {back:.3f} s: older clouds are discarded"
            return Verdict(Outcome.FLUSHED, "CLOCK_JUMP", message)
        if newest is None or time > newest:
            return None
        if time == newest:
            message = f"Expected the stamps on {self._topic} to be different, got {time / _NANO:.9f} s twice"
            return Verdict(Outcome.DROPPED_DUPLICATE, "DUPLICATE", message)
        message = f"Expected the stamps on {self._topic} to ascend, got one {back:.3f} s older than the newest"
        return Verdict(Outcome.DROPPED_DUPLICATE, "OUT_OF_ORDER", message)


def _rejected(code: str, message: str) -> Verdict:
    return Verdict(Outcome.REJECTED, code, message)
