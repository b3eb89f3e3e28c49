"""When each point of a cloud was measured: which field tells it, in which unit, and from when it counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

TIME_NAMES: tuple[str, ...] = (
    "t", "time", "timestamp", "time_stamp", "timestamps", "offset_time", "time_offset", "t_offset", "point_time", "ts",
)
"""Field names taken as the time of a point, first match wins; compared without regard to case."""

UNITS: dict[str, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds of each unit."""

LONGEST_SWEEP = 1.0
"""Seconds; the points of one cloud cannot lie further apart."""

_LARGEST_FIRST = tuple(UNITS)
_FOREIGN = "absolute times of another clock than the stamp's: the earliest is taken for the stamp"
_COARSEST_STEP = 0.02  # of the sweep; a float32 of seconds since 1970 counts in steps of 128 s


def find_time(names: Iterable[str]) -> str | None:
    """The name among ``names`` that holds the times, spelled as given, or None.

    >>> find_time(["x", "y", "z", "intensity", "ring", "Timestamp"])
    'Timestamp'
    """
    by_lower = {name.lower(): name for name in reversed(list(names))}
    return next((by_lower[alias] for alias in TIME_NAMES if alias in by_lower), None)


class PointTimes:
    """Reads the times of the clouds of one stream as seconds after each cloud's stamp.

    The message does not say the unit. Because a sweep takes a millisecond to a second, the spread of the values tells
    it; where a later cloud shows that it was guessed too large, a smaller one holds from then on. Whether the values
    count from the stamp or are absolute is seen from their size; absolute values of another clock than the stamp's are
    laid so that the earliest point is at the stamp. An object belongs to one stream and one thread.

    Args:
        unit: "s", "ms", "us" or "ns"; "auto" guesses it.
    """

    def __init__(self, unit: str = "auto") -> None:
        self._given = unit != "auto"
        self._unit: str | None = unit if self._given else None

    def apply(self, values: np.ndarray, name: str, stamp: int) -> tuple[np.ndarray | None, str]:
        """Times of one cloud, and a sentence about how they were read.

        Args:
            values: (N,) finite numbers of any integer or float type and byte order; N >= 1; not changed.
            name: the field's name, for the sentence.
            stamp: of the cloud, nanoseconds.

        Returns:
            (N,) float64 seconds after the stamp, negative before it; None where the values cannot be times of one
            sweep, and all 0 where they are all equal.
        """
        field = f"point time field '{name}' {values.dtype.name}"
        first, last = values.min(), values.max()
        span = float(last) - float(first) if values.dtype.kind == "f" else float(int(last) - int(first))
        if span == 0:
            return np.zeros(len(values)), f"{field}: all values are equal; all points count as measured at the stamp"
        # The largest number has none above it: the step is that to the number below.
        if values.dtype.kind == "f" and np.spacing(np.nextafter(np.abs(last), 0 * last)) > _COARSEST_STEP * span:
            return None, f"{field} is too coarse for times as large as {float(last):.9g}: the times are not used"
        unit = self._unit_for(span)
        if unit is None:
            meant = f" {self._unit}" if self._given else ""
            return None, f"{field} spreads over {span:.9g}{meant}, which cannot be one sweep: the times are not used"
        # The difference of two int16 need not be one.
        wide = values.astype(np.int64) if values.dtype.kind == "i" else values
        offsets = (wide - wide.dtype.type(first)).astype(np.float64) * (UNITS[unit] / 1e9)
        begin, origin = _begin(first, UNITS[unit], stamp)
        return offsets + begin, f"{field} read as {unit}, {origin}"

    def _unit_for(self, span: float) -> str | None:
        """The unit in which ``span`` is at most one sweep; remembered, and only ever made smaller."""
        if self._given:
            return self._unit if _seconds(span, self._unit) <= LONGEST_SWEEP else None
        known = _LARGEST_FIRST.index(self._unit) if self._unit else 0
        fitting = (unit for unit in _LARGEST_FIRST[known:] if _seconds(span, unit) <= LONGEST_SWEEP)
        found = next(fitting, None)
        self._unit = found or self._unit
        return found


def _seconds(span: float, unit: str | None) -> float:
    return span * UNITS[unit or "s"] / 1e9


def _begin(first: Any, unit: int, stamp: int) -> tuple[float, str]:
    """Seconds of the earliest point after the stamp, and in words what the values count from."""
    # Whole numbers stay whole until the stamp is off: a float64 of nanoseconds since 1970 counts in steps of 256.
    exact = int(first) * unit if first.dtype.kind in "iu" else round(float(first) * unit)
    if min(abs(exact), abs(exact - stamp)) > LONGEST_SWEEP * 1e9:
        return 0.0, _FOREIGN
    if abs(exact) <= abs(exact - stamp):
        return exact / 1e9, "counted from the stamp"
    return (exact - stamp) / 1e9, "absolute times of the stamp's clock"
