"""Are voxels as often right as they are sure: calibration error and log likelihood of the class probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.errors import DataError
from pasco_core.metrics.checks import checked_class_names, checked_grid, require_classes, require_unit_interval
from pasco_core.metrics.completion import share
from pasco_core.metrics.reliability import N_BINS, BinSums, ReliabilityBins, add_bins, bin_counts, read_bins
from pasco_core.metrics.tally import Metric, Tally

ROUNDING = 1e-4
"""How far float32 probabilities may be outside 0 to 1 before they are refused; they are clipped."""

_VOXEL_EPSILON = 1e-12


@dataclass(frozen=True)
class CalibrationScores:
    """Calibration of a group of voxels, segments or masks; nan where there was none.

    Args:
        ece: expected calibration error from 0 to 1; of voxels and masks the mean of the frames' errors, frames without
            any left out; of segments over all of them together.
        nll: mean negative log likelihood of the true class, in nats; nan for masks, which have no classes.
        count: how many.
        reliability: accuracy by confidence, all frames together.
    """

    ece: float
    nll: float
    count: int
    reliability: ReliabilityBins


@dataclass(frozen=True)
class VoxelCalibration:
    """Voxels predicted empty, and others.

    Args:
        empty, nonempty: the two groups.
        ece, nll: mean of the two groups' figures, as in the published tables.
    """

    empty: CalibrationScores
    nonempty: CalibrationScores
    ece: float
    nll: float


class Calibration(Metric):
    """Expected calibration error and negative log likelihood of voxels, apart for those predicted empty and others.

    The probabilities come for some voxels only; every other voxel is empty with probability 1. Fifteen bins, and one
    more for confidences of exactly 1; all sums in float64. A voxel adds -log(p + 1e-12) for the probability p of its
    true class (but not less than 0).

    Args:
        class_names: name of class 0 (empty), 1, ...

    >>> metric = Calibration(("empty", "car", "road"))
    >>> probabilities = np.array([[0.25, 0.75, 0.0], [0.25, 0.25, 0.5]], np.float32)
    >>> truth = np.array([[[0, 1, 1, 255]]], np.uint8)
    >>> metric.update(np.array([1, 2]), probabilities, truth)
    >>> scores = metric.compute()
    >>> scores.nonempty.count, scores.nonempty.ece, round(scores.nonempty.nll, 3)
    (2, 0.375, 0.837)
    >>> scores.empty.count, scores.empty.ece, scores.empty.nll, scores.ece
    (1, 0.0, 0.0, 0.1875)
    """

    def __init__(self, class_names: Sequence[str]):
        self.class_names = checked_class_names(class_names)
        groups = ("empty", "nonempty")
        self.tally = Tally(
            {"class_names": list(self.class_names)},
            {"frames": (len(groups),)} | bin_counts("empty") | bin_counts("nonempty"),
            {"ece": len(groups), "nll": len(groups), "empty_confidence": N_BINS + 1, "nonempty_confidence": N_BINS + 1},
        )

    def update(self, probability_voxels: np.ndarray, probabilities: np.ndarray, truth: np.ndarray) -> None:
        """Counts one frame.

        Args:
            probability_voxels: (M,) flat indices of voxels, ascending.
            probabilities: (M, classes) float32 at those voxels; the first largest is the predicted class.
            truth: (X, Y, Z) uint8 class, 255 = unknown.

        Raises:
            DataError: shapes, dtypes or values do not fit; nothing is counted then.
        """
        truth = checked_grid("the truth", truth, np.uint8).ravel()
        _check_probabilities(probability_voxels, probabilities, len(self.class_names), truth.size)
        of_voxels = truth[probability_voxels]
        require_classes("the truth", of_voxels, len(self.class_names), unknown=True)
        known = of_voxels != UNKNOWN
        classes = of_voxels[known]
        if len(classes) < len(of_voxels):
            probabilities = probabilities[known]
        rows = np.arange(len(classes))
        predicted = probabilities.argmax(1)
        confidence = np.clip(probabilities[rows, predicted].astype(np.float64), 0.0, 1.0)
        surprise = _surprise(probabilities[rows, classes])
        # Voxels without probabilities: how many are empty, as predicted, and how many are not.
        n_known = truth.size - np.count_nonzero(truth == UNKNOWN)
        right = int(np.count_nonzero(truth == 0) - np.count_nonzero(classes == 0))
        wrong = int(n_known) - len(classes) - right

        empty = predicted == 0
        for group, (name, members) in enumerate((("empty", empty), ("nonempty", ~empty))):
            sums = BinSums.of(confidence[members], (predicted == classes)[members])
            nll = float(surprise[members].sum())
            if name == "empty":
                sums = sums.with_certain(right, wrong)
                nll += wrong * float(_surprise(np.zeros(1))[0])
            if sums.counts.any():
                self.tally.counts["frames"][group] += 1
                self.tally.sums["ece"].add([group], [sums.error()])
                self.tally.sums["nll"].add([group], [nll])
                add_bins(self.tally, name, sums)

    def compute(self) -> VoxelCalibration:
        """Scores of all frames so far."""
        frames = self.tally.counts["frames"].tolist()
        ece, nll = (self.tally.sums[name].values().tolist() for name in ("ece", "nll"))
        groups = []
        for group, name in enumerate(("empty", "nonempty")):
            sums = read_bins(self.tally, name)
            count = int(sums.counts.sum())
            groups.append(
                CalibrationScores(share(ece[group], frames[group]), share(nll[group], count), count, sums.bins())
            )
        empty, nonempty = groups
        return VoxelCalibration(empty, nonempty, (empty.ece + nonempty.ece) / 2, (empty.nll + nonempty.nll) / 2)


def _surprise(probabilities: np.ndarray) -> np.ndarray:
    """-log(p + 1e-12) in nats, not below 0."""
    return -np.log(np.minimum(probabilities.astype(np.float64) + _VOXEL_EPSILON, 1.0)) + 0.0


def _check_probabilities(voxels: np.ndarray, probabilities: np.ndarray, n_classes: int, n_voxels: int) -> None:
    if not isinstance(voxels, np.ndarray) or voxels.ndim != 1 or not np.issubdtype(voxels.dtype, np.integer):
        got = f"{voxels.dtype} {voxels.shape}" if isinstance(voxels, np.ndarray) else type(voxels).__name__
        raise DataError(f"Expected probability_voxels to be an integer array (M,), got {got}")
    shape = (len(voxels), n_classes)
    if not isinstance(probabilities, np.ndarray) or not np.issubdtype(probabilities.dtype, np.floating):
        got = str(probabilities.dtype) if isinstance(probabilities, np.ndarray) else type(probabilities).__name__
        raise DataError(f"Expected probabilities to be a float array, got {got}")
    if probabilities.shape != shape:
        raise DataError(f"Expected probabilities to have the shape {shape}, got {probabilities.shape}")
    if len(voxels) and (voxels[0] < 0 or voxels[-1] >= n_voxels or not (np.diff(voxels) > 0).all()):
        raise DataError(
            f"Expected probability_voxels to ascend from 0 at least to {n_voxels - 1} at most, "
            f"got {len(voxels)} from {voxels[0]} to {voxels[-1]}"
        )
    require_unit_interval("probabilities", probabilities, ROUNDING)
