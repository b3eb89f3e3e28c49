"""Scenes made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.geometry import KITTI_GRID
from pasco_core.prediction import ScenePrediction, Segment


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., ScenePrediction]:
    """A scene of blocks (x, y, z slices), (class, segment id, uncertainty) on the KITTI grid."""

    def make(blocks: Sequence[tuple], notes: tuple[str, ...] = ()) -> ScenePrediction:
        semantics = np.zeros(KITTI_GRID.shape, np.uint8)
        panoptic = np.zeros(KITTI_GRID.shape, np.int32)
        uncertainty = np.zeros(KITTI_GRID.shape, np.float32)
        segments = {}
        for where, (category, segment, unsure) in blocks:
            semantics[where], panoptic[where], uncertainty[where] = category, segment, unsure
            segments[segment] = category
        rows = [
            Segment(i, c, SEMANTIC_KITTI.is_thing(c), 0.9, np.zeros(21, np.float32), 0, int((panoptic == i).sum()))
            for i, c in sorted(segments.items())
            if i
        ]
        voxels = np.flatnonzero(semantics)
        probabilities = np.zeros((len(voxels), 20), np.float32)
        return ScenePrediction(
            KITTI_GRID, SEMANTIC_KITTI, semantics, panoptic, rows, uncertainty, uncertainty, voxels, probabilities,
            notes=notes,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def street(make_scene: Callable[..., ScenePrediction]) -> ScenePrediction:
    """A road, two cars on it, a wall beside it."""
    return make_scene(
        [
            (np.s_[:, 90:166, 1], (9, 1, 0.1)),
            (np.s_[60:82, 110:119, 2:9], (1, 2, 0.3)),
            (np.s_[120:142, 135:144, 2:9], (1, 3, 0.5)),
            (np.s_[40:200, 60:62, 1:25], (13, 4, 0.8)),
        ]
    )
