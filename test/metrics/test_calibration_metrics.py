"""Calibration error and log likelihood against torchmetrics and against sums voxel by voxel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from metric_scenes import LABELS, random_frame, random_segment, with_segment

from pasco_core.data.frame import VoxelTruth
from pasco_core.errors import DataError
from pasco_core.metrics import Calibration, InstanceCalibration, MaskCalibration
from pasco_core.metrics.reliability import BinSums

NAMES, THINGS = LABELS.class_names, LABELS.thing_ids


def torchmetrics_ece(confidence, correct):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    import torch

    return float(
        functional.binary_calibration_error(
            torch.tensor(np.asarray(confidence)), torch.tensor(np.asarray(correct)).int(), n_bins=15, norm="l1"
        )
    )


def dense_probabilities(scene):
    dense = np.zeros((scene.grid.n_voxels, len(NAMES)), np.float32)
    dense[:, 0] = 1
    dense[scene.probability_voxels] = scene.probabilities
    return dense


def test_the_calibration_error_equals_torchmetrics():
    rng = np.random.default_rng(0)
    confidence = np.concatenate([rng.random(500), np.ones(20)]).astype(np.float32)
    correct = rng.random(len(confidence)) < confidence
    assert BinSums.of(confidence, correct).error() == pytest.approx(torchmetrics_ece(confidence, correct), abs=1e-6)


def test_a_confidence_of_exactly_one_has_a_bin_to_itself_and_a_bin_holds_its_lower_edge():
    confidence = np.array([1.0, np.nextafter(np.float32(1), np.float32(0)), 1 / 15, 0.0], np.float32)
    counts = BinSums.of(confidence, np.ones(4, bool)).counts
    assert counts[15] == 1 and counts[14] == 1 and counts[1] == 1 and counts[0] == 1
    # One right and one nearly sure but wrong: together in a bin they would cancel half of the error.
    sums = BinSums.of(np.array([1.0, 0.95]), np.array([True, False]))
    assert sums.error() == pytest.approx(0.475)


@pytest.mark.parametrize("seed", range(3))
def test_voxels_equal_a_dense_calculation_with_torchmetrics_and_the_mean_over_frames(seed):
    frames = [random_frame(10 * seed + k) for k in range(3)]
    metric = Calibration(NAMES)
    errors, surprises = {"empty": [], "nonempty": []}, {"empty": [], "nonempty": []}
    for scene, truth in frames:
        metric.update(scene.probability_voxels, scene.probabilities, truth.semantics)
        labels = truth.semantics.ravel()
        known = labels != 255
        dense, labels = dense_probabilities(scene)[known], labels[known]
        predicted, confidence = dense.argmax(1), dense.max(1)
        for name, members in (("empty", predicted == 0), ("nonempty", predicted != 0)):
            errors[name].append(torchmetrics_ece(confidence[members], (predicted == labels)[members]))
            surprises[name] += [-math.log(dense[k, labels[k]] + 1e-12) for k in np.flatnonzero(members)]
    scores = metric.compute()
    for name in ("empty", "nonempty"):
        ours = getattr(scores, name)
        assert ours.ece == pytest.approx(np.mean(errors[name]), abs=1e-6)
        assert ours.nll == pytest.approx(np.mean(surprises[name]), rel=1e-6)
        assert ours.count == len(surprises[name])
    assert scores.ece == (scores.empty.ece + scores.nonempty.ece) / 2
    assert scores.nll == (scores.empty.nll + scores.nonempty.nll) / 2


def test_reliability_bins_hold_what_a_diagram_shows():
    truth = np.array([[[1, 3, 3, 0, 2]]], np.uint8)
    probabilities = np.zeros((3, 6), np.float32)
    probabilities[[0, 1, 2], [1, 3, 4]] = 0.75, 0.75, 1.0
    probabilities[[0, 1], 0] = 0.25
    metric = Calibration(NAMES)
    metric.update(np.arange(3), probabilities, truth)
    bins = metric.compute().nonempty.reliability
    assert bins.counts.tolist() == [0] * 11 + [2, 0, 0, 0, 1]
    assert (bins.confidences[11], bins.accuracies[11]) == (0.75, 1.0)
    assert (bins.confidences[15], bins.accuracies[15]) == (1.0, 0.0)
    assert np.isnan(bins.accuracies[0]) and len(bins.edges) == 17
    empty = metric.compute().empty
    assert empty.count == 2 and empty.ece == 0.5
    assert empty.nll == pytest.approx(-math.log(1e-12) / 2)


def test_doubt_about_all_of_two_million_empty_voxels_does_not_wear_the_sums_out():
    """In float32 these sums would stop growing: 2 million times 0.9 is far beyond 2^24 steps of 0.06."""
    shape = (256, 256, 32)
    confidence = np.float32(0.9)
    probabilities = np.zeros((np.prod(shape), 2), np.float32)
    probabilities[:, 0], probabilities[:, 1] = confidence, 1 - confidence
    metric = Calibration(("empty", "full"))
    metric.update(np.arange(len(probabilities)), probabilities, np.zeros(shape, np.uint8))
    assert metric.compute().empty.ece == pytest.approx(1 - float(confidence), rel=1e-9)


def test_a_frame_without_a_known_voxel_has_no_calibration_and_leaves_the_mean_alone():
    scene, truth = random_frame(3)
    metric = Calibration(NAMES)
    unknown = np.full(scene.grid.shape, 255, np.uint8)
    metric.update(scene.probability_voxels, scene.probabilities, unknown)
    assert math.isnan(metric.compute().ece) and math.isnan(metric.compute().nonempty.nll)
    alone = Calibration(NAMES)
    for one in (metric, alone):
        one.update(scene.probability_voxels, scene.probabilities, truth.semantics)
    assert metric.to_dict() == alone.to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, p: (v.astype(np.float32), p), "probability_voxels to be an integer array"),
        (lambda v, p: (v[::-1], p), "to ascend"),
        (lambda v, p: (v + 120, p), "119 at most"),
        (lambda v, p: (v[1:], p), "probabilities to have the shape"),
        (lambda v, p: (v, p[:, :5]), "probabilities to have the shape"),
        (lambda v, p: (v, 2 * p), "probabilities to be from 0 to 1, got 1"),
        (lambda v, p: (v, -p), "probabilities to be from 0 to 1, got -"),
        (lambda v, p: (v, p * np.nan), "probabilities to be from 0 to 1, got nan"),
        (lambda v, p: (v, p.astype(int)), "probabilities to be a float array, got int64"),
        (lambda v, p: (v.tolist(), p), "integer array .*, got list"),
        (lambda v, p: (v, p.tolist()), "float array, got list"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused_by_name(change, message):
    scene, truth = random_frame(3)
    metric = Calibration(NAMES)
    with pytest.raises(DataError, match=message):
        metric.update(*change(scene.probability_voxels, scene.probabilities), truth.semantics)
    assert metric.to_dict() == Calibration(NAMES).to_dict()


def test_probabilities_a_rounding_above_one_count_as_one():
    metric = Calibration(("empty", "full"))
    metric.update(np.array([0]), np.array([[0.0, 1.0000001]], np.float32), np.array([[[1]]], np.uint8))
    nonempty = metric.compute().nonempty
    assert (nonempty.ece, nonempty.nll) == (0.0, 0.0)
    assert nonempty.reliability.counts[15] == 1


def segments_by_brute_force(frames):
    """(confidence, correct, nll) of every predicted segment that known voxels show, from sets of voxels."""
    rows = []
    for scene, truth in frames:
        labels, instances = truth.semantics.ravel().tolist(), truth.instances.ravel().tolist()
        true = {}
        for voxel, (c, i) in enumerate(zip(labels, instances)):
            if c not in (0, 255) and (c not in THINGS or i):
                true.setdefault(("thing", i) if c in THINGS else ("stuff", c), [c, set()])[1].add(voxel)
        for segment in scene.segments:
            mine = {v for v in np.flatnonzero(scene.panoptic == segment.id).tolist() if labels[v] != 255}
            if not mine:
                continue
            partner = [c for c, other in true.values() if len(mine & other) / len(mine | other) > 0.5]
            target = partner[0] if partner else len(NAMES)
            surprise = -math.log(segment.class_probabilities[target] + 1e-8)
            rows.append((segment.confidence, partner == [segment.category], surprise))
    return rows


def test_segments_equal_brute_force_over_sets_of_voxels():
    frames = [random_frame(seed) for seed in range(40, 46)]
    metric = InstanceCalibration(NAMES, THINGS)
    for scene, truth in frames:
        metric.update(scene.panoptic, scene.segments, truth)
    confidence, correct, surprise = (np.array(column) for column in zip(*segments_by_brute_force(frames)))
    assert correct.any() and not correct.all()
    scores = metric.compute()
    assert scores.count == len(correct)
    assert scores.ece == pytest.approx(torchmetrics_ece(confidence.astype(np.float32), correct), abs=1e-6)
    assert scores.nll == pytest.approx(surprise.mean(), rel=1e-6)


def test_a_segment_on_the_right_voxels_with_the_wrong_class_is_wrong_and_pays_for_the_true_class():
    truth = VoxelTruth(np.array([[[3, 3]]], np.uint8), np.zeros((1, 1, 2), np.uint16))
    segment = random_segment(1, 4, np.random.default_rng(0))
    metric = InstanceCalibration(NAMES, THINGS)
    metric.update(np.array([[[1, 1]]], np.int32), [segment], truth)
    scores = metric.compute()
    assert scores.ece == pytest.approx(segment.confidence)
    assert scores.nll == pytest.approx(-math.log(segment.class_probabilities[3] + 1e-8), rel=1e-6)


def test_a_frame_with_no_segment_has_no_segment_calibration():
    truth = VoxelTruth(np.array([[[1]]], np.uint8), np.array([[[1]]], np.uint16))
    instances, masks = InstanceCalibration(NAMES, THINGS), MaskCalibration(NAMES, THINGS)
    instances.update(np.zeros((1, 1, 1), np.int32), [], truth)
    masks.update(np.zeros((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.int32), [], truth)
    assert math.isnan(instances.compute().ece) and math.isnan(instances.compute().nll)
    assert instances.compute().count == masks.compute().count == 0
    assert math.isnan(masks.compute().ece)


def test_masks_equal_brute_force_over_voxels_and_the_mean_over_frames():
    frames = [random_frame(seed) for seed in range(60, 64)]
    metric = MaskCalibration(NAMES, THINGS)
    errors, n_voxels = [], 0
    for scene, truth in frames:
        metric.update(scene.mask_confidence, scene.panoptic, scene.segments, truth)
        known = truth.semantics != 255
        is_thing = np.isin(truth.semantics, sorted(THINGS))
        true = np.where(is_thing, 100 * (truth.instances > 0) + truth.instances, truth.semantics) * known
        correct = np.zeros(known.shape, bool)
        for i in np.unique(scene.panoptic):
            for j in np.unique(true[true > 0]):
                mine, yours = (scene.panoptic == i) & known, true == j
                if i and (mine & yours).sum() / (mine | yours).sum() > 0.5:
                    correct |= mine & yours
        counted = (true > 0) & (scene.mask_confidence > 0)
        errors.append(torchmetrics_ece(scene.mask_confidence[counted], correct[counted]))
        n_voxels += counted.sum()
    assert metric.compute().ece == pytest.approx(np.mean(errors), abs=1e-6)
    assert metric.compute().count == n_voxels


def test_segment_probabilities_that_do_not_fit_are_refused_by_name():
    scene, truth = random_frame(1)
    first = scene.segments[0]
    probabilities = first.class_probabilities
    for change, message in (
        ({"class_probabilities": probabilities[:-1]}, rf"segment {first.id} to have the shape \(7,\), got \(6,\)"),
        ({"class_probabilities": probabilities * 9}, f"class_probabilities of segment {first.id} to be from 0"),
        ({"confidence": 1.5}, "the confidence of segments to be from 0 to 1, got 1.5"),
        ({"confidence": math.nan}, "the confidence of segments to be from 0 to 1, got nan"),
    ):
        bad = with_segment(scene, 0, **change)
        with pytest.raises(DataError, match=message):
            InstanceCalibration(NAMES, THINGS).update(bad.panoptic, bad.segments, truth)
    masks = MaskCalibration(NAMES, THINGS)
    bad = replace(scene, mask_confidence=scene.mask_confidence + 1)
    with pytest.raises(DataError, match="mask_confidence to be from 0 to 1"):
        masks.update(bad.mask_confidence, bad.panoptic, bad.segments, truth)
