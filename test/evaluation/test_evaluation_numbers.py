"""What an evaluation finds, against hand calculation: the truth itself, and copies of it moved by a few voxels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_world import FRAMES, GRID, ShiftedSource, SmallWorld, plan

from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth, frame_seed
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.evaluation.condition import CLEAN
from pasco_core.evaluation.frame_record import frame_scores
from pasco_core.evaluation.truth_scene import scene_from_truth


def test_the_truth_against_itself_is_exactly_100(run_plan):
    figures = run_plan(plan()).figures[CLEAN]["truth"]
    for protocol in ("standard", "paper"):
        panoptic = figures["panoptic"][protocol]
        for group in ("all", "things", "stuff"):
            values = panoptic[group]
            assert (values["pq"], values["sq"], values["rq"], values["pq_dagger"]) == (1, 1, 1, 1)
        completion = figures["completion"][protocol]
        assert (completion["precision"], completion["recall"], completion["iou"]) == (1, 1, 1)
    assert figures["completion"]["standard"]["miou"] == 1


def test_the_truth_is_perfectly_calibrated(run_plan):
    calibration = run_plan(plan()).figures[CLEAN]["truth"]["calibration"]
    for group in ("voxels_empty", "voxels_nonempty", "segments"):
        assert calibration[group]["ece"] == 0 and calibration[group]["nll"] == 0
    assert calibration["segments"]["count"] == 2 * len(FRAMES)


def test_a_copy_moved_by_one_voxel_gives_what_a_hand_calculation_says(run_plan):
    results = run_plan(plan(ShiftedSource(1)))
    figures = results.figures[CLEAN]["ensemble"]
    # Per frame: road 128 true, 120 predicted, all inside. Car 16 each, 12 shared: IoU 12 / 20.
    # The four voxels the car gains are empty in the truth, the four it loses are missed, as are the road's eight.
    completion = figures["completion"]["standard"]
    assert completion["class_iou"]["road"] == 120 / 128
    assert completion["class_iou"]["car"] == 12 / 20
    assert (completion["precision"], completion["recall"]) == (132 / 136, 132 / 144)
    assert completion["iou"] == 132 / 148
    quality = figures["panoptic"]["standard"]["per_class"]
    assert (quality["car"]["pq"], quality["car"]["true_positives"]) == (pytest.approx(0.6), len(FRAMES))
    assert quality["road"]["pq"] == pytest.approx(120 / 128)
    assert figures["panoptic"]["standard"]["all"]["pq"] == pytest.approx((0.6 + 120 / 128) / 2)
    # The unmoved subnet stays perfect.
    assert results.figures[CLEAN]["subnet 1"]["panoptic"]["standard"]["all"]["pq"] == 1


def test_a_copy_moved_by_two_voxels_matches_no_car(run_plan):
    figures = run_plan(plan(ShiftedSource(2))).figures[CLEAN]["ensemble"]
    car = figures["panoptic"]["standard"]["per_class"]["car"]  # 8 of 24 shared: IoU 1/3
    n = len(FRAMES)
    assert (car["pq"], car["true_positives"], car["false_positives"], car["false_negatives"]) == (0, 0, n, n)
    assert figures["completion"]["standard"]["class_iou"]["car"] == pytest.approx(1 / 3)


def test_frames_are_ranked_by_the_classes_that_occur_in_them():
    truth = SmallWorld.car_at(2)
    moved = scene_from_truth(SmallWorld.car_at(3), SEMANTIC_KITTI, GRID)
    scores = frame_scores(moved, truth)
    assert scores["miou"] == pytest.approx((1 + 12 / 20) / 2)  # the road did not move here
    assert scores["iou"] == (128 + 12) / (128 + 20)


def test_a_frame_of_which_nothing_is_known_has_no_score():
    unknown = VoxelTruth(np.full(GRID.shape, UNKNOWN, np.uint8), np.zeros(GRID.shape, np.uint16))
    scene = scene_from_truth(SmallWorld.car_at(2), SEMANTIC_KITTI, GRID)
    assert frame_scores(scene, unknown) == {"iou": None, "miou": None}


def test_an_all_empty_frame_predicted_empty_has_no_score_and_is_never_worst(run_plan):
    empty = VoxelTruth(np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.uint16))
    assert frame_scores(scene_from_truth(empty, SEMANTIC_KITTI, GRID), empty)["miou"] is None
    summary = run_plan(plan()).summary
    summary.scores[FRAMES[0]] = {"iou": None, "miou": None}
    assert FRAMES[0] not in summary.worst(10)


def test_the_worst_frames_come_first_and_ties_in_order_of_the_frames(run_plan):
    summary = run_plan(plan(ShiftedSource(1))).summary
    assert summary.worst(2) == list(FRAMES[:2])
    summary.scores[FRAMES[4]] = {"iou": 0.1, "miou": 0.1}
    assert summary.worst(2) == [FRAMES[4], FRAMES[0]]


def test_truth_as_a_scene_has_one_segment_per_instance_and_stuff_class():
    truth = SmallWorld.car_at(2)
    truth.semantics[10:14, 2:4, 1:3] = 1
    truth.instances[10:14, 2:4, 1:3] = 2
    truth.semantics[0, 0, 1] = 1  # a thing voxel without instance
    scene = scene_from_truth(truth, SEMANTIC_KITTI, GRID)
    found = [(s.category, s.is_thing, s.n_voxels) for s in scene.segments]
    assert found == [(9, False, 128), (1, True, 16), (1, True, 16)]
    for segment in scene.segments:
        assert (scene.panoptic == segment.id).sum() == segment.n_voxels
    assert scene.panoptic[0, 0, 1] == 0 and scene.semantics[0, 0, 1] == 1
    assert not scene.semantics[:, :, 3].any() and not scene.panoptic[:, :, 3].any()


def test_the_random_numbers_of_a_frame_depend_on_its_name_and_the_seed_alone():
    seeds = [frame_seed(s, Frame(q, i)) for s in (0, 1) for q in ("00", "08") for i in (0, 5)]
    draws = {tuple(np.random.default_rng(seed).random(3)) for seed in seeds}
    assert len(draws) == 8
    assert frame_seed(1, Frame("08", 5)) == frame_seed(1, Frame("08", 5))


def test_figures_that_are_not_defined_become_null_in_the_files(run_plan):
    results = run_plan(plan())
    assert math.isnan(results.figures[CLEAN]["truth"]["completion"]["standard"]["class_iou"]["truck"])
    written = results.metrics()["results"]["clean"]["truth"]["completion"]["standard"]["class_iou"]
    assert written["truck"] is None and written["car"] == 1
