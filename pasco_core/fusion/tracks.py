"""Things that keep their number from frame to frame: matched by the voxels they share and by where they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from pasco_core.fusion.config import FusionConfig

_POSITION_NOISE = 0.3  # metres: how far the middle of a thing's voxels jumps from frame to frame
_ACCELERATION = 3.0  # metres per second²: how much a road user's speed changes, standard deviation
_FIRST_SPEED = 10.0  # metres per second: how fast a new thing may be, standard deviation
_NO_MATCH = 1e3
MAX_TRACKS = 65_534
"""Highest number of a track: messages hold it in 16 bits, of which the highest value means "unknown"."""


@dataclass(frozen=True)
class Detection:
    """One thing of one frame in the fixed frame.

    Args:
        category: its class.
        confidence: probability of the class.
        centre: (3,) middle of its voxels in metres.
        size: (3,) extent of its voxels in metres.
        shared: track number → share of the thing's voxels that were this track's before.
    """

    category: int
    confidence: float
    centre: np.ndarray
    size: np.ndarray
    shared: dict[int, float] = field(default_factory=dict)


@dataclass
class Track:
    """A thing seen in one or more frames.

    Args:
        id: number that no other thing has, from 1 to ``MAX_TRACKS``.
        centre: (3,) where it is in the fixed frame, in metres.
        velocity: (3,) in metres per second; without the height, 0 until it was seen twice.
        size: (3,) extent in metres.
        evidence: (classes,) summed log odds of the classes it was called.
        first_seen, last_seen: seconds.
        n_frames: how many frames it was seen in.
    """

    id: int
    centre: np.ndarray
    velocity: np.ndarray
    size: np.ndarray
    evidence: np.ndarray
    first_seen: float
    last_seen: float
    n_frames: int = 1
    covariance: np.ndarray = field(default_factory=lambda: np.diag([_POSITION_NOISE**2, _FIRST_SPEED**2]))

    @property
    def category(self) -> int:
        """The class it was called most."""
        return int(self.evidence.argmax())

    @property
    def confidence(self) -> float:
        """Probability of that class."""
        shares = np.exp(self.evidence - self.evidence.max())
        return float(1 / shares.sum())

    def centre_at(self, time: float) -> np.ndarray:
        """Where it should be at a time, (3,)."""
        return self.centre + self.velocity * (time - self.last_seen)

    def update(self, seen: Detection, time: float, n_classes: int) -> None:
        """A Kalman filter of constant velocity, the same along x and y; the height is taken as measured."""
        step = max(time - self.last_seen, 0.0)
        forward = np.array([[1.0, step], [0.0, 1.0]])
        noise = _ACCELERATION**2 * np.array([[step**4 / 4, step**3 / 2], [step**3 / 2, step**2]])
        covariance = forward @ self.covariance @ forward.T + noise
        gain = covariance[:, 0] / (covariance[0, 0] + _POSITION_NOISE**2)
        expected = self.centre_at(time)
        surprise = seen.centre - expected
        self.centre = np.append(expected[:2] + gain[0] * surprise[:2], seen.centre[2])
        self.velocity = np.append(self.velocity[:2] + gain[1] * surprise[:2], 0.0)
        self.covariance = covariance - np.outer(gain, covariance[0])
        self.size = 0.7 * self.size + 0.3 * seen.size
        self.evidence = self.evidence + class_evidence(seen, n_classes)
        self.last_seen, self.n_frames = time, self.n_frames + 1


class TrackStore:
    """All things that are followed.

    Args:
        n_classes: of the label set.
        config: gates and times.
    """

    def __init__(self, n_classes: int, config: FusionConfig):
        self._n_classes, self._config = n_classes, config
        self._tracks: dict[int, Track] = {}
        self._next = 1

    @property
    def tracks(self) -> dict[int, Track]:
        """By number, those that were seen only once included."""
        return dict(self._tracks)

    def follow(self, detections: Sequence[Detection], time: float) -> list[int]:
        """Number of the track of each detection: one it matches, else a new one; what is long unseen is given up."""
        self._tracks = {
            number: track for number, track in self._tracks.items()
            if time - track.last_seen <= self._config.forget_after
        }
        numbers = list(self._tracks)
        cost = np.array([[self._cost(seen, self._tracks[n], time) for n in numbers] for seen in detections])
        matched: dict[int, int] = {}
        if cost.size:
            for row, column in zip(*linear_sum_assignment(cost), strict=True):
                if cost[row, column] < _NO_MATCH:
                    matched[int(row)] = numbers[column]
        return [self._take(seen, matched.get(i), time) for i, seen in enumerate(detections)]

    def _free_number(self) -> int:
        """The next number that no followed thing has; after ``MAX_TRACKS`` they begin again at 1."""
        while self._next in self._tracks:
            self._next = self._next % MAX_TRACKS + 1
        number, self._next = self._next, self._next % MAX_TRACKS + 1
        return number

    def _cost(self, seen: Detection, track: Track, time: float) -> float:
        """Low for much in common; ``_NO_MATCH`` for things that cannot be the same."""
        shared = seen.shared.get(track.id, 0.0)
        distance = float(np.linalg.norm((seen.centre - track.centre_at(time))[:2]))
        reach = self._config.gate + 0.5 * float(np.maximum(seen.size, track.size)[:2].max())
        if shared < self._config.least_overlap and distance > reach:
            return _NO_MATCH
        return distance / reach - shared + (0.0 if seen.category == track.category else 0.5)

    def _take(self, seen: Detection, number: int | None, time: float) -> int:
        if number is not None:
            self._tracks[number].update(seen, time, self._n_classes)
            return number
        number = self._free_number()
        evidence = class_evidence(seen, self._n_classes)
        self._tracks[number] = Track(number, seen.centre, np.zeros(3), seen.size, evidence, time, time)
        return number


def class_evidence(seen: Detection, n_classes: int) -> np.ndarray:
    """(classes,) log odds that a detection's class adds: all other classes are equally likely errors."""
    share = float(np.clip(seen.confidence, 1 / n_classes, 0.98))
    evidence = np.zeros(n_classes)
    evidence[seen.category] = max(np.log(share / (1 - share)) + np.log(n_classes - 1), 0.0)
    return evidence
