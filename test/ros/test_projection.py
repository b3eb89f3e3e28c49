"""The ground-plane maps on hand-made columns."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.geometry import VoxelGrid
from pasco_core.messages.projection import FREE, OBSTACLE, UNKNOWN, project_obstacles, project_uncertainty
from pasco_core.prediction import ScenePrediction

ROAD, TERRAIN, CAR, TRUNK = (SEMANTIC_KITTI.class_names.index(n) for n in ("road", "terrain", "car", "trunk"))
GRID = VoxelGrid((0.0, 0.0, -2.0), 0.5, (6, 1, 8))  # centres at -1.75, -1.25, ... 1.75 m


def scene_of(columns: list[dict[int, int]], uncertainty: float = 0.0) -> ScenePrediction:
    """A scene whose column i holds the classes of ``columns[i]`` by z index."""
    semantics = np.zeros(GRID.shape, np.uint8)
    for x, column in enumerate(columns):
        for z, category in column.items():
            semantics[x, 0, z] = category
    full = np.full(GRID.shape, uncertainty, np.float32)
    return ScenePrediction(
        GRID, SEMANTIC_KITTI, semantics, np.zeros(GRID.shape, np.int32), [], full, np.zeros(GRID.shape, np.float32),
        np.zeros(0, np.int64), np.zeros((0, 20), np.float32),
    )


def test_a_column_is_an_obstacle_free_or_unknown_by_what_stands_in_it():
    scene = scene_of([
        {0: ROAD}, {0: TERRAIN, 2: CAR}, {2: CAR}, {0: ROAD, 7: TRUNK}, {7: TRUNK}, {},
    ])
    cells = project_obstacles(scene, -2.0, 0.5)[:, 0].tolist()
    assert cells == [FREE, OBSTACLE, OBSTACLE, FREE, UNKNOWN, UNKNOWN]


def test_the_height_band_decides_which_voxels_are_obstacles():
    scene = scene_of([{0: ROAD, 7: TRUNK}])
    assert project_obstacles(scene, -2.0, 1.74)[0, 0] == FREE
    assert project_obstacles(scene, -2.0, 1.75)[0, 0] == OBSTACLE
    assert project_obstacles(scene, 1.76, 9.0)[0, 0] == FREE


def test_unknown_voxels_are_neither_obstacle_nor_ground():
    assert project_obstacles(scene_of([{0: 255, 1: 255}]), -2.0, 2.0)[0, 0] == UNKNOWN


def test_uncertainty_is_the_mean_over_the_occupied_voxels_of_a_column_in_percent():
    scene = scene_of([{0: ROAD, 1: CAR}, {}, {3: 255}], uncertainty=0.9)
    scene.voxel_uncertainty[0, 0, :2] = [0.2, 0.5]
    cells = project_uncertainty(scene)
    assert cells.dtype == np.int8 and cells[:, 0].tolist()[:3] == [35, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_uncertainty_reaches_both_ends_of_its_range(value):
    assert project_uncertainty(scene_of([{0: ROAD}], value))[0, 0] == round(100 * value)
