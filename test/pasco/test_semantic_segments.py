"""Segments made from the semantics: against flood fill and sums by hand."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.geometry import VoxelGrid
from pasco_core.systems.pasco.ensemble import SemanticScene
from pasco_core.systems.pasco.semantic_segments import segments_from_semantics

GRID = VoxelGrid((0.0, 0.0, 0.0), 0.2, (20, 20, 6))
CAR, PERSON, ROAD, BUILDING = 1, 6, 9, 13


def scene_of(semantics: np.ndarray, seed: int = 0) -> SemanticScene:
    """Random probabilities with the given class the largest, on all voxels that are not empty and some that are."""
    rng = np.random.default_rng(seed)
    voxels = np.flatnonzero((semantics.reshape(-1) > 0) | (rng.random(semantics.size) < 0.1))
    raw = rng.random((len(voxels), 20))
    raw[np.arange(len(voxels)), semantics.reshape(-1)[voxels]] += 2
    shares = (raw / raw.sum(1, keepdims=True)).astype(np.float32)
    return SemanticScene(torch.from_numpy(voxels), torch.from_numpy(shares))


def some_semantics() -> np.ndarray:
    semantics = np.zeros(GRID.shape, np.uint8)
    semantics[:, :, 0] = ROAD
    semantics[2:6, 2:6, 1:4] = CAR
    semantics[6:10, 6:10, 1:4] = CAR  # touches the first one at a corner only
    semantics[14:17, 14:17, 1:5] = CAR
    semantics[12, 2, 1:3] = PERSON  # a crumb
    semantics[19, 0:3, 1:4] = BUILDING  # fewer than 20 voxels
    return semantics


def test_stuff_is_one_segment_and_things_are_components():
    semantics = some_semantics()
    found = segments_from_semantics(scene_of(semantics), GRID, SEMANTIC_KITTI)
    assert [(s.id, s.category, s.is_thing, s.n_voxels) for s in found.segments] == [
        (1, ROAD, False, 400), (2, CAR, True, 96), (3, CAR, True, 36)
    ]
    dense = np.zeros(GRID.n_voxels, np.int32)
    dense[found.voxels.numpy()] = found.ids.numpy()
    cars, _ = ndimage.label(semantics == CAR, np.ones((3, 3, 3)))
    assert np.array_equal(dense.reshape(GRID.shape) >= 2, cars > 0)
    for number in (2, 3):
        assert len(np.unique(cars[dense.reshape(GRID.shape) == number])) == 1


def test_a_segments_probabilities_are_the_mean_of_its_voxels_and_sum_to_one():
    scene = scene_of(some_semantics(), seed=3)
    found = segments_from_semantics(scene, GRID, SEMANTIC_KITTI)
    for segment in found.segments:
        mean = scene.probabilities[found.ids == segment.id].double().mean(0).numpy()
        np.testing.assert_allclose(segment.class_probabilities[1:-1], mean[1:], atol=1e-6)
        np.testing.assert_allclose(segment.class_probabilities[[0, -1]], [0, mean[0]], atol=1e-6)
        assert abs(segment.class_probabilities.sum() - 1) < 1e-5
        assert abs(segment.confidence - mean[segment.category]) < 1e-6
    inside = found.ids > 0
    assert torch.equal(found.mask_confidence[inside], scene.probabilities.max(1).values[inside])
    assert not found.mask_confidence[~inside].any() and not found.semantics[~inside].any()


def test_a_scene_without_anything_has_no_segment():
    empty = SemanticScene(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 20))
    found = segments_from_semantics(empty, GRID, SEMANTIC_KITTI)
    assert found.segments == [] and len(found.ids) == 0
