"""Timed rigid transforms between named frames, as /tf and /tf_static tell them: bounded, interpolated, never guessed.

The rules are tf2's as documented for its buffer: a static transform holds at any time; between two samples the
translation moves on a straight line and the rotation along the shortest way; nothing is extrapolated.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from pasco_core.errors import TransformError
from pasco_core.geometry.poses import rigid_matrix, slerp
from pasco_core.geometry.transform_buffer import NANO, PAST, Link, Pose, TransformBuffer, Way, asked, seconds


@dataclass
class _Edge(Link):
    """The transforms of a frame to its parent; ``times`` in ns ascend strictly, a static one has a single pose."""

    times: list[int] = field(default_factory=list)
    poses: list[Pose] = field(default_factory=list)

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


class TransformTree(TransformBuffer[_Edge]):
    """A ``TransformBuffer`` that needs nothing but NumPy.

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
        super().__init__(window)
        self._capacity = capacity

    def _new_link(self, parent: str, static: bool) -> _Edge:
        return _Edge(parent, static)

    def _store(self, child: str, link: _Edge, time: int, pose: Pose) -> bool:
        if link.static:
            link.poses = [pose]
            return True
        place = bisect_left(link.times, time)
        if place < len(link.times) and link.times[place] == time:
            return False
        link.times.insert(place, time)
        link.poses.insert(place, pose)
        old = bisect_left(link.times, link.times[-1] - self._window)
        old = max(old, len(link.times) - self._capacity)
        del link.times[:old], link.poses[:old]
        return True

    def _between(self, target: str, source: str, way: Way, time: int) -> np.ndarray:
        starts = [(self._links[frame].times[0], frame) for frame in way.frames if not self._links[frame].static]
        oldest, first = max(starts, default=(time, ""))
        if time < oldest:
            early = f"{(oldest - time) / NANO:.3f} s before the oldest common time, {seconds(oldest)} s"
            got = f"a time {early} (the start of {self._told(first)})"
            raise TransformError(f"{asked(target, source, time)}, got {got}", PAST)
        return np.linalg.inv(self._product(way.down, time)) @ self._product(way.up, time)

    def _product(self, way: list[str], time: int) -> np.ndarray:
        matrix = np.eye(4)
        for frame in way:
            matrix = self._links[frame].at(time) @ matrix
        return matrix
