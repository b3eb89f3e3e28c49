"""The metrics equal what the original evaluation computed on three scans, counter by counter."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.geometry import VoxelGrid
from pasco_core.metrics import PanopticQuality, SceneMetrics
from pasco_core.prediction import ScenePrediction, Segment

FLOAT32 = 1e-6


@pytest.fixture(scope="module")
def golden(repository):
    with np.load(repository / "test" / "golden" / "pasco" / "panoptic_metrics.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def frames(golden):
    return [golden_frame(golden, scan) for scan in range(3)]


@pytest.fixture(scope="module")
def expected(golden):
    return json.loads(str(golden["result_json"]))


@pytest.fixture(scope="module")
def scores(frames):
    metrics = SceneMetrics(SEMANTIC_KITTI)
    for scene, truth in frames:
        metrics.update(scene, truth)
    return metrics.compute()


def golden_frame(golden, scan):
    """What the original's panoptic inference returned, and the truth of that scan."""
    of = {name: golden[f"{scan}_{name}"] for name in ("sem", "ins", "sem_prob", "query_prob")}
    infos = json.loads(str(golden["segments_json"]))[scan]
    segments = [
        Segment(i["id"], i["category_id"], i["isthing"], i["confidence"], of["query_prob"][i["query_id"]])
        for i in infos
    ]
    shape = of["sem"].shape
    scene = ScenePrediction(
        grid=VoxelGrid((0.0, 0.0, 0.0), 0.2, shape),
        labels=SEMANTIC_KITTI,
        semantics=of["sem_prob"].argmax(0).astype(np.uint8),
        panoptic=golden[f"{scan}_panoptic_seg_denses"],
        segments=segments,
        voxel_uncertainty=1 - of["sem_prob"].max(0),
        mask_confidence=golden[f"{scan}_vox_confidence_denses"],
        probability_voxels=np.arange(of["sem"].size),
        probabilities=of["sem_prob"].reshape(20, -1).T,
    )
    return scene, VoxelTruth(of["sem"], of["ins"].astype(np.uint16))


def test_panoptic_counters_of_the_paper_protocol(frames, expected):
    metric = PanopticQuality(SEMANTIC_KITTI.class_names, SEMANTIC_KITTI.thing_ids, protocol="paper")
    for scene, truth in frames:
        metric.update(scene.panoptic, scene.segments, truth)
    classes = metric.compute().per_class
    counts = {int(c): counters for c, counters in expected["counts"].items()}
    for c in range(1, 20):
        ours, theirs = classes[SEMANTIC_KITTI.class_names[c]], counts.get(c, dict.fromkeys(["tp", "fp", "fn"], 0))
        assert (ours.true_positives, ours.false_positives, ours.false_negatives) == (
            theirs["tp"], theirs["fp"], theirs["fn"],
        )  # fmt: skip
        assert ours.iou_sum == pytest.approx(theirs.get("iou", 0), rel=FLOAT32)
        assert ours.overlap_iou_sum == pytest.approx(theirs.get("all_iou", 0), rel=FLOAT32)
        assert ours.overlaps == theirs.get("all_n", 0)


def test_panoptic_means_of_the_paper_protocol(scores, expected):
    ours = scores["panoptic"]["paper"]
    for group, key in (("all", "All"), ("things", "Things"), ("stuff", "Stuff")):
        for name in ("pq", "sq", "rq"):
            assert ours[group][name] == pytest.approx(expected[key][name], rel=FLOAT32)
        assert ours[group]["n_classes"] == expected[key]["n"]
    assert ours["all"]["pq_dagger"] == pytest.approx(expected["All"]["pq_dagger"], rel=FLOAT32)
    for c, quality in expected["per_class"].items():
        for name, value in quality.items():
            assert ours["per_class"][SEMANTIC_KITTI.class_names[int(c)]][name] == pytest.approx(value, rel=FLOAT32)


def test_the_standard_protocol_counts_the_stuff_that_the_paper_forgives(scores, expected):
    standard = scores["panoptic"]["standard"]["per_class"]["vegetation"]
    assert (standard["true_positives"], standard["false_positives"], standard["false_negatives"]) == (1, 2, 2)
    assert expected["counts"]["15"]["fp"] == 0


def test_completion_of_the_paper_protocol(scores, expected):
    ours, theirs = scores["completion"]["paper"], expected["ssc"]
    for name in ("precision", "recall", "iou"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-12)
    assert list(ours["class_iou"].values()) == pytest.approx(theirs["iou_ssc"], rel=1e-12)
    assert ours["miou"] == pytest.approx(theirs["iou_ssc_mean"], rel=1e-12)


def test_calibration_of_voxels_segments_and_masks(scores, expected):
    ours, voxels, segments = scores["calibration"], expected["ssc"], expected["unc"]
    for group in ("empty", "nonempty"):
        assert ours[f"voxels_{group}"]["ece"] == pytest.approx(voxels[f"{group}_ece"], rel=1e-5)
        assert ours[f"voxels_{group}"]["nll"] == pytest.approx(voxels[f"{group}_nll"], rel=1e-5)
    assert ours["segments"]["ece"] == pytest.approx(segments["ins_ece"], rel=1e-5)
    assert ours["segments"]["nll"] == pytest.approx(segments["ins_nll"], rel=1e-5)
    assert ours["segments"]["count"] == segments["count"]
    assert ours["masks"]["ece"] == pytest.approx(segments["mask_ece"], rel=1e-5)
