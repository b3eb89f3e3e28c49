"""The way of a vehicle as far as it is known: poses by time, bounded in memory, asked for at any time between."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

_RECENT = 50_000_000  # ns


class Trajectory:
    """Poses in a fixed frame, added as they are measured. Every method may be called from any thread.

    Args:
        memory: seconds of the way that are kept.
        reach: seconds beyond the newest pose for which the movement of the last 0.05 s is taken to go on.
        gap: seconds between two poses between which nothing is known.
        jump: seconds by which a time must lie back to mean that the clock was set back: all older poses are forgotten.
    """

    def __init__(self, memory: float = 3.0, reach: float = 0.1, gap: float = 0.5, jump: float = 1.0) -> None:
        self._memory, self._reach, self._gap, self._jump = (round(s * 1e9) for s in (memory, reach, gap, jump))
        self._known: deque[tuple[int, np.ndarray]] = deque(maxlen=4096)
        self._lock = threading.Lock()

    def add(self, time: int, pose: np.ndarray) -> None:
        """One more pose (4, 4) at a time in nanoseconds; one that is not newer than the newest is left out."""
        with self._lock:
            newest = self._known[-1][0] if self._known else time - 1
            if time < newest - self._jump:
                self._known.clear()
            elif time <= newest:
                return
            self._known.append((time, np.array(pose, np.float64)))
            while self._known[0][0] < time - self._memory:
                self._known.popleft()

    def covers(self) -> tuple[int, int] | None:
        """First and last time in nanoseconds at which a pose can be told, or None with less than two poses."""
        with self._lock:
            return (self._known[0][0], self._known[-1][0] + self._reach) if len(self._known) > 1 else None

    def at(self, times: np.ndarray) -> np.ndarray | None:
        """Poses (N, 4, 4) float64 at times (N,) int64 in nanoseconds; None where one of them is not covered.

        Between two poses the movement is the screw from one to the other: exact for constant speed and turn rate.
        """
        with self._lock:
            known = list(self._known)
        if len(known) < 2 or times.min() < known[0][0] or times.max() > known[-1][0] + self._reach:
            return None
        stamps = np.array([time for time, _ in known], np.int64)
        before = np.searchsorted(stamps, times, "right") - 1
        after = np.minimum(before + 1, len(known) - 1)
        # Beyond the last pose; not by the last two alone, whose noise would grow with the time between them.
        recent = max(int(np.searchsorted(stamps, stamps[-1] - _RECENT, "right")) - 1, 0)
        before = np.where(before == after, min(recent, len(known) - 2), before)
        used, segment = np.unique(np.stack([before, after]), axis=1, return_inverse=True)
        if (stamps[used[1]] - stamps[used[0]] > self._gap).any():
            return None
        starts, ends = (np.stack([known[i][1] for i in row]) for row in used)
        segment = segment.reshape(-1)
        share = (times - stamps[before]) / (stamps[after] - stamps[before])
        return starts[segment] @ screw_power(rigid_inverse(starts) @ ends, segment, share)


def rigid_inverse(poses: np.ndarray) -> np.ndarray:
    """Inverses (..., 4, 4) of rigid transforms (..., 4, 4)."""
    turned_back = np.swapaxes(poses[..., :3, :3], -1, -2)
    inverse = np.zeros_like(poses)
    inverse[..., :3, :3] = turned_back
    inverse[..., :3, 3] = -(turned_back @ poses[..., :3, 3, None])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def screw_power(steps: np.ndarray, row: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The part ``share`` (N,) of the even movement that leads to the transform ``steps[row]``, as (N, 4, 4).

    The logarithm and exponential of SE(3) in closed form (Murray, Li, Sastry: "A Mathematical Introduction to Robotic
    Manipulation", 1994, section 2.3).

    Args:
        steps: (K, 4, 4) rigid transforms that turn by less than half a turn.
        row: (N,) which of them.
        share: (N,) 0: nothing, 1: the whole of it, above 1: beyond it.
    """
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_matrix(steps[:, :3, :3]).as_rotvec()
    speed = np.linalg.solve(_shift_matrix(turn), steps[:, :3, 3, None])[..., 0]
    part = np.zeros((len(share), 4, 4))
    turned = turn[row] * share[:, None]
    part[:, :3, :3] = Rotation.from_rotvec(turned).as_matrix()
    part[:, :3, 3] = np.einsum("nij,nj->ni", _shift_matrix(turned), speed[row] * share[:, None])
    part[:, 3, 3] = 1.0
    return part


def _shift_matrix(turn: np.ndarray) -> np.ndarray:
    """(N, 3, 3): where a velocity leads that turns evenly by ``turn`` (N, 3) radians while it lasts."""
    angle = np.linalg.norm(turn, axis=1)[:, None, None]
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    across = np.where(small, 0.5, (1.0 - np.cos(safe)) / safe**2)
    along = np.where(small, 1.0 / 6.0, (safe - np.sin(safe)) / safe**3)
    x, y, z = turn.T
    zero = np.zeros_like(x)
    skew = np.stack([np.stack(r, -1) for r in ((zero, -z, y), (z, zero, -x), (-y, x, zero))], axis=1)
    return np.eye(3) + across * skew + along * (skew @ skew)
