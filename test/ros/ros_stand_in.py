"""A small deterministic model for the node, and a node program that uses it."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import CheckpointError
from pasco_core.geometry import KITTI_GRID
from pasco_core.prediction import ScenePrediction, Segment

CAR, ROAD, BUILDING = (SEMANTIC_KITTI.class_names.index(name) for name in ("car", "road", "building"))


def voxelised_scene(points: np.ndarray) -> ScenePrediction:
    """The points' voxels: road below -1.5 m, within 4 m to the sides cars (one left, one right), else building."""
    grid = KITTI_GRID
    inside = points[grid.contains(points[:, :3])][:, :3]
    voxels = np.unique(grid.voxel_of(inside), axis=0) if len(inside) else np.zeros((0, 3), np.int32)
    centres = grid.centre_of(voxels)
    category = np.where(centres[:, 2] < -1.5, ROAD, np.where(np.abs(centres[:, 1]) < 4, CAR, BUILDING))
    number = np.where(category == ROAD, 1, np.where(category == BUILDING, 2, np.where(centres[:, 1] > 0, 3, 4)))
    semantics, panoptic = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.int32)
    uncertainty = np.zeros(grid.shape, np.float32)
    semantics[tuple(voxels.T)], panoptic[tuple(voxels.T)] = category, number
    uncertainty[tuple(voxels.T)] = 0.25
    flat = np.ravel_multi_index(tuple(voxels.T), grid.shape)
    order = np.argsort(flat)
    probabilities = np.full((len(flat), SEMANTIC_KITTI.n_classes), 0.25 / 19, np.float32)
    probabilities[np.arange(len(flat)), category[order]] = 0.75
    segments = [_segment(n, c, int((number == n).sum())) for n, c in ((1, ROAD), (2, BUILDING), (3, CAR), (4, CAR))
                if (number == n).any()]
    return ScenePrediction(
        grid, SEMANTIC_KITTI, semantics, panoptic, segments, uncertainty, np.zeros(grid.shape, np.float32),
        flat[order].astype(np.int64), probabilities, {"voxelise": 0.001, "network": 0.002},
    )


def _segment(number: int, category: int, n_voxels: int) -> Segment:
    probabilities = np.full(SEMANTIC_KITTI.n_classes + 1, 0.01, np.float32)
    probabilities[category] = 0.8
    return Segment(number, category, SEMANTIC_KITTI.is_thing(category), 0.8, probabilities, n_voxels=n_voxels)


@dataclass
class FakePredictor:
    """``voxelised_scene`` with faults on demand.

    Args:
        delay: seconds each prediction takes.
        fault: "", "nan" (values that are not finite) or "raise".
    """

    delay: float = 0.0
    fault: str = ""
    seen: list[int] = field(default_factory=list)

    def __call__(self, points: np.ndarray) -> ScenePrediction:
        self.seen.append(len(points))
        logging.getLogger("pasco_ros").log(logging.INFO if self.delay else logging.DEBUG, "the stand-in computes")
        time.sleep(self.delay)
        if self.fault == "raise":
            raise RuntimeError("the network is unwell")
        scene = voxelised_scene(points)
        if self.fault == "nan":
            scene.probabilities[0, 3] = np.nan
        return scene


def load_fake(config):
    """A model loader; the checkpoint "bad" cannot be loaded, PASCO_TEST_DELAY slows every prediction down."""
    from pasco_core.stream.model import Model

    if config.checkpoint == "bad":
        raise CheckpointError("Expected bad to be a whole safetensors file, got 3 bytes")
    predictor = FakePredictor(float(os.environ.get("PASCO_TEST_DELAY", "0")))
    return Model(predictor, "stand-in", trained=bool(config.checkpoint))


if __name__ == "__main__":
    from pasco_ros.panoptic_scene_completion import main

    sys.exit(main(model_loader=load_fake))
