"""Ensembling and panoptic inference against the original's numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from golden_weights import FOLDER, golden_case

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.rigid import warp_voxels
from pasco_core.systems.pasco.ensemble import MaskScene, ensemble
from pasco_core.systems.pasco.panoptic import PanopticThresholds, panoptic_inference
from pasco_core.systems.pasco.transforms import GridWarp

THINGS = SEMANTIC_KITTI.thing_ids


@pytest.fixture(scope="module")
def golden():
    return np.load(FOLDER / "ensemble_semkitti_n3_f8.npz")


@pytest.fixture(scope="module")
def network_case():
    return golden_case("semkitti_n3_f8")


@pytest.fixture(scope="module")
def result(golden, network_case):
    data, _, output = network_case
    warps = [GridWarp.of(matrix, KITTI_GRID) for matrix in data["T"]]
    return ensemble(output, warps, iou_threshold=float(golden["iou_threshold"]))


def flat(coords: np.ndarray) -> np.ndarray:
    return np.ravel_multi_index(tuple(coords.astype(int).T), KITTI_GRID.shape)


def test_points_fall_into_the_golden_voxels_of_every_subnet(network_case):
    data, _, _ = network_case
    for i, matrix in enumerate(data["T"]):
        np.testing.assert_array_equal(warp_voxels(data["base"], matrix, KITTI_GRID), data[f"in_coords_{i}"])


@pytest.mark.parametrize("i", range(4), ids=["subnet 0", "subnet 1", "subnet 2", "ensemble"])
def test_class_probabilities_equal_the_golden_ones(golden, result, i):
    scene, voxels = result.semantics[i], flat(golden[f"sem_coords_{i}"])
    order, soft = np.argsort(voxels), (scene.probabilities[:, 0] != 1).numpy()
    np.testing.assert_array_equal(scene.voxels.numpy()[soft], voxels[order])
    np.testing.assert_allclose(scene.probabilities.numpy()[soft], golden[f"sem_prob_{i}"][order], rtol=0, atol=1e-4)


@pytest.mark.parametrize("i", range(4), ids=["subnet 0", "subnet 1", "subnet 2", "ensemble"])
def test_mask_probabilities_equal_the_golden_ones(golden, result, i):
    scene, voxels = result.masks[i], flat(golden[f"vox_coords_{i}"])
    order = np.argsort(voxels)
    np.testing.assert_array_equal(scene.voxels.numpy(), voxels[order])
    every_tenth = scene.mask_probabilities.numpy()[:, ::10]
    np.testing.assert_allclose(every_tenth, golden[f"vox_prob_every10th_{i}"][order], rtol=0, atol=1e-3)
    np.testing.assert_allclose(scene.query_probabilities.numpy(), golden[f"query_probs_{i}"], rtol=0, atol=1e-4)


def test_as_many_queries_survive_the_matching_as_in_the_golden_run(golden, result):
    assert result.masks[-1].mask_probabilities.shape[1] == int(golden["n_queries_kept"])


@pytest.mark.parametrize(("name", "i"), [("subnet0", 0), ("ensemble", 3)])
def test_panoptic_inference_equals_the_golden_one(golden, result, name, i):
    scene = panoptic_inference(result.masks[i], THINGS, PanopticThresholds(query=0.2))
    found, voxels = (scene.ids != 0).numpy(), flat(golden[f"pan_{name}_coords"])
    order = np.argsort(voxels)
    np.testing.assert_array_equal(scene.voxels.numpy()[found], voxels[order])
    np.testing.assert_array_equal(scene.ids.numpy()[found], golden[f"pan_{name}_id"][order])
    np.testing.assert_array_equal(scene.semantics.numpy()[found], golden[f"pan_{name}_sem"][order])
    for ours, key in ((scene.mask_confidence, "voxconf"), (scene.instance_confidence, "insconf")):
        np.testing.assert_allclose(ours.numpy()[found], golden[f"pan_{name}_{key}"][order], rtol=0, atol=1e-4)
    for segment, expected in zip(scene.segments, json.loads(str(golden[f"pan_{name}_info"])), strict=True):
        ours = (segment.id, segment.is_thing, segment.category, segment.query_id)
        assert ours == tuple(expected[key] for key in ("id", "isthing", "category_id", "query_id"))


@pytest.mark.parametrize("scan", range(3))
def test_panoptic_inference_with_the_published_thresholds_equals_the_golden_scenes(scan):
    data = np.load(FOLDER / "panoptic_metrics.npz")
    masks = torch.from_numpy(data[f"{scan}_vox_prob"])
    flat_masks = masks.flatten(1).T.contiguous()
    scene = MaskScene(torch.arange(len(flat_masks)), flat_masks, torch.from_numpy(data[f"{scan}_query_prob"]))
    result = panoptic_inference(scene, THINGS)
    np.testing.assert_array_equal(result.ids.view(masks.shape[1:]), data[f"{scan}_panoptic_seg_denses"])
    np.testing.assert_array_equal(result.semantics.view(masks.shape[1:]), data[f"{scan}_semantic_seg_denses"])
    for ours, key in ((result.mask_confidence, "vox_confidence"), (result.instance_confidence, "ins_uncertainty")):
        np.testing.assert_allclose(ours.view(masks.shape[1:]), data[f"{scan}_{key}_denses"], rtol=0, atol=1e-6)
    for segment, expected in zip(result.segments, json.loads(str(data["segments_json"]))[scan], strict=True):
        ours = (segment.id, segment.is_thing, segment.category, segment.query_id)
        assert ours == tuple(expected[key] for key in ("id", "isthing", "category_id", "query_id"))
        assert segment.confidence == pytest.approx(expected["confidence"], abs=1e-6)
