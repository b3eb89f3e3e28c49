"""The way of a vehicle as far as it is known: poses by time, bounded in memory, asked for at any time between."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from pasco_core.clock_jumps import jumps_back

# Nanoseconds.
_MEMORY = 3_000_000_000
_RECENT = 50_000_000
_REACH = 100_000_000
_GAP = 500_000_000


class Trajectory:
    """Poses in a fixed frame, added as they are measured. Every method may be called from any thread.

    The last 3 s of the way are kept. The movement of the last 0.05 s is taken to go on for 0.1 s. Where two poses are
    more than 0.5 s apart, nothing is known between. Where the times jump back, everything is forgotten.
    """

    def __init__(self) -> None:
        self._known: deque[tuple[int, np.ndarray]] = deque(maxlen=4096)
        self._lock = threading.Lock()

    def add(self, time: int, pose: np.ndarray) -> None:
        """One more pose (4, 4) at a time in nanoseconds; one that is not newer than the newest is left out."""
        with self._lock:
            newest = self._known[-1][0] if self._known else time - 1
            if jumps_back(newest, time):
                self._known.clear()
            elif time <= newest:
                return
            self._known.append((time, np.array(pose, np.float64)))
            while self._known[0][0] < time - _MEMORY:
                self._known.popleft()

    def covers(self) -> tuple[int, int] | None:
        """First and last time in nanoseconds at which a pose can be told, or None with less than two poses."""
        with self._lock:
            return (self._known[0][0], self._known[-1][0] + _REACH) if len(self._known) > 1 else None

    def at(self, times: np.ndarray) -> np.ndarray | None:
        """Poses (N, 4, 4) float64 at times (N,) int64 in nanoseconds; None where one of them is not covered.

        Between two poses the movement is the screw from one to the other: exact for constant speed and turn rate.
        """
        with self._lock:
            known = list(self._known)
        if len(known) < 2 or times.min() < known[0][0] or times.max() > known[-1][0] + _REACH:
            return None
        stamps = np.array([time for time, _ in known], np.int64)
        before = np.searchsorted(stamps, times, "right") - 1
        after = np.minimum(before + 1, len(known) - 1)
        # Beyond the last pose; not by the last two alone, whose noise would grow with the time between them.
        recent = max(int(np.searchsorted(stamps, stamps[-1] - _RECENT, "right")) - 1, 0)
        before = np.where(before == after, min(recent, len(known) - 2), before)
        used, segment = np.unique(np.stack([before, after]), axis=1, return_inverse=True)
        if (stamps[used[1]] - stamps[used[0]] > _GAP).any():
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
