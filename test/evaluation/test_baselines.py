"""The baselines without a network: what they predict from the labels of a scan's points."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.errors import ConfigError
from pasco_core.evaluation.baselines import BaselineSource, majority_voxels, nearest_labels
from pasco_core.geometry import KITTI_GRID, VoxelGrid

GRID = VoxelGrid((0.0, 0.0, 0.0), 1.0, (8, 8, 8))


def test_a_voxel_has_the_class_of_most_of_its_points_and_the_smaller_class_of_a_tie():
    points = np.array([[1.5, 1.5, 1.5]] * 3 + [[2.5, 2.5, 2.5]] * 2, np.float32)
    classes = np.array([9, 13, 13, 15, 11], np.uint8)
    voxels = majority_voxels(points, classes, GRID, SEMANTIC_KITTI)
    assert voxels[1, 1, 1] == 13 and voxels[2, 2, 2] == 11
    assert np.count_nonzero(voxels) == 2


def test_points_outside_the_grid_and_without_a_label_count_nothing():
    points = np.array([[-1.0, 1, 1], [1.5, 1.5, 1.5], [9.0, 1, 1], [3.5, 3.5, 3.5]], np.float32)
    classes = np.array([9, 255, 9, 0], np.uint8)
    assert not majority_voxels(points, classes, GRID, SEMANTIC_KITTI).any()


def test_every_voxel_within_reach_has_the_class_of_the_nearest_occupied_one():
    rng = np.random.default_rng(0)
    voxels = np.where(rng.random((12, 12, 12)) < 0.01, rng.integers(1, 20, (12, 12, 12)), 0).astype(np.uint8)
    occupied = np.argwhere(voxels)
    spread = nearest_labels(voxels, 2.0)
    for place in np.ndindex(voxels.shape):
        distances = np.linalg.norm(occupied - place, axis=1)
        near = {int(voxels[tuple(o)]) for o in occupied[distances == distances.min()]}
        assert spread[place] in (near if distances.min() <= 2.0 else {0})


def test_nothing_spreads_from_nothing():
    assert not nearest_labels(np.zeros((4, 4, 4), np.uint8), 2.0).any()


def test_a_dataset_without_point_labels_is_refused_by_name():
    class Other:
        labels, grid = KITTI_360, KITTI_GRID

    with pytest.raises(ConfigError, match="point labels for the baselines, got SSCBench-KITTI-360"):
        BaselineSource().open(Other())
