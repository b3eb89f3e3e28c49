"""Where a drive looks around: every few metres of its way, so that neighbouring frames share the places."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_SPACING = 4.0  # metres of the way between places
_BEHIND, _AHEAD = 8.0, 50.0  # metres of the way from a frame to its farthest places
_STEP = 0.1  # seconds between the moments that may become places
_PATIENCE = 400  # moments ahead of a frame that are looked at: a car that waits sees no more by waiting longer


class Places:
    """Where a drive looks around: every few metres of the way, counted from its start, so that frames share them."""

    def __init__(self, pose_at: Callable[[float], np.ndarray]):
        self._pose_at = pose_at
        self._moments = [0]
        self._points = [pose_at(0.0)[:3, 3]]
        self._travelled = [0.0]
        self._next = 1

    def around(self, time: float, here: np.ndarray) -> list[float]:
        """Times of the places from ``_BEHIND`` metres before to ``_AHEAD`` metres after the point of the way at
        ``time``."""
        now = round(time / _STEP)
        while self._moments[-1] <= now:
            if not self._extend(now + _PATIENCE):
                break
        last = int(np.searchsorted(self._moments, now, side="right")) - 1
        travelled = self._travelled[last] + float(np.linalg.norm(here - self._points[last]))
        while self._travelled[-1] < travelled + _AHEAD:
            if not self._extend(now + _PATIENCE):
                break
        gone = np.asarray(self._travelled)
        chosen = np.flatnonzero((gone >= travelled - _BEHIND) & (gone <= travelled + _AHEAD))
        return [round(self._moments[i] * _STEP, 3) for i in chosen if self._moments[i] <= now + _PATIENCE]

    def _extend(self, until: int) -> bool:
        """Adds the next place that is far enough from the last, if there is one before the moment ``until``."""
        while self._next <= until:
            point = self._pose_at(self._next * _STEP)[:3, 3]
            self._next += 1
            gone = float(np.linalg.norm(point - self._points[-1]))
            if gone >= _SPACING - 0.5:
                self._moments.append(self._next - 1)
                self._points.append(point)
                self._travelled.append(self._travelled[-1] + gone)
                return True
        return False
