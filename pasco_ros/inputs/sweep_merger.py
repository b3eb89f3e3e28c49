"""Which clouds of several LiDARs belong together: the primary's drive, the others join if they come in time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

_BUFFERED = 4  # clouds of a partner that wait for a cloud of the primary
_GIVEN_UP = 5  # frames in a row without a partner, after which it is not waited for until it comes again


@dataclass(frozen=True)
class Merged(Generic[Item]):
    """Clouds that belong together.

    Args:
        items: the primary's first, then the partners' in the order of the sensors.
        missing: numbers of the partners that are not there.
    """

    items: tuple[Item, ...]
    missing: tuple[int, ...]


@dataclass
class Sorted(Generic[Item]):
    """What became of clouds in one step.

    Args:
        ready: frames to be computed, in order.
        late: partners' clouds whose frame had gone on without them.
        unmatched: partners' clouds that no cloud of the primary came for, or a nearer one was there.
    """

    ready: list[Merged[Item]] = field(default_factory=list)
    late: list[Item] = field(default_factory=list)
    unmatched: list[Item] = field(default_factory=list)


class SweepMerger(Generic[Item]):
    """Sorts clouds by their stamps; it holds one cloud of the primary and four of each partner at most.

    A frame goes on as soon as every partner has a cloud within the tolerance, at the latest after the timeout or when
    the primary's next cloud comes. A partner that was missing five times in a row is not waited for until it comes
    again. An object belongs to one thread; time comes in with every call.

    Args:
        n_sensors: number of LiDARs; 0 is the primary.
        tolerance: largest difference of two stamps of one frame, seconds; at most half the primary's period.
        timeout: seconds that a cloud of the primary waits for partners.
    """

    def __init__(self, n_sensors: int, tolerance: float, timeout: float) -> None:
        self.tolerance, self.timeout = tolerance, timeout
        self._partners = range(1, n_sensors)
        self._waiting: tuple[int, Item, float] | None = None  # stamp, cloud, when it came
        self._buffers: dict[int, deque[tuple[int, Item]]] = {s: deque() for s in self._partners}
        self._last: tuple[int, tuple[int, ...]] | None = None  # stamp and missing partners of the last frame
        self._absent = dict.fromkeys(self._partners, 0)
        self.missed = dict.fromkeys(self._partners, 0)
        self.late = dict.fromkeys(self._partners, 0)

    def add(self, sensor: int, stamp: int, item: Item, now: float) -> Sorted[Item]:
        """One more cloud.

        Args:
            sensor: its number.
            stamp: nanoseconds; ascending per sensor.
            item: the cloud.
            now: seconds of a steady clock.
        """
        result: Sorted[Item] = Sorted()
        if sensor == 0:
            self._release(result)
            self._waiting = (stamp, item, now)
        else:
            self._take_partner(sensor, stamp, item, result)
        if self._waiting is not None and all(
            self._nearest(s) is not None or self._absent[s] >= _GIVEN_UP for s in self._partners
        ):
            self._release(result)
        return result

    def poll(self, now: float) -> Sorted[Item]:
        """Let a frame go on whose time to wait is over; to be called every few milliseconds."""
        result: Sorted[Item] = Sorted()
        if self._waiting is not None and now - self._waiting[2] >= self.timeout:
            self._release(result)
        return result

    def flush(self) -> list[Item]:
        """Forget everything; returns the clouds that were waiting."""
        waiting = [] if self._waiting is None else [self._waiting[1]]
        waiting += [item for buffer in self._buffers.values() for _, item in buffer]
        self._waiting = self._last = None
        for buffer in self._buffers.values():
            buffer.clear()
        return waiting

    def absent(self) -> Sequence[int]:
        """Numbers of the partners that the last frame lacked."""
        return () if self._last is None else self._last[1]

    def _take_partner(self, sensor: int, stamp: int, item: Item, result: Sorted[Item]) -> None:
        self._absent[sensor] = 0
        if self._last is not None and sensor in self._last[1] and self._close(stamp, self._last[0]):
            self.late[sensor] += 1
            result.late.append(item)
        elif self._last is not None and stamp <= self._last[0]:
            result.unmatched.append(item)
        else:
            buffer = self._buffers[sensor]
            buffer.append((stamp, item))
            if len(buffer) > _BUFFERED:
                result.unmatched.append(buffer.popleft()[1])

    def _nearest(self, sensor: int) -> tuple[int, Item] | None:
        """The partner's cloud nearest in time to the waiting one, if it is within the tolerance."""
        if self._waiting is None:
            return None
        stamp = self._waiting[0]
        close = [entry for entry in self._buffers[sensor] if self._close(entry[0], stamp)]
        return min(close, key=lambda entry: abs(entry[0] - stamp), default=None)

    def _release(self, result: Sorted[Item]) -> None:
        """Let the waiting frame go on with what is there."""
        if self._waiting is None:
            return
        stamp, primary, _ = self._waiting
        found = {sensor: self._nearest(sensor) for sensor in self._partners}
        missing = tuple(sensor for sensor, entry in found.items() if entry is None)
        for sensor, entry in found.items():
            self._absent[sensor] = self._absent[sensor] + 1 if entry is None else 0
            self.missed[sensor] += entry is None
            self._drop_past(sensor, max(stamp, entry[0]) if entry else stamp, entry, result)
        items = (primary, *(entry[1] for entry in found.values() if entry is not None))
        result.ready.append(Merged(items, missing))
        self._waiting, self._last = None, (stamp, missing)

    def _drop_past(self, sensor: int, until: int, used: tuple[int, Item] | None, result: Sorted[Item]) -> None:
        """Clouds of a partner up to the frame's stamp wait no longer: later frames are nearer to later clouds."""
        buffer = self._buffers[sensor]
        while buffer and buffer[0][0] <= until:
            entry = buffer.popleft()
            if entry is not used:
                result.unmatched.append(entry[1])

    def _close(self, one: int, other: int) -> bool:
        return abs(one - other) <= round(self.tolerance * 1e9)
