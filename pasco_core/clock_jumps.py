"""What is taken for a jump of a clock or of stamps, and which stamps belong to the time after it."""

from __future__ import annotations

BACKWARD, FORWARD = 1.0, 10.0
"""Steps in seconds that are a jump: back by more than the one, ahead by more than the other."""

_NANO = 1_000_000_000


def jumps_back(before: int, now: int) -> bool:
    """Whether time that goes on from ``before`` to ``now``, both in ns, has begun anew."""
    return before - now > BACKWARD * _NANO


def is_of_now(stamp: int, now: int) -> bool:
    """Whether what has this stamp belongs to the time after a jump to ``now``, both in ns; else it is of before."""
    return not jumps_back(stamp, now) and now - stamp <= FORWARD * _NANO
