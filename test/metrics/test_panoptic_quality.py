"""Panoptic quality equals torchmetrics on random grids, hand calculations, and its definition at the edges."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from metric_scenes import LABELS, random_frame, random_segment, with_segment

from pasco_core.data.frame import VoxelTruth
from pasco_core.errors import ConfigError, DataError
from pasco_core.metrics import PanopticQuality
from pasco_core.metrics.overlaps import segment_overlaps

NAMES, THINGS = LABELS.class_names, LABELS.thing_ids
EXACT = 1e-6  # torchmetrics divides in float32


def quality(frames, protocol="standard"):
    metric = PanopticQuality(NAMES, THINGS, protocol)
    for scene, truth in frames:
        metric.update(scene.panoptic, scene.segments, truth)
    return metric.compute()


def torchmetrics_oracle(name, frames, **options):
    """A metric of torchmetrics that has seen the frames; empty is a stuff class there, unknown voxels are left out."""
    detection = pytest.importorskip("torchmetrics.detection")
    import torch

    oracle = getattr(detection, name)(set(THINGS), set(range(len(NAMES))) - THINGS, **options)
    for scene, truth in frames:
        known = truth.semantics != 255
        category = {0: 0} | {segment.id: segment.category for segment in scene.segments}
        predicted = [(category[i], i) for i in scene.panoptic[known].tolist()]
        true = list(zip(truth.semantics[known].tolist(), truth.instances[known].tolist()))
        oracle.update(torch.tensor(predicted)[None], torch.tensor(true)[None])
    return oracle


# torchmetrics lists the things first, then the stuff, of which empty is the first.
ORACLE_ROW = {"car": 0, "person": 1, "road": 3, "wall": 4, "tree": 5}


@pytest.mark.parametrize("seed", range(8))
def test_the_standard_protocol_equals_torchmetrics_on_random_grids(seed):
    frames = [random_frame(10 * seed + k) for k in range(3)]
    ours = quality(frames).per_class
    options = {"return_sq_and_rq": True, "return_per_class": True}
    theirs = torchmetrics_oracle("PanopticQuality", frames, **options).compute().reshape(-1, 3)
    assert any(c.true_positives for c in ours.values()) and any(c.false_positives for c in ours.values())
    for name, row in ORACLE_ROW.items():
        shares = np.nan_to_num([ours[name].pq, ours[name].sq, ours[name].rq])
        assert shares == pytest.approx(theirs[row].numpy(), abs=EXACT)


@pytest.mark.parametrize("seed", range(4))
def test_the_means_of_the_standard_protocol_equal_torchmetrics_without_its_empty_class(seed):
    frames = [random_frame(200 + 10 * seed + k) for k in range(2)]
    oracle = torchmetrics_oracle("PanopticQuality", frames, return_sq_and_rq=True, return_per_class=True)
    scores = oracle.compute().reshape(-1, 3)
    seen = (oracle.true_positives + oracle.false_positives + oracle.false_negatives) > 0
    seen[2] = False
    means = quality(frames)
    assert [means.all.pq, means.all.sq, means.all.rq] == pytest.approx(scores[seen].mean(0).tolist(), abs=EXACT)
    seen[:2] = False
    stuff = [means.stuff.pq, means.stuff.sq, means.stuff.rq]
    assert stuff == pytest.approx(scores[seen].mean(0).tolist(), abs=EXACT)
    assert means.stuff.n_classes == int(seen.sum())


@pytest.mark.parametrize("seed", range(4))
def test_pq_dagger_of_the_standard_protocol_equals_torchmetrics_modified_quality(seed):
    frames = [random_frame(100 + 10 * seed + k) for k in range(3)]
    ours = quality(frames).per_class
    oracle = torchmetrics_oracle("ModifiedPanopticQuality", frames)
    n_segments = oracle.true_positives + (oracle.false_positives + oracle.false_negatives) / 2
    for name, row in ORACLE_ROW.items():
        if n_segments[row] > 0:
            assert ours[name].pq_dagger == pytest.approx(float(oracle.iou_sum[row] / n_segments[row]), abs=EXACT)
        else:
            assert math.isnan(ours[name].pq_dagger)


def line(*classes):
    return np.array([[classes]], np.uint8)


def ids(*values):
    return np.array([[values]], np.int32)


def line_truth(semantics, instances=None):
    return VoxelTruth(semantics, np.zeros(semantics.shape, np.uint16) if instances is None else instances)


def segment(number, category):
    return random_segment(number, category, np.random.default_rng(number))


def test_truth_against_itself_is_exactly_one():
    truth = line_truth(line(1, 1, 2, 3, 3, 4, 0, 255), line(1, 1, 2, 0, 0, 0, 0, 0).astype(np.uint16))
    metric = PanopticQuality(NAMES, THINGS)
    segments = [segment(1, 1), segment(2, 2), segment(3, 3), segment(4, 4)]
    metric.update(ids(1, 1, 2, 3, 3, 4, 0, 0), segments, truth)
    scores = metric.compute()
    for mean in (scores.all, scores.things, scores.stuff):
        assert (mean.pq, mean.sq, mean.rq, mean.pq_dagger) == (1.0, 1.0, 1.0, 1.0)


def test_a_copy_shifted_by_one_voxel_scores_what_a_hand_calculation_says():
    # Two cars of four voxels and a road of eight; the prediction lies one voxel further.
    instances = line(*[1] * 4, 0, *[2] * 4, *[0] * 10).astype(np.uint16)
    truth = line_truth(line(1, 1, 1, 1, 0, 1, 1, 1, 1, 0, *[3] * 8, 0), instances)
    panoptic = ids(0, 7, 7, 7, 7, 0, 8, 8, 8, 8, 0, *[9] * 8)
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(panoptic, [segment(7, 1), segment(8, 1), segment(9, 3)], truth)
    scores = metric.compute()
    assert scores.per_class["car"].pq == 3 / 5
    assert scores.per_class["road"].pq == 7 / 9
    assert scores.all.pq == pytest.approx((3 / 5 + 7 / 9) / 2, rel=1e-15)


def test_an_iou_of_exactly_one_half_is_no_match():
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(ids(5, 5, 0, 0), [segment(5, 1)], line_truth(line(1, 1, 1, 1), line(1, 1, 1, 1).astype(np.uint16)))
    car = metric.compute().per_class["car"]
    assert (car.true_positives, car.false_positives, car.false_negatives) == (0, 1, 1)


def test_unknown_voxels_are_taken_out_of_areas_and_segments_within_them_vanish():
    truth = line_truth(line(3, 3, 255, 255, 255), None)
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(ids(1, 1, 1, 2, 2), [segment(1, 3), segment(2, 1)], truth)
    scores = metric.compute()
    assert scores.per_class["road"].pq == 1.0
    assert math.isnan(scores.per_class["car"].pq)


def test_an_instance_takes_the_class_of_its_first_known_voxel():
    truth = line_truth(line(255, 2, 1, 1), line(1, 1, 1, 1).astype(np.uint16))
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(ids(4, 4, 4, 4), [segment(4, 2)], truth)
    assert metric.compute().per_class["person"].pq == 1.0


def test_thing_voxels_without_an_instance_are_part_of_no_true_segment():
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(ids(4, 4), [segment(4, 1)], line_truth(line(1, 1)))
    car = metric.compute().per_class["car"]
    assert (car.false_positives, car.false_negatives) == (1, 0)


def test_two_predicted_segments_of_one_stuff_class_are_one_region():
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(ids(1, 1, 2, 2), [segment(1, 3), segment(2, 3)], line_truth(line(3, 3, 3, 3)))
    road = metric.compute().per_class["road"]
    assert (road.pq, road.true_positives, road.false_positives, road.overlaps) == (1.0, 1, 0, 1)


def test_voxels_follow_their_segment_when_stuff_is_taken_together():
    segments = [segment(2, 3), segment(4, 1), segment(5, 3), segment(9, 4)]
    truth = line_truth(line(3, 3, 3, 4, 0, 255))
    overlaps = segment_overlaps(ids(2, 5, 4, 9, 0, 2), segments, truth, len(NAMES), THINGS)
    assert overlaps.rows.tolist() == [1, 3, 2, 4]
    merged = overlaps.with_merged_stuff(THINGS)
    assert [s.id for s in merged.segments] == [2, 4, 9]
    assert merged.rows.tolist() == [1, 1, 2, 3]
    assert merged.areas.tolist() == np.bincount(merged.rows)[1:].tolist() == [2, 1, 1]
    assert merged.intersections.tolist() == [[2, 0], [1, 0], [0, 1]]


def test_only_the_paper_protocol_forgives_stuff_that_overlaps_badly_and_neither_forgives_stuff_that_misses():
    frames = [
        (ids(1, 1, 1, 1, 0, 0), line(3, 0, 0, 0, 0, 0)),
        (ids(1, 1, 0, 0, 0, 0), line(0, 0, 0, 0, 0, 3)),
    ]
    metric = PanopticQuality(NAMES, THINGS)
    for panoptic, truth in frames:
        metric.update(panoptic, [segment(1, 3)], line_truth(truth))
    standard, paper = metric.compute("standard").per_class["road"], metric.compute("paper").per_class["road"]
    assert (standard.false_positives, paper.false_positives) == (2, 1)
    assert (standard.pq_dagger, paper.pq_dagger) == (1 / 8, 1 / 4)


def test_a_class_absent_from_truth_and_prediction_is_nan_and_in_no_mean():
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(ids(1, 1), [segment(1, 3)], line_truth(line(3, 3)))
    scores = metric.compute()
    assert all(math.isnan(scores.per_class["tree"].__dict__[name]) for name in ("pq", "sq", "rq", "pq_dagger"))
    assert scores.all.pq == 1.0 and scores.all.n_classes == 1


def test_a_frame_with_no_instance_and_no_segment_leaves_things_undefined():
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(ids(0, 0), [], line_truth(line(0, 0)))
    scores = metric.compute()
    for mean in (scores.all, scores.things, scores.stuff):
        assert math.isnan(mean.pq) and mean.n_classes == 0


def test_a_frame_without_a_known_voxel_counts_nothing():
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(ids(1, 2), [segment(1, 3), segment(2, 1)], line_truth(line(255, 255)))
    assert not any(counts.any() for counts in metric.tally.counts.values())


def test_input_arrays_are_left_as_they_were():
    scene, truth = random_frame(5)
    before = [array.copy() for array in (scene.panoptic, truth.semantics, truth.instances)]
    quality([(scene, truth)])
    for array, copy in zip((scene.panoptic, truth.semantics, truth.instances), before):
        np.testing.assert_array_equal(array, copy)


def test_segments_that_do_not_fit_are_refused_by_name():
    scene, truth = random_frame(1)
    wrong = [
        (replace(scene, segments=scene.segments[1:]), "Expected every id of the panoptic grid to be 0 or a segment's"),
        (replace(scene, segments=[*scene.segments, scene.segments[0]]), f"got {scene.segments[0].id} twice"),
        (with_segment(scene, 0, category=6), "category of segment .* to be a class from 1 to 5, got 6"),
        (with_segment(scene, 0, category=0), "to be a class from 1 to 5, got 0"),
        (with_segment(scene, 0, is_thing=not scene.segments[0].is_thing), "is_thing of segment"),
        (with_segment(scene, 0, id=0), "ids of segments to be positive, got 0"),
        (replace(scene, panoptic=-scene.panoptic), "to be 0 or a segment's, got -"),
        (replace(scene, panoptic=scene.panoptic.astype(np.float32)), "panoptic ids to be an integer, got float32"),
        (replace(scene, panoptic=scene.panoptic[:3]), "panoptic ids to have the shape"),
    ]
    for bad, message in wrong:
        with pytest.raises(DataError, match=message):
            quality([(bad, truth)])


def test_a_truth_that_does_not_fit_is_refused_by_name():
    metric = PanopticQuality(NAMES, THINGS)
    cases = [
        (line_truth(line(3, 3), line(0, 9).astype(np.uint16)), "thing class or unknown, got class 3 in instance 9"),
        (line_truth(line(0, 0), line(0, 4).astype(np.uint16)), "thing class or unknown, got class 0 in instance 4"),
        (line_truth(line(0, 9)), "the truth to be classes 0 to 5, or 255 for unknown, got 9"),
        (line_truth(line(0, 1), line(0, 1, 1).astype(np.uint16)), "true instances to have the shape"),
    ]
    for truth, message in cases:
        with pytest.raises(DataError, match=message):
            metric.update(ids(0, 0), [], truth)


def test_thing_ids_must_be_classes_and_protocols_known():
    with pytest.raises(ConfigError, match="thing_ids to be classes from 1 to 5, got 0"):
        PanopticQuality(NAMES, {0, 1})
    with pytest.raises(ConfigError, match="got 'car'"):
        PanopticQuality(NAMES, {"car"})
    with pytest.raises(ConfigError, match="protocol"):
        PanopticQuality(NAMES, THINGS, protocol="")
    with pytest.raises(ConfigError, match="protocol"):
        PanopticQuality(NAMES, THINGS).compute("strict")
