"""The node with a model that fails at random, as a program: ``python -m pasco_ros.soak.faulty_node``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.truth.voxel_truth import measured_voxels
from pasco_core.errors import InferenceError
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.geometry import KITTI_GRID
from pasco_core.prediction import ScenePrediction
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.model import Model, load_model
from pasco_ros.panoptic_scene_completion import main

MODELS = ("stand-in", "network")
_RAISES, _NOT_FINITE, _UNWELL = 0.01, 0.01, 0.002  # share of the computations with which it begins
_UNWELL_FOR = 4  # computations in a row: more than the node takes before it pauses
_NAME = "the scan's own voxels, in the place of a network"
_ROAD, _BUILDING = (SEMANTIC_KITTI.class_names.index(name) for name in ("road", "building"))


class FaultyPredictor:
    """Passes on what another one predicts, except when it fails.

    Args:
        model: what computes; the warm-up, one computation with each of its levels, does not fail.
        seed: decides when which failure comes.
    """

    def __init__(self, model: Model, seed: int) -> None:
        self._model = model
        self._rng = np.random.default_rng(seed)
        self._healthy = len(model.levels)
        self._unwell = 0

    def __call__(self, points: np.ndarray, **options: Any) -> ScenePrediction:
        scene = self._model.predict(points, **options)
        if self._healthy:
            self._healthy -= 1
            return scene
        chance = self._rng.random()
        self._unwell = self._unwell - 1 if self._unwell else _UNWELL_FOR * int(chance < _UNWELL)
        if self._unwell or chance > 1 - _RAISES:
            raise InferenceError("The soak test lets this computation fail")
        if chance > 1 - _RAISES - _NOT_FINITE:
            uncertainty = scene.voxel_uncertainty.copy()
            uncertainty[0, 0, 0] = np.nan
            return replace(scene, voxel_uncertainty=uncertainty)
        return scene


def scan_voxels(points: np.ndarray) -> ScenePrediction:
    """The voxels that hold a point: road below, building above; in the place of a network."""
    occupied = measured_voxels(points)
    height = KITTI_GRID.centre_of(np.column_stack([np.zeros((KITTI_GRID.shape[2], 2), int),
                                                   np.arange(KITTI_GRID.shape[2])]))[:, 2]
    semantics = (occupied * np.where(height < -1.5, _ROAD, _BUILDING)).astype(np.uint8)
    instances = np.zeros(KITTI_GRID.shape, np.uint16)
    scene = scene_from_truth(VoxelTruth(semantics, instances), SEMANTIC_KITTI, KITTI_GRID, _NAME)
    return scene if occupied.any() else replace(scene, voxel_uncertainty=np.ones(occupied.shape, np.float32))


def run(arguments: list[str] | None = None) -> int:
    """Run the node; what is not an option here goes on to it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--seed", type=int, default=0)
    args, rest = parser.parse_known_args(arguments)

    def load(config: NodeConfig) -> Model:
        model = load_model(config) if args.model == "network" else Model(scan_voxels, _NAME)
        return replace(model, predict=FaultyPredictor(model, args.seed))

    return main(["faulty_node", *rest], model_loader=load)


if __name__ == "__main__":
    raise SystemExit(run())
