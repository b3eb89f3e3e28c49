"""The rules of a buffer of timed transforms, whatever keeps them: what is taken in, refused, forgotten and answered."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from pasco_core.clock_jumps import is_of_now, jumps_back
from pasco_core.errors import TransformError

INVALID, LOOP, FULL = "INVALID", "LOOP", "FULL"
"""Reasons why a transform is not taken in."""
UNKNOWN_FRAME, NOT_CONNECTED = "UNKNOWN_FRAME", "NOT_CONNECTED"
"""Reasons why two frames have no transform at any time."""
PAST, FUTURE = "EXTRAPOLATION_PAST", "EXTRAPOLATION_FUTURE"
"""Reasons why they have none at the time that was asked for."""
LOOKUP_REASONS = (UNKNOWN_FRAME, NOT_CONNECTED, PAST, FUTURE)

NANO = 1_000_000_000

_NORM_TOLERANCE = 0.01  # tf2's, of the squared norm of a quaternion
_MAX_FRAMES = 1000
_END_OF_TIME = 2**31 * NANO  # of builtin_interfaces/Time

Pose = tuple[Sequence[float], Sequence[float]]
"""Translation x y z in metres, and quaternion x y z w."""


@dataclass
class Link:
    """What a frame hangs below; ``newest`` is the stamp in ns of its newest sample, None where it is static."""

    parent: str
    static: bool
    newest: int | None = None


AnyLink = TypeVar("AnyLink", bound=Link)


class TransformBuffer(ABC, Generic[AnyLink]):
    """A buffer of transforms; every method may be called from any thread.

    Names of frames may begin with a slash, which is left out. Times are nanoseconds. A frame has one parent: when a
    newer transform names another one, what was known about the frame is forgotten; so it is when its stamps jump
    back, as they do where a recording begins anew, or ahead by more than the window.

    Args:
        window: seconds before the newest sample of a frame for which older ones are kept.
    """

    def __init__(self, window: float = 10.0) -> None:
        self._window = round(window * NANO)
        self._lock = threading.RLock()
        self._links: dict[str, AnyLink] = {}

    @abstractmethod
    def _new_link(self, parent: str, static: bool) -> AnyLink:
        """A link without samples."""

    @abstractmethod
    def _store(self, child: str, link: AnyLink, time: int, pose: Pose) -> bool:
        """Keep a sample of a frame, the first one where ``link.newest`` is None; returns whether it was kept."""

    @abstractmethod
    def _between(self, target: str, source: str, way: Way, time: int) -> np.ndarray:
        """The transform (4, 4) at a time that is not after the newest of the way.

        Raises:
            TransformError: the time is before the oldest of the way.
        """

    def insert(
        self, parent: str, child: str, time: int, translation: Sequence[float], quaternion: Sequence[float],
        static: bool = False,
    ) -> bool:
        """Take in the pose of ``child`` in ``parent``: p_parent = q · p_child + t.

        Args:
            parent, child: names of the frames.
            time: of the sample in ns; of no meaning for a static one.
            translation: x, y, z in metres.
            quaternion: x, y, z, w, of length 1.
            static: whether it holds at any time.

        Returns:
            Whether it was kept: a sample older than the window, or with the time of another one, is not.

        Raises:
            TransformError: INVALID (a name or a number), LOOP (parent is below child), FULL (too many frames).
        """
        parent, child = _bare(parent), _bare(child)
        pose = _checked_pose(parent, child, translation, quaternion)
        if not static and not 0 <= time < _END_OF_TIME:
            what = f"the transform of {child!r} in {parent!r} to have a stamp from 0 to 2147483648 s"
            raise TransformError(f"Expected {what}, got {time / NANO:g} s", INVALID)
        with self._lock:
            link = self._links.get(child)
            newest = None if link is None or static else link.newest
            anew = newest is not None and (jumps_back(newest, time) or time > newest + self._window)
            moved = link is not None and link.parent != parent
            if newest is not None and not anew and (time < newest - self._window or (moved and time <= newest)):
                return False
            if link is None or moved or anew or link.static != static:
                self._check_place(parent, child)
                link = self._links[child] = self._new_link(parent, static)
            kept = self._store(child, link, time, pose)
            if not static:
                link.newest = time if link.newest is None else max(time, link.newest)
            return kept

    def lookup(self, target: str, source: str, time: int | None = None) -> np.ndarray:
        """The transform (4, 4) float64 that takes points in ``source`` to ``target``.

        Args:
            target, source: names of the frames.
            time: in ns; None for the newest at which every part of the way is known.

        Raises:
            TransformError: UNKNOWN_FRAME, NOT_CONNECTED, EXTRAPOLATION_PAST or EXTRAPOLATION_FUTURE; the message names
                both frames, and the roots of their trees or the nearest common time.
        """
        target, source = _bare(target), _bare(source)
        with self._lock:
            way = self._way(target, source)
            if not way.frames:
                return np.eye(4)
            last, newest = self._newest(way)
            if time is not None and newest is not None and time > newest:
                late = f"{(time - newest) / NANO:.3f} s later than the newest common time, {seconds(newest)} s"
                got = f"a time {late} (the end of {self._told(last)})"
                raise TransformError(f"{asked(target, source, time)}, got {got}", FUTURE)
            return self._between(target, source, way, (newest or 0) if time is None else time)

    def newest_common(self, target: str, source: str) -> int | None:
        """The newest time in ns at which ``lookup`` succeeds; None where every part of the way is static.

        Raises:
            TransformError: UNKNOWN_FRAME, NOT_CONNECTED, or EXTRAPOLATION_PAST where no time is common to all parts.
        """
        target, source = _bare(target), _bare(source)
        with self._lock:
            way = self._way(target, source)
            newest = self._newest(way)[1]
            if newest is not None:
                self._between(target, source, way, newest)
            return newest

    def link_of(self, frame: str) -> Link | None:
        """What a frame hangs below, None where it has no parent; another object as soon as its past is forgotten."""
        with self._lock:
            return self._links.get(_bare(frame))

    def frames(self) -> list[str]:
        """Names of all frames, sorted."""
        with self._lock:
            return sorted(self._names())

    def flush(self, now: int | None = None) -> None:
        """Forget what has a time; static transforms, which are sent only once, stay.

        Args:
            now: the time in ns after a jump of stamps or of a clock: frames whose newest sample is of that time
                stay, for transforms of after the jump may have come before it was noticed.
        """
        with self._lock:
            self._links = {
                child: link for child, link in self._links.items()
                if link.newest is None or (now is not None and is_of_now(link.newest, now))
            }

    def _check_place(self, parent: str, child: str) -> None:
        """Refuse a ring of frames, and more frames than there are on any vehicle."""
        above = self._up(parent)
        if child in above:
            way = " in ".join(repr(name) for name in above)
            raise TransformError(f"Expected the frames to form a tree, got {child!r} in {way}", LOOP)
        if len(self._names() | {parent, child}) > _MAX_FRAMES:
            raise TransformError(f"Expected at most {_MAX_FRAMES} frames, got {child!r} as one more", FULL)

    def _names(self) -> set[str]:
        return {*self._links, *(link.parent for link in self._links.values())}

    def _up(self, frame: str) -> list[str]:
        """The frame and those above it, its root last."""
        way = [frame]
        while way[-1] in self._links:
            way.append(self._links[way[-1]].parent)
        return way

    def _way(self, target: str, source: str) -> Way:
        if target == source:
            return Way([], [])
        what = f"the transform from {source!r} to {target!r}"
        names = self._names()
        for name in (source, target):
            if name not in names:
                known = ", ".join(sorted(names)[:20]) or "none"
                raise TransformError(f"Expected {what} to exist, got no frame {name!r}; known: {known}", UNKNOWN_FRAME)
        down, up = self._up(target), self._up(source)
        common = next((name for name in down if name in up), None)
        if common is None:
            got = f"two trees: {source!r} hangs below {up[-1]!r} and {target!r} below {down[-1]!r}"
            raise TransformError(f"Expected {what} to exist, got {got}", NOT_CONNECTED)
        return Way(down[:down.index(common)], up[:up.index(common)])

    def _newest(self, way: Way) -> tuple[str, int | None]:
        """The frame of a way whose samples end first, and when; None where every part is static."""
        ends = [(newest, frame) for frame in way.frames if (newest := self._links[frame].newest) is not None]
        time, frame = min(ends, default=(None, ""))
        return frame, time

    def _told(self, child: str) -> str:
        return f"{child!r} in {self._links[child].parent!r}"


@dataclass(frozen=True)
class Way:
    """Frames from the target and from the source up to below the first that is above both."""

    down: list[str]
    up: list[str]

    @property
    def frames(self) -> list[str]:
        return [*self.down, *self.up]


def asked(target: str, source: str, time: int) -> str:
    """How a message about a transform at a time that is not known begins."""
    return f"Expected the transform from {source!r} to {target!r} at {seconds(time)} s to be known"


def seconds(time: int) -> str:
    """Nanoseconds as exact seconds."""
    return f"{time // NANO}.{time % NANO:09d}"


def _checked_pose(parent: str, child: str, translation: Sequence[float], quaternion: Sequence[float]) -> Pose:
    what = f"the transform of {child!r} in {parent!r}"
    if not parent or not child or parent == child:
        raise TransformError(f"Expected a transform to name two frames, got {child!r} in {parent!r}", INVALID)
    if not all(math.isfinite(value) for value in translation):
        raise TransformError(f"Expected {what} to have a finite translation, got {_numbers(translation)}", INVALID)
    squared = sum(value * value for value in quaternion)
    if not abs(squared - 1) <= _NORM_TOLERANCE:  # so that NaN is refused too
        rule = "a quaternion (x, y, z, w) of length 1"
        raise TransformError(f"Expected {what} to have {rule}, got {_numbers(quaternion)}", INVALID)
    return tuple(translation), tuple(quaternion)


def _bare(name: str) -> str:
    return name.removeprefix("/")


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
