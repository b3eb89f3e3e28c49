"""Does uncertainty tell errors from correct predictions: AUROC, AUPRC and FPR95 from counts that merge exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.metrics.calibration import ROUNDING
from pasco_core.metrics.checks import checked_grid, require_unit_interval
from pasco_core.metrics.completion import share
from pasco_core.metrics.overlaps import SegmentOverlaps
from pasco_core.metrics.segment_calibration import judged_segments
from pasco_core.metrics.tally import Metric, Tally

# A bin is the upper half of a float32's bits and one more: 256 bins between 2^-k and 2^-(k - 1), each 0.4 % wide or
# narrower. One minus a float32 from 1/2 to 1 is a multiple of 2^-24, so that below 2^-15 every value has its own bin.
_SHIFT = 15
_LOWEST = (127 - 24) << (23 - _SHIFT)
N_SCORE_BINS = (24 << (23 - _SHIFT)) + 2
"""Bins of uncertainty: 0, 256 per octave from 2^-24 to 1, and 1 itself."""


@dataclass(frozen=True)
class DetectionScores:
    """How well a score ranks errors above correct predictions; nan where there are no errors or none correct.

    Args:
        auroc: probability that an error has the higher score than a correct one; ties count half.
        auprc: average precision: precision of each threshold weighted with the recall it adds.
        fpr95: share of correct predictions that a threshold flags which finds at least 95 % of the errors.
        errors, correct: how many.
    """

    auroc: float
    auprc: float
    fpr95: float
    errors: int
    correct: int


def score_bins(scores: np.ndarray) -> np.ndarray:
    """Bin (N,) int64 of scores (N,) in [0, 1]; a higher score never has a lower bin.

    >>> score_bins(np.array([0.0, 2.0**-24, 0.5, 0.501, 1.0], np.float32)).tolist()
    [0, 1, 5889, 5889, 6145]
    """
    scores = np.ascontiguousarray(np.maximum(scores, 0.0), np.float32)
    bins = (scores.view(np.uint32) >> _SHIFT).astype(np.int64) - _LOWEST
    return np.where(scores > 0, np.clip(bins, 0, N_SCORE_BINS - 2) + 1, 0)


def detection_scores(errors: np.ndarray, correct: np.ndarray) -> DetectionScores:
    """Scores from the counts (bins,) of errors and of correct predictions, by ascending score.

    >>> detection_scores(np.array([0, 1, 3]), np.array([6, 2, 0]))
    DetectionScores(auroc=0.96875, auprc=0.9166666666666666, fpr95=0.25, errors=4, correct=8)
    """
    n_errors, n_correct = int(errors.sum()), int(correct.sum())
    if not (n_errors and n_correct):
        nan = float("nan")
        return DetectionScores(nan, nan, nan, n_errors, n_correct)
    errors, correct = errors[::-1], correct[::-1]
    found, flagged = np.cumsum(errors), np.cumsum(correct)
    higher = found - errors
    auroc = float(np.sum(correct / n_correct * ((higher + 0.5 * errors) / n_errors)))
    some = errors > 0
    auprc = float(np.sum(errors[some] / n_errors * (found[some] / (found[some] + flagged[some]))))
    threshold = int(np.argmax(20 * found >= 19 * n_errors))
    return DetectionScores(auroc, auprc, share(int(flagged[threshold]), n_correct), n_errors, n_correct)


class VoxelErrorDetection(Metric):
    """Uncertainty as a detector of wrong voxels, among all voxels of known truth and among those not predicted empty.

    Scores are counted in bins of 0.4 % of their value or less, so that frames merge exactly; scores within a bin count
    as equal.

    >>> metric = VoxelErrorDetection()
    >>> semantics, truth = np.array([[[0, 0, 1, 1, 2]]], np.uint8), np.array([[[0, 1, 1, 2, 255]]], np.uint8)
    >>> metric.update(semantics, np.array([[[0.1, 0.3, 0.2, 0.4, 0.9]]], np.float32), truth)
    >>> everywhere, nonempty = metric.compute()
    >>> everywhere.auroc, everywhere.errors, everywhere.correct
    (1.0, 2, 2)
    >>> nonempty.errors, nonempty.correct
    (1, 1)
    """

    def __init__(self) -> None:
        # Rows: predicted empty and correct, empty and wrong, not empty and correct, not empty and wrong.
        self.tally = Tally({}, {"voxels": (4, N_SCORE_BINS)})

    def update(self, semantics: np.ndarray, uncertainty: np.ndarray, truth: np.ndarray) -> None:
        """Counts one frame.

        Args:
            semantics: (X, Y, Z) uint8 predicted class.
            uncertainty: (X, Y, Z) float32 in [0, 1].
            truth: (X, Y, Z) uint8 class, 255 = unknown.

        Raises:
            DataError: shapes, dtypes or values do not fit; nothing is counted then.
        """
        truth = checked_grid("the truth", truth, np.uint8)
        semantics = checked_grid("the predicted classes", semantics, np.uint8, truth.shape)
        uncertainty = checked_grid("the uncertainty", uncertainty, np.floating, truth.shape)
        require_unit_interval("the uncertainty", uncertainty, ROUNDING)
        row = (semantics != truth).view(np.uint8) + np.uint8(2) * (semantics != 0).view(np.uint8)
        row[truth == UNKNOWN] = 4
        row = row.ravel()
        # Most voxels are certain: they need no bin.
        doubtful = np.flatnonzero(uncertainty.ravel() > 0)
        keys = row[doubtful].astype(np.int64) * N_SCORE_BINS + score_bins(uncertainty.ravel()[doubtful])
        voxels = np.bincount(keys, minlength=5 * N_SCORE_BINS).reshape(5, -1)
        voxels[:, 0] += np.bincount(row, minlength=5) - voxels.sum(1)
        self.tally.counts["voxels"] += voxels[:4]

    def compute(self) -> tuple[DetectionScores, DetectionScores]:
        """Scores of all voxels, and of those not predicted empty."""
        empty_right, empty_wrong, right, wrong = self.tally.counts["voxels"]
        return detection_scores(empty_wrong + wrong, empty_right + right), detection_scores(wrong, right)


class SegmentErrorDetection(Metric):
    """1 - confidence as a detector of wrong segments: those without a partner of their own class (IoU above 1/2)."""

    def __init__(self) -> None:
        self.tally = Tally({}, {"segments": (2, N_SCORE_BINS)})

    def update_overlaps(self, overlaps: SegmentOverlaps) -> None:
        """Counts one frame's segments."""
        confidence, correct = judged_segments(overlaps)
        bins = score_bins(1.0 - confidence)
        for row, members in enumerate((correct, ~correct)):
            self.tally.counts["segments"][row] += np.bincount(bins[members], minlength=N_SCORE_BINS)

    def compute(self) -> DetectionScores:
        """Scores of all frames so far."""
        correct, wrong = self.tally.counts["segments"]
        return detection_scores(wrong, correct)
