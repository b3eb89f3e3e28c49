"""A scene made by hand, and scans to run on."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.label_set import SEMANTIC_KITTI, LabelSet
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction, Segment

GRID = VoxelGrid((0.0, -0.8, -0.4), 0.2, (16, 8, 4))


def hand_made_scene(labels: LabelSet = SEMANTIC_KITTI, notes: tuple[str, ...] = ("made by hand",)) -> ScenePrediction:
    """A car of 6 voxels on a road of 128, in a grid of 512."""
    rng = np.random.default_rng(11)
    semantics, panoptic = np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.int32)
    semantics[:, :, 0], panoptic[:, :, 0] = 9, 1
    semantics[4:7, 2:4, 1], panoptic[4:7, 2:4, 1] = 1, 2
    voxels = np.flatnonzero(semantics)
    probabilities = rng.random((len(voxels), labels.n_classes), dtype=np.float32)
    query = rng.random((2, labels.n_classes + 1), dtype=np.float32)
    return ScenePrediction(
        grid=GRID, labels=labels, semantics=semantics, panoptic=panoptic,
        segments=[Segment(1, 9, False, 0.75, query[0], 4, 128), Segment(2, 1, True, 1 / 3, query[1], 17, 6)],
        voxel_uncertainty=rng.random(GRID.shape, dtype=np.float32),
        mask_confidence=rng.random(GRID.shape, dtype=np.float32),
        probability_voxels=voxels, probabilities=probabilities / probabilities.sum(1, keepdims=True),
        timings={"encoder": 0.1234567, "ensemble": 2.5}, notes=notes,
    )


@pytest.fixture
def scene() -> ScenePrediction:
    return hand_made_scene()


@pytest.fixture
def make_scene():
    return hand_made_scene


@pytest.fixture
def scan(tmp_path):
    """A KITTI file of 40 points: 30 in the hand-made grid, 8 outside, 2 not finite."""
    rng = np.random.default_rng(2)
    points = np.column_stack([rng.uniform(0.1, 3, 40), rng.uniform(-0.7, 0.7, 40), rng.uniform(-0.3, 0.3, 40),
                              rng.random(40)]).astype(np.float32)
    points[30:38, 0] = 50
    points[38:, 1] = np.nan
    path = tmp_path / "000123.bin"
    points.tofile(path)
    return path
