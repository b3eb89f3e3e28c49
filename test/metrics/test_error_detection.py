"""Uncertainty as a detector of errors against exact, unbinned calculations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from metric_scenes import LABELS, random_frame

from pasco_core.errors import DataError
from pasco_core.metrics import SegmentErrorDetection, VoxelErrorDetection
from pasco_core.metrics.error_detection import N_SCORE_BINS, detection_scores, score_bins
from pasco_core.metrics.overlaps import segment_overlaps


def exact_scores(scores, wrong):
    """AUROC from ranks of all pairs, average precision and FPR95 from every threshold in turn."""
    errors, right = scores[wrong], scores[~wrong]
    above = (errors[:, None] > right).sum() + 0.5 * (errors[:, None] == right).sum()
    recall_before, precision_sum, fpr95 = 0.0, 0.0, None
    for threshold in np.unique(scores)[::-1]:
        found, flagged = (errors >= threshold).sum(), (right >= threshold).sum()
        recall = found / len(errors)
        precision_sum += (recall - recall_before) * found / (found + flagged)
        recall_before = recall
        if fpr95 is None and recall >= 0.95:
            fpr95 = flagged / len(right)
    return above / len(errors) / len(right), precision_sum, fpr95


def binned_scores(scores, wrong):
    bins = score_bins(scores)
    counts = [np.bincount(bins[rows], minlength=N_SCORE_BINS) for rows in (wrong, ~wrong)]
    result = detection_scores(*counts)
    return result.auroc, result.auprc, result.fpr95


@pytest.mark.parametrize("seed", range(3))
def test_scores_with_bins_of_their_own_give_the_exact_figures(seed):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, 65, 400) / 64).astype(np.float32)
    wrong = rng.random(400) < 0.2 + 0.5 * scores
    assert binned_scores(scores, wrong) == pytest.approx(exact_scores(scores, wrong), rel=1e-12)


@pytest.mark.parametrize("shape", [(0.5, 4.0), (1.0, 1.0), (0.05, 1.0)])
def test_binned_figures_are_within_a_thousandth_of_the_exact_ones(shape):
    rng = np.random.default_rng(1)
    # Uncertainties are what a float32 probability leaves to 1.
    scores = np.float32(1) - (1 - rng.beta(*shape, 4000)).astype(np.float32)
    wrong = rng.random(4000) < 0.1 + 0.8 * scores
    auroc, auprc, fpr95 = binned_scores(scores, wrong)
    exact = exact_scores(scores, wrong)
    assert (auroc, auprc) == pytest.approx(exact[:2], abs=1e-3)
    assert fpr95 == pytest.approx(exact[2], abs=5e-3)


def test_bins_never_reverse_an_order_and_are_at_most_0_4_percent_wide():
    rng = np.random.default_rng(2)
    scores = np.sort(np.concatenate([rng.random(5000), 2.0 ** -rng.uniform(0, 30, 5000), [0, 1]])).astype(np.float32)
    bins = score_bins(scores)
    assert (np.diff(bins) >= 0).all() and bins[0] == 0 and bins[-1] == N_SCORE_BINS - 1
    together = (np.diff(bins) == 0) & (scores[:-1] >= 2.0**-24)
    assert (scores[1:][together] / scores[:-1][together]).max() < 1 + 1 / 256


def test_one_minus_a_probability_near_one_has_a_bin_of_its_own():
    probabilities = 1 - np.arange(512) / np.float32(2**24)
    scores = np.float32(1) - probabilities.astype(np.float32)
    assert len(np.unique(score_bins(scores))) == len(np.unique(scores)) == 512


def test_voxels_are_judged_where_truth_is_known_apart_for_all_and_for_those_not_predicted_empty():
    frames = [random_frame(seed) for seed in range(5)]
    metric = VoxelErrorDetection()
    rows = []
    for scene, truth in frames:
        quantised = np.round(scene.voxel_uncertainty * 64) / np.float32(64)
        metric.update(scene.semantics, quantised, truth.semantics)
        known = truth.semantics != 255
        rows.append((quantised[known], (scene.semantics != truth.semantics)[known], (scene.semantics > 0)[known]))
    scores, wrong, nonempty = (np.concatenate(column) for column in zip(*rows))
    for ours, members in zip(metric.compute(), (np.ones(len(wrong), bool), nonempty)):
        exact = exact_scores(scores[members], wrong[members])
        assert (ours.auroc, ours.auprc, ours.fpr95) == pytest.approx(exact, rel=1e-12)
        assert (ours.errors, ours.correct) == (wrong[members].sum(), (~wrong[members]).sum())


def test_segments_are_judged_by_one_minus_their_confidence():
    metric = SegmentErrorDetection()
    scores, wrong = [], []
    for seed in range(70, 80):
        scene, truth = random_frame(seed)
        overlaps = segment_overlaps(scene.panoptic, scene.segments, truth, LABELS.n_classes, LABELS.thing_ids)
        metric.update_overlaps(overlaps)
        hit = (overlaps.categories[:, None] == overlaps.true_categories) & (overlaps.ious > 0.5)
        wrong += (~hit.any(1)).tolist()
        scores += [1 - segment.confidence for segment in overlaps.segments]
    ours = metric.compute()
    auroc, auprc, _ = exact_scores(np.array(scores), np.array(wrong))
    assert (ours.auroc, ours.auprc) == pytest.approx((auroc, auprc), abs=0.01)
    assert ours.errors + ours.correct == len(scores) and 0 < ours.errors < len(scores)


@pytest.mark.parametrize("only", ["errors", "correct", "none"])
def test_without_errors_or_without_anything_correct_the_figures_are_nan(only):
    counts = np.zeros(N_SCORE_BINS, np.int64)
    some = counts.copy()
    some[7] = 3
    scores = detection_scores(some if only == "errors" else counts, some if only == "correct" else counts)
    assert all(math.isnan(value) for value in (scores.auroc, scores.auprc, scores.fpr95))
    assert scores.errors + scores.correct == (0 if only == "none" else 3)


def test_a_perfect_detector_and_a_blind_one():
    perfect = detection_scores(np.array([0, 0, 5]), np.array([20, 0, 0]))
    assert (perfect.auroc, perfect.auprc, perfect.fpr95) == (1.0, 1.0, 0.0)
    blind = detection_scores(np.array([5, 0, 0]), np.array([20, 0, 0]))
    assert (blind.auroc, blind.auprc, blind.fpr95) == (0.5, 0.2, 1.0)


def test_a_threshold_that_finds_exactly_95_percent_of_the_errors_is_enough():
    assert detection_scores(np.array([1, 19]), np.array([6, 2])).fpr95 == 0.25
    assert detection_scores(np.array([2, 18]), np.array([6, 2])).fpr95 == 1.0


def test_billions_of_voxels_do_not_overflow():
    huge = 3 * 10**10
    scores = detection_scores(np.array([0, huge]), np.array([huge, huge]))
    assert scores.auroc == pytest.approx(0.75)


def test_an_uncertainty_that_is_no_share_is_refused():
    scene, truth = random_frame(0)
    metric = VoxelErrorDetection()
    for bad, got in ((2.0, "2.0"), (-1.0, "-1.0"), (math.nan, "nan")):
        uncertainty = scene.voxel_uncertainty.copy()
        uncertainty[1, 2, 3] = bad
        with pytest.raises(DataError, match=f"the uncertainty to be from 0 to 1, got {got}"):
            metric.update(scene.semantics, uncertainty, truth.semantics)
    with pytest.raises(DataError, match="the uncertainty to be a float, got int32"):
        metric.update(scene.semantics, scene.panoptic, truth.semantics)
    assert not metric.tally.counts["voxels"].any()
