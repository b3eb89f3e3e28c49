"""Occupancy and class IoU against counting voxel by voxel, and at the edges of what is defined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from metric_scenes import LABELS

from pasco_core.errors import ConfigError, DataError
from pasco_core.metrics import CompletionMetrics

NAMES = LABELS.class_names


def grids(seed, shape=(7, 6, 5)):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(NAMES), shape, np.uint8)
    truth[rng.random(shape) < 0.2] = 255
    return rng.integers(0, len(NAMES), shape, np.uint8), truth


def counted_by_hand(frames):
    """tp, fp and fn of "occupied" and of each class, one voxel at a time."""
    occupied, classes = [0, 0, 0], [[0, 0, 0] for _ in NAMES]
    for semantics, truth in frames:
        for p, t in zip(semantics.ravel().tolist(), truth.ravel().tolist()):
            if t == 255:
                continue
            of_classes = [(classes[c], p == c, t == c) for c in range(len(NAMES))]
            for counts, predicted, true in [(occupied, p > 0, t > 0), *of_classes]:
                counts[0] += predicted and true
                counts[1] += predicted and not true
                counts[2] += true and not predicted
    return occupied, classes


def test_shares_equal_counting_voxel_by_voxel():
    frames = [grids(seed) for seed in range(3)]
    metric = CompletionMetrics(NAMES)
    for frame in frames:
        metric.update(*frame)
    (tp, fp, fn), classes = counted_by_hand(frames)
    scores = metric.compute()
    assert (scores.precision, scores.recall, scores.iou) == (tp / (tp + fp), tp / (tp + fn), tp / (tp + fp + fn))
    assert scores.class_iou == tuple(c[0] / sum(c) for c in classes)
    assert scores.miou == pytest.approx(np.mean([c[0] / sum(c) for c in classes[1:]]), rel=1e-15)
    assert metric.compute("paper").class_iou == tuple(c[0] / (sum(c) + 1e-5) for c in classes)


def test_the_confusion_matrix_has_truth_in_rows_and_counts_no_unknown_voxel():
    metric = CompletionMetrics(NAMES)
    metric.update(np.array([[[1, 3, 3, 0]]], np.uint8), np.array([[[4, 3, 255, 255]]], np.uint8))
    confusion = metric.compute().confusion
    assert confusion[4, 1] == 1 and confusion[3, 3] == 1 and confusion.sum() == 2


def test_a_class_absent_from_truth_and_prediction_is_nan_and_excluded_but_zero_in_the_paper_protocol():
    truth = np.array([[[0, 1, 3]]], np.uint8)
    metric = CompletionMetrics(NAMES, protocol="paper")
    metric.update(truth, truth)
    standard, paper = metric.compute("standard"), metric.compute()
    assert [math.isnan(iou) for iou in standard.class_iou] == [False, False, True, False, True, True]
    assert standard.miou == 1.0
    assert paper.class_iou[2] == 0.0
    assert paper.miou == pytest.approx(2 / 5, abs=1e-5)


def test_without_a_known_voxel_every_share_is_nan():
    metric = CompletionMetrics(NAMES)
    metric.update(np.ones((2, 2, 2), np.uint8), np.full((2, 2, 2), 255, np.uint8))
    scores = metric.compute()
    assert all(math.isnan(value) for value in (scores.precision, scores.recall, scores.iou, scores.miou))


def test_an_empty_prediction_has_no_precision_and_recall_zero():
    metric = CompletionMetrics(NAMES)
    metric.update(np.zeros((1, 1, 2), np.uint8), np.array([[[0, 3]]], np.uint8))
    scores = metric.compute()
    assert math.isnan(scores.precision)
    assert scores.recall == scores.iou == 0.0


@pytest.mark.parametrize(
    ("semantics", "truth", "message"),
    [
        (np.zeros((1, 1, 2), np.uint8), np.array([[[0, 6]]], np.uint8), "the truth to be classes 0 to 5, or 255.* 6"),
        (np.array([[[0, 7]]], np.uint8), np.zeros((1, 1, 2), np.uint8), "predicted classes to be .* 0 to 5, got 7"),
        (np.array([[[0, 255]]], np.uint8), np.zeros((1, 1, 2), np.uint8), "predicted classes to be .* got 255"),
        (np.zeros((1, 2, 1), np.uint8), np.zeros((1, 1, 2), np.uint8), r"shape \(1, 1, 2\).* got \(1, 2, 1\)"),
        (np.zeros((1, 1, 2), np.int64), np.zeros((1, 1, 2), np.uint8), "dtype .* to be uint8, got int64"),
        (np.zeros(2, np.uint8), np.zeros(2, np.uint8), r"\(X, Y, Z\), got \(2,\)"),
        ([[[0]]], np.zeros((1, 1, 1), np.uint8), "NumPy array, got list"),
    ],
)
def test_a_grid_that_does_not_fit_is_refused_by_name_and_not_counted(semantics, truth, message):
    metric = CompletionMetrics(NAMES)
    with pytest.raises(DataError, match=message):
        metric.update(semantics, truth)
    assert metric.compute().confusion.sum() == 0


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match='"standard" or "paper", got \'papre\''):
        CompletionMetrics(NAMES, protocol="papre")
    with pytest.raises(ConfigError, match="class_names to be different names"):
        CompletionMetrics(("empty", "car", "car"))
    with pytest.raises(ConfigError, match="2 to 255 names"):
        CompletionMetrics(("empty",))
    with pytest.raises(ConfigError, match="2 to 255 names"):
        CompletionMetrics("empty")
