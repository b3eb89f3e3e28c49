"""Timed rigid transforms between named frames, as /tf and /tf_static tell them: bounded, interpolated, never guessed.

The rules are tf2's as documented for its buffer: a static transform holds at any time; between two samples the
translation moves on a straight line and the rotation along the shortest way; nothing is extrapolated.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pasco_core.errors import TransformError
from pasco_core.geometry.poses import rigid_matrix, slerp

INVALID, LOOP, FULL = "INVALID", "LOOP", "FULL"
"""Reasons why a transform is not taken in."""
UNKNOWN_FRAME, NOT_CONNECTED = "UNKNOWN_FRAME", "NOT_CONNECTED"
"""Reasons why two frames have no transform at any time."""
PAST, FUTURE = "EXTRAPOLATION_PAST", "EXTRAPOLATION_FUTURE"
"""Reasons why they have none at the time that was asked for."""
LOOKUP_REASONS = (UNKNOWN_FRAME, NOT_CONNECTED, PAST, FUTURE)

_NORM_TOLERANCE = 0.01  # tf2's, of the squared norm of a quaternion
_MAX_FRAMES = 1000
_NANO = 1_000_000_000

_Pose = tuple[Sequence[float], Sequence[float]]


@dataclass
class _Edge:
    """The transforms of one frame to its parent; ``times`` in ns are strictly ascending, and None is static."""

    parent: str
    static: bool
    times: list[int] = field(default_factory=list)
    poses: list[_Pose] = field(default_factory=list)

    def at(self, time: int) -> np.ndarray:
        """Child to parent (4, 4) at a time that is covered."""
        if self.static:
            return rigid_matrix(*self.poses[-1])
        after = bisect_left(self.times, time)
        if self.times[after] == time:
            return rigid_matrix(*self.poses[after])
        share = (time - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        (start, first), (end, last) = self.poses[after - 1], self.poses[after]
        translation = [(1 - share) * a + share * b for a, b in zip(start, end, strict=True)]
        return rigid_matrix(translation, slerp(first, last, share))


class TransformTree:
    """A buffer of transforms; every method may be called from any thread.

    Names of frames may begin with a slash, which is left out. Times are nanoseconds. A frame has one parent: when a
    newer transform names another one, what was known about the frame is forgotten.

    Args:
        window: seconds before the newest sample of a frame for which older ones are kept.
        capacity: samples kept per frame.

    >>> tree = TransformTree()
    >>> tree.insert("base", "lidar", 0, (0, 0, 2), (0, 0, 0, 1), static=True)
    True
    >>> tree.lookup("base", "lidar", 5)[:3, 3].tolist()
    [0.0, 0.0, 2.0]
    """

    def __init__(self, window: float = 10.0, capacity: int = 10_000) -> None:
        self._window = round(window * _NANO)
        self._capacity = capacity
        self._lock = threading.RLock()
        self._edges: dict[str, _Edge] = {}
        self._names: set[str] = set()

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
        parent, child = _frame(parent), _frame(child)
        pose = _checked_pose(parent, child, translation, quaternion)
        with self._lock:
            edge = self._edges.get(child)
            if edge is not None and not static and edge.times and time < edge.times[-1] - self._window:
                return False
            if edge is None or edge.parent != parent or edge.static != static:
                if edge is not None and edge.times and not static and time <= edge.times[-1]:
                    return False  # of before the change of parent
                edge = self._new_edge(parent, child, static)
            return self._add(edge, time, pose)

    def lookup(self, target: str, source: str, time: int | None = None) -> np.ndarray:
        """The transform (4, 4) float64 that takes points in ``source`` to ``target``.

        Args:
            target, source: names of the frames.
            time: in ns; None for the newest at which every part of the way is known.

        Raises:
            TransformError: UNKNOWN_FRAME, NOT_CONNECTED, EXTRAPOLATION_PAST or EXTRAPOLATION_FUTURE; the message names
                both frames, and the roots of their trees or the nearest common time.
        """
        target, source = _frame(target), _frame(source)
        with self._lock:
            down, up = self._way(target, source)
            span = self._span([*down, *up])
            if time is None:
                time = 0 if span is None else span.newest
            if span is not None:
                span.check(target, source, time)
            return np.linalg.inv(self._product(down, time)) @ self._product(up, time)

    def lookup_between(self, target: str, target_time: int, source: str, source_time: int, fixed: str) -> np.ndarray:
        """The transform from ``source`` at one time to ``target`` at another, by way of a frame that stands still.

        Raises:
            TransformError: as ``lookup``.
        """
        with self._lock:
            return self.lookup(target, fixed, target_time) @ self.lookup(fixed, source, source_time)

    def newest_common(self, target: str, source: str) -> int | None:
        """The newest time in ns at which ``lookup`` succeeds; None where every part of the way is static.

        Raises:
            TransformError: UNKNOWN_FRAME, NOT_CONNECTED, or EXTRAPOLATION_PAST where no time is common to all parts.
        """
        target, source = _frame(target), _frame(source)
        with self._lock:
            span = self._span([frame for way in self._way(target, source) for frame in way])
            if span is None:
                return None
            span.check(target, source, span.newest)
            return span.newest

    def parent_of(self, frame: str) -> str | None:
        """The parent of a frame, None where it has none."""
        with self._lock:
            edge = self._edges.get(_frame(frame))
            return None if edge is None else edge.parent

    def frames(self) -> list[str]:
        """Names of all frames, sorted."""
        with self._lock:
            return sorted(self._names)

    def flush(self) -> None:
        """Forget every sample that has a time; static transforms, which are sent only once, stay."""
        with self._lock:
            self._edges = {child: edge for child, edge in self._edges.items() if edge.static}
            self._names = {name for child, edge in self._edges.items() for name in (child, edge.parent)}

    def _new_edge(self, parent: str, child: str, static: bool) -> _Edge:
        above: str | None = parent
        while above is not None:
            if above == child:
                way = " in ".join(repr(name) for name in self._up(parent))
                raise TransformError(f"Expected the frames to form a tree, got {child!r} in {way}", LOOP)
            above = self._edges[above].parent if above in self._edges else None
        names = self._names | {parent, child}
        if len(names) > _MAX_FRAMES:
            raise TransformError(f"Expected at most {_MAX_FRAMES} frames, got {child!r} as one more", FULL)
        self._names = names
        self._edges[child] = _Edge(parent, static)
        return self._edges[child]

    def _add(self, edge: _Edge, time: int, pose: _Pose) -> bool:
        if edge.static:
            edge.poses = [pose]
            return True
        place = bisect_left(edge.times, time)
        if place < len(edge.times) and edge.times[place] == time:
            return False
        edge.times.insert(place, time)
        edge.poses.insert(place, pose)
        old = bisect_left(edge.times, edge.times[-1] - self._window)
        old = max(old, len(edge.times) - self._capacity)
        del edge.times[:old], edge.poses[:old]
        return True

    def _up(self, frame: str) -> list[str]:
        """The frame and those above it, its root last."""
        way = [frame]
        while way[-1] in self._edges:
            way.append(self._edges[way[-1]].parent)
        return way

    def _way(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """Frames from ``target`` and from ``source`` up to below the first that is above both."""
        if target == source:
            return [], []
        asked = f"the transform from {source!r} to {target!r}"
        for name in (source, target):
            if name not in self._names:
                known = ", ".join(self.frames()[:20]) or "none"
                raise TransformError(f"Expected {asked} to exist, got no frame {name!r}; known: {known}", UNKNOWN_FRAME)
        down, up = self._up(target), self._up(source)
        common = next((name for name in down if name in up), None)
        if common is None:
            got = f"two trees: {source!r} hangs below {up[-1]!r} and {target!r} below {down[-1]!r}"
            raise TransformError(f"Expected {asked} to exist, got {got}", NOT_CONNECTED)
        return down[:down.index(common)], up[:up.index(common)]

    def _product(self, way: list[str], time: int) -> np.ndarray:
        matrix = np.eye(4)
        for frame in way:
            matrix = self._edges[frame].at(time) @ matrix
        return matrix

    def _span(self, frames: list[str]) -> _Span | None:
        """The times that all moving parts of a way have in common; None where nothing moves."""
        moving = [name for name in frames if not self._edges[name].static]
        if not moving:
            return None
        first = max(moving, key=lambda name: self._edges[name].times[0])
        last = min(moving, key=lambda name: self._edges[name].times[-1])
        return _Span(self._edges[first].times[0], self._edges[last].times[-1], self._told(first), self._told(last))

    def _told(self, child: str) -> str:
        return f"{child!r} in {self._edges[child].parent!r}"


@dataclass(frozen=True)
class _Span:
    """The oldest and the newest time in ns that a way has in common, and the transforms that set them."""

    oldest: int
    newest: int
    starts_with: str
    ends_with: str

    def check(self, target: str, source: str, time: int) -> None:
        """Refuse a time outside with TransformError."""
        asked = f"Expected the transform from {source!r} to {target!r} at {_seconds(time)} s to be known"
        if time > self.newest:
            late = f"{(time - self.newest) / _NANO:.3f} s later than the newest common time, {_seconds(self.newest)} s"
            raise TransformError(f"{asked}, got a time {late} (the end of {self.ends_with})", FUTURE)
        if time < self.oldest:
            early = f"{(self.oldest - time) / _NANO:.3f} s before the oldest common time, {_seconds(self.oldest)} s"
            raise TransformError(f"{asked}, got a time {early} (the start of {self.starts_with})", PAST)


def _checked_pose(parent: str, child: str, translation: Sequence[float], quaternion: Sequence[float]) -> _Pose:
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


def _frame(name: str) -> str:
    return name.removeprefix("/")


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _seconds(time: int) -> str:
    return f"{time // _NANO}.{time % _NANO:09d}"
