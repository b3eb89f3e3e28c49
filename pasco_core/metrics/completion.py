"""Semantic scene completion: is a voxel occupied, and of which class; all from one confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.errors import DataError
from pasco_core.metrics.checks import checked_class_names, checked_grid, checked_protocol
from pasco_core.metrics.tally import Metric, Tally

_PAPER_EPSILON = 1e-5


@dataclass(frozen=True)
class CompletionScores:
    """Shares from 0 to 1.

    Args:
        precision, recall, iou: of "occupied" against "empty", whatever the class.
        class_iou: of each class, the empty one first.
        miou: mean IoU of the classes without the empty one.
        confusion: (classes, classes) int64, voxels by truth (rows) and prediction (columns), unknown ones left out.
    """

    precision: float
    recall: float
    iou: float
    class_iou: tuple[float, ...]
    miou: float
    confusion: np.ndarray


class CompletionMetrics(Metric):
    """Precision, recall and IoU of occupancy, IoU per class and mIoU over all frames' known voxels.

    ``protocol="standard"``: a class that is in neither truth nor prediction has IoU nan and is left out of the mean, as
    are all other shares of nothing. ``protocol="paper"``: as PaSCo's published tables, a class IoU is
    tp / (tp + fp + fn + 1e-5), so that an absent class counts as 0 in the mean.

    Args:
        class_names: name of class 0 (empty), 1, ...
        protocol: "standard" or "paper".

    >>> metric = CompletionMetrics(("empty", "car", "road", "pole"))
    >>> truth = np.array([[[0, 0, 1, 1, 2, 2, 255]]], np.uint8)
    >>> metric.update(np.array([[[0, 1, 1, 2, 2, 2, 3]]], np.uint8), truth)
    >>> scores = metric.compute()
    >>> round(scores.precision, 3), scores.recall, round(scores.iou, 3)
    (0.8, 1.0, 0.8)
    >>> [round(iou, 3) for iou in scores.class_iou]
    [0.5, 0.333, 0.667, nan]
    >>> scores.miou
    0.5
    >>> round(metric.compute("paper").miou, 4)
    0.3333
    """

    def __init__(self, class_names: Sequence[str], protocol: str = "standard"):
        self.class_names = checked_class_names(class_names)
        self.protocol = checked_protocol(protocol)
        n_classes = len(self.class_names)
        self.tally = Tally({"class_names": list(self.class_names)}, {"confusion": (n_classes, n_classes)})

    def update(self, semantics: np.ndarray, truth: np.ndarray) -> None:
        """Counts one frame.

        Args:
            semantics: (X, Y, Z) uint8 predicted class.
            truth: (X, Y, Z) uint8 class, 255 = unknown.

        Raises:
            DataError: shape, dtype or a class is not as expected; nothing is counted then.
        """
        truth = checked_grid("the truth", truth, np.uint8)
        semantics = checked_grid("the predicted classes", semantics, np.uint8, truth.shape)
        self.tally.counts["confusion"] += confusion_matrix(semantics, truth, len(self.class_names))

    def compute(self, protocol: str | None = None) -> CompletionScores:
        """Scores of all frames so far, by the metric's protocol or another one."""
        protocol = checked_protocol(self.protocol if protocol is None else protocol)
        epsilon = _PAPER_EPSILON if protocol == "paper" else 0.0
        confusion = self.tally.counts["confusion"]
        occupied = int(confusion[1:, 1:].sum())
        false_alarms, misses = int(confusion[0, 1:].sum()), int(confusion[1:, 0].sum())
        hits = np.diag(confusion)
        unions = confusion.sum(0) + confusion.sum(1) - hits
        class_iou = tuple(share(int(hit), int(union) + epsilon) for hit, union in zip(hits, unions, strict=True))
        return CompletionScores(
            precision=share(occupied, occupied + false_alarms),
            recall=share(occupied, occupied + misses),
            iou=share(occupied, occupied + false_alarms + misses),
            class_iou=class_iou,
            miou=mean_of_defined(class_iou[1:]),
            confusion=confusion.copy(),
        )


def confusion_matrix(semantics: np.ndarray, truth: np.ndarray, n_classes: int) -> np.ndarray:
    """(classes, classes) int64 voxels by truth and predicted class, voxels of unknown truth left out.

    Args:
        semantics: uint8 predicted classes.
        truth: uint8 classes or 255, of the same shape.
        n_classes: number of classes.

    Raises:
        DataError: a class is out of range.
    """
    key = truth.astype(np.uint16).ravel() << np.uint16(8)
    key |= semantics.ravel()
    pairs = np.bincount(key, minlength=1 << 16).reshape(256, 256)
    for name, counts, end in (("truth", pairs.sum(1)[:UNKNOWN], UNKNOWN), ("predicted classes", pairs.sum(0), 256)):
        bad = np.flatnonzero(counts[n_classes:end])
        if len(bad):
            rule = f"0 to {n_classes - 1}" + (f", or {UNKNOWN} for unknown" if end == UNKNOWN else "")
            raise DataError(f"Expected the {name} to be classes {rule}, got {n_classes + int(bad[0])}")
    return pairs[:n_classes, :n_classes]


def share(part: float, whole: float) -> float:
    """part / whole; a share of nothing is not a number."""
    return part / whole if whole else math.nan


def mean_of_defined(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; not a number where none is."""
    defined = [value for value in values if not math.isnan(value)]
    return share(math.fsum(defined), len(defined))
