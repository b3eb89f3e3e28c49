"""Do things keep their number from frame to frame: matches and identity switches, as in CLEAR MOT (Bernardin 2008)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.errors import ConfigError, DataError


@dataclass(frozen=True)
class IdentityScores:
    """Counts over all frames.

    Args:
        n_truth: true things, counted in every frame they are in.
        n_matched: how many of them a track covered.
        n_switches: how often a true thing was covered by another track than when it was covered last.
        n_tracks: different tracks that covered anything.
        n_things: different true things that were covered.
    """

    n_truth: int
    n_matched: int
    n_switches: int
    n_tracks: int
    n_things: int


class IdentityMetrics:
    """Counts identity switches of one drive, frame by frame in order.

    Args:
        least_iou: a track covers a thing if their voxels overlap by more than this; from 0.5 on at most one can.

    >>> metric = IdentityMetrics()
    >>> thing = np.array([[[7, 7, 0]]])
    >>> metric.update(np.array([[[1, 1, 0]]]), thing)
    >>> metric.update(np.array([[[2, 2, 0]]]), thing)
    >>> metric.compute().n_switches
    1
    """

    def __init__(self, least_iou: float = 0.5):
        if not 0.5 <= least_iou < 1:
            raise ConfigError(f"Expected least_iou to be from 0.5 to below 1, got {least_iou}")
        self._least_iou = least_iou
        self._track_of: dict[int, int] = {}
        self._tracks: set[int] = set()
        self._n_truth = self._n_matched = self._n_switches = 0

    def update(self, tracks: np.ndarray, truth: np.ndarray, known: np.ndarray | None = None) -> None:
        """Count one frame.

        Args:
            tracks: (X, Y, Z) integers, track in each voxel, 0 = none.
            truth: (X, Y, Z) integers, number of the true thing, the same in every frame, 0 = none.
            known: (X, Y, Z) bool, voxels whose truth is known; default: all.

        Raises:
            DataError: arrays of different shapes.
        """
        if tracks.shape != truth.shape:
            raise DataError(f"Expected tracks and truth to have one shape, got {tracks.shape} and {truth.shape}")
        here = (tracks > 0) | (truth > 0)
        if known is not None:
            here &= known
        pairs, counts = np.unique(np.column_stack([tracks[here], truth[here]]), axis=0, return_counts=True)
        sizes = [dict.fromkeys(np.unique(pairs[:, side]).tolist(), 0) for side in (0, 1)]
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            for side in (0, 1):
                sizes[side][pair[side]] += count
        self._n_truth += sum(1 for thing in sizes[1] if thing)
        for (track, thing), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            if track and thing and count > self._least_iou * (sizes[0][track] + sizes[1][thing] - count):
                self._match(track, thing)

    def compute(self) -> IdentityScores:
        """The counts so far."""
        return IdentityScores(
            self._n_truth, self._n_matched, self._n_switches, len(self._tracks), len(self._track_of)
        )

    def _match(self, track: int, thing: int) -> None:
        self._n_matched += 1
        self._n_switches += self._track_of.get(thing, track) != track
        self._track_of[thing] = track
        self._tracks.add(track)
