"""All metrics together: the same bits however frames are split, and defined values where there is nothing to count."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_scenes import LABELS, prediction_of, random_frame, random_truth

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.errors import ConfigError, DataError
from pasco_core.metrics import CompletionMetrics, PanopticQuality, SceneMetrics
from pasco_core.metrics.tally import ExactSums
from pasco_core.systems.pasco.scene import unobserved_scene

N_FRAMES = 7


@pytest.fixture(scope="module")
def frames():
    return [random_frame(seed) for seed in range(N_FRAMES)]


def metrics_of(frames):
    metrics = SceneMetrics(LABELS)
    for scene, truth in frames:
        metrics.update(scene, truth)
    return metrics


def text(metrics):
    """State and figures to the last bit."""
    return json.dumps(metrics.to_dict()) + repr(metrics.compute())


@pytest.fixture(scope="module")
def single_frames(frames):
    return [metrics_of([frame]) for frame in frames]


@pytest.fixture(scope="module")
def in_one_go(frames):
    return text(metrics_of(frames))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_merging_gives_the_same_bits_however_frames_are_split_and_ordered(data, single_frames, in_one_go):
    order = data.draw(st.permutations(range(N_FRAMES)))
    shards = [SceneMetrics(LABELS) for _ in range(data.draw(st.integers(1, 4)))]
    for k in order:
        shards[data.draw(st.integers(0, len(shards) - 1))].merge(single_frames[k])
    total = shards.pop(0)
    for shard in data.draw(st.permutations(shards)):
        through_a_file = SceneMetrics.from_dict(LABELS, json.loads(json.dumps(shard.to_dict())))
        total.merge(through_a_file)
    assert text(total) == in_one_go


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20), st.randoms())
def test_exact_sums_equal_the_correctly_rounded_sum_in_any_order(values, random):
    sums = ExactSums(1)
    shuffled = list(values)
    random.shuffle(shuffled)
    try:
        expected = math.fsum(values)
    except OverflowError:
        return
    sums.add([0] * len(shuffled), shuffled)
    assert sums.values()[0] == expected
    assert ExactSums.from_list(json.loads(json.dumps(sums.to_list())), 1).values()[0] == expected


def test_metrics_travel_between_processes(frames):
    metrics = metrics_of(frames[:2])
    assert text(pickle.loads(pickle.dumps(metrics))) == text(metrics)


def test_the_figures_are_plain_numbers_under_documented_names(frames):
    figures = metrics_of(frames).compute()
    assert set(figures) == {"frames", "known_voxels", "completion", "panoptic", "calibration", "error_detection"}
    assert figures["frames"] == N_FRAMES
    assert figures["known_voxels"] == sum(int((truth.semantics != 255).sum()) for _, truth in frames)
    assert set(figures["panoptic"]["paper"]) == {"all", "things", "stuff", "per_class"}
    assert set(figures["error_detection"]) == {"voxels", "voxels_nonempty", "segments"}
    assert json.loads(json.dumps(figures)) is not None


def test_the_parts_equal_the_metrics_used_alone(frames):
    figures = metrics_of(frames).compute()
    completion = CompletionMetrics(LABELS.class_names)
    panoptic = PanopticQuality(LABELS.class_names, LABELS.thing_ids, protocol="paper")
    for scene, truth in frames:
        completion.update(scene.semantics, truth.semantics)
        panoptic.update(scene.panoptic, scene.segments, truth)
    assert figures["completion"]["standard"]["miou"] == completion.compute().miou
    assert figures["panoptic"]["paper"]["all"]["pq_dagger"] == panoptic.compute().all.pq_dagger


def test_truth_against_itself_is_exactly_one():
    rng = np.random.default_rng(0)
    metrics = SceneMetrics(LABELS)
    for _ in range(4):
        truth = random_truth(rng)
        metrics.update(prediction_of(truth, rng), truth)
    figures = metrics.compute()
    completion, panoptic = figures["completion"]["standard"], figures["panoptic"]["standard"]
    assert [completion[name] for name in ("precision", "recall", "iou", "miou")] == [1.0] * 4
    for group in ("all", "things", "stuff"):
        assert [panoptic[group][name] for name in ("pq", "sq", "rq", "pq_dagger")] == [1.0] * 4
    assert figures["error_detection"]["voxels"]["errors"] == 0


def test_a_frame_with_no_instance_has_defined_values():
    truth = VoxelTruth(np.array([[[3, 3, 4, 0]]], np.uint8), np.zeros((1, 1, 4), np.uint16))
    metrics = metrics_of([(prediction_of(truth, np.random.default_rng(0)), truth)])
    panoptic = metrics.compute()["panoptic"]
    for protocol in ("standard", "paper"):
        assert math.isnan(panoptic[protocol]["things"]["pq"]) and panoptic[protocol]["things"]["n_classes"] == 0
        assert panoptic[protocol]["all"]["pq"] == panoptic[protocol]["stuff"]["pq"] == 1.0


def test_a_frame_with_no_known_voxel_has_defined_values_and_changes_no_figure_but_the_count(frames):
    scene, truth = frames[0]
    unknown = VoxelTruth(np.full(truth.semantics.shape, 255, np.uint8), np.zeros_like(truth.instances))
    nothing = metrics_of([(scene, unknown)]).compute()
    assert nothing["known_voxels"] == 0
    values = [
        nothing["completion"]["standard"]["iou"],
        nothing["panoptic"]["standard"]["all"]["pq"],
        nothing["calibration"]["voxels"]["ece"],
        nothing["calibration"]["segments"]["nll"],
        nothing["calibration"]["masks"]["ece"],
        nothing["error_detection"]["voxels"]["auroc"],
    ]
    assert all(math.isnan(value) for value in values)
    with_it, without = metrics_of([*frames, (scene, unknown)]).compute(), metrics_of(frames).compute()
    assert with_it.pop("frames") == without.pop("frames") + 1
    assert repr(with_it) == repr(without)


def test_a_class_absent_from_truth_and_prediction_is_nan_and_excluded():
    truth = VoxelTruth(np.array([[[3, 3, 0, 0]]], np.uint8), np.zeros((1, 1, 4), np.uint16))
    figures = metrics_of([(prediction_of(truth, np.random.default_rng(0)), truth)]).compute()
    assert math.isnan(figures["completion"]["standard"]["class_iou"]["tree"])
    assert figures["completion"]["standard"]["miou"] == 1.0
    assert figures["completion"]["paper"]["class_iou"]["tree"] == 0.0
    assert math.isnan(figures["panoptic"]["standard"]["per_class"]["tree"]["pq"])
    assert figures["panoptic"]["standard"]["all"]["n_classes"] == 1


def test_no_frames_at_all_is_all_nan_and_merges():
    figures = SceneMetrics(LABELS).compute()
    assert figures["frames"] == 0 and math.isnan(figures["panoptic"]["paper"]["all"]["pq"])


def test_a_scene_of_which_nothing_is_known_counts_as_empty_everywhere(frames):
    scene, truth = frames[0]
    figures = metrics_of([(unobserved_scene(scene.grid, LABELS, ""), truth)]).compute()
    assert figures["completion"]["standard"]["recall"] == 0.0
    assert figures["calibration"]["voxels_nonempty"]["count"] == 0
    assert figures["error_detection"]["voxels"]["auroc"] == 0.5


def test_nothing_is_counted_after_an_error(frames):
    scene, truth = frames[0]
    metrics = metrics_of(frames[1:3])
    before = text(metrics)
    for bad in (
        replace(scene, segments=scene.segments[1:]),
        replace(scene, mask_confidence=scene.mask_confidence[1:]),
        replace(scene, voxel_uncertainty=scene.voxel_uncertainty + 1),
        replace(scene, probabilities=scene.probabilities - 1),
    ):
        with pytest.raises(DataError):
            metrics.update(bad, truth)
    assert text(metrics) == before


def test_another_label_set_is_refused(frames):
    metrics = SceneMetrics(SEMANTIC_KITTI)
    with pytest.raises(ConfigError, match="label set SemanticKITTI, got test with 6 classes"):
        metrics.update(*frames[0])
    with pytest.raises(ConfigError, match="Expected the class names to be"):
        metrics.merge(SceneMetrics(KITTI_360))
    with pytest.raises(DataError, match="Expected the class names to be"):
        SceneMetrics.from_dict(SEMANTIC_KITTI, SceneMetrics(KITTI_360).to_dict())


def test_different_metrics_do_not_merge():
    with pytest.raises(ConfigError, match="to be PanopticQuality, got CompletionMetrics"):
        PanopticQuality(LABELS.class_names, {1}).merge(CompletionMetrics(LABELS.class_names))
    with pytest.raises(ConfigError, match=r"the thing ids to be \[1\], got \[1, 2\]"):
        PanopticQuality(LABELS.class_names, {1}).merge(PanopticQuality(LABELS.class_names, {1, 2}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: "text",
        lambda state: {},
        lambda state: state | {"format": 99},
        lambda state: state | {"frames": -1},
        lambda state: state | {"metrics": {}},
        lambda state: state | {"metrics": None},
        lambda state: state | {"metrics": state["metrics"] | {"completion": []}},
        lambda state: state | {"metrics": state["metrics"] | {"completion": {"setting": None}}},
        lambda state: _with_counts(state, {"at": [10**9], "count": [1]}),
        lambda state: _with_counts(state, {"at": [-1], "count": [1]}),
        lambda state: _with_counts(state, {"at": [1], "count": [1.5]}),
        lambda state: _with_counts(state, {"at": [1, 2], "count": [1]}),
        lambda state: _with_counts(state, {"at": [1], "count": [10**30]}),
        lambda state: _with_sums(state, [[0, "1/0"]]),
        lambda state: _with_sums(state, [[0, "nan"]]),
        lambda state: _with_sums(state, [[99, "1/2"]]),
    ],
)
def test_a_damaged_state_is_refused_as_bad_data(damage, frames):
    state = metrics_of(frames[:1]).to_dict()
    with pytest.raises(DataError, match="Expected"):
        SceneMetrics.from_dict(LABELS, damage(state))


def _with_counts(state, entries):
    completion = state["metrics"]["completion"] | {"counts": {"confusion": entries}}
    return state | {"metrics": state["metrics"] | {"completion": completion}}


def _with_sums(state, entries):
    panoptic = state["metrics"]["panoptic"]
    sums = panoptic | {"sums": panoptic["sums"] | {"iou": entries}}
    return state | {"metrics": state["metrics"] | {"panoptic": sums}}
