"""A dataset of a few hundred voxels and sources of predictions, importable by the processes that tests start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pasco_core.data.frame import Frame, VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import DataError
from pasco_core.evaluation.plan import EvaluationPlan
from pasco_core.evaluation.sources import TruthSource
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.geometry import VoxelGrid

GRID = VoxelGrid((0.0, -0.8, -0.4), 0.2, (16, 8, 4))
FRAMES = tuple(Frame(s, i) for s in ("00", "08") for i in range(0, 15, 5))


class SmallWorld:
    """Frame k of the list: a road, and a car of 4 x 2 x 2 voxels that begins at x = 2 + k; the top layer is unknown."""

    def __init__(self, root: str, truth_root: str | None = None):
        self.root, self.labels, self.grid = Path(root), SEMANTIC_KITTI, GRID
        self.splits = {"val": ("00", "08")}

    def sequences(self) -> tuple[str, ...]:
        return ("00", "08")

    def frames(self, split=None, sequences=None, *, with_truth: bool = True) -> list[Frame]:
        return list(FRAMES)

    def points(self, frame: Frame) -> np.ndarray:
        rng = np.random.default_rng(frame.index)
        return np.column_stack([rng.uniform(0, 3, 50), rng.uniform(-0.8, 0.8, 50), rng.uniform(-0.4, 0.4, 50),
                                rng.random(50)]).astype(np.float32)

    def truth(self, frame: Frame) -> VoxelTruth:
        return self.car_at(2 + FRAMES.index(frame))

    @staticmethod
    def car_at(x: int) -> VoxelTruth:
        semantics = np.zeros(GRID.shape, np.uint8)
        semantics[:, :, 0] = 9
        semantics[x : x + 4, 2:4, 1:3] = 1
        instances = (semantics == 1).astype(np.uint16)
        semantics[:, :, 3] = 255
        return VoxelTruth(semantics, instances)


@dataclass(frozen=True)
class ShiftedSource:
    """The truth moved forward by some voxels; "subnet 1" is not moved, "ensemble" is.

    Args:
        shift: voxels along x.
        calls: file that gets a line per call.
        dies_at: index of a frame at which the process ends without a word.
        fails_at: index of a frame that cannot be predicted.
        uncertain: what the doubt about every voxel depends on: a different number per frame.
    """

    shift: int = 1
    calls: str | None = None
    dies_at: int | None = None
    fails_at: int | None = None
    uncertain: bool = False
    seed: int = 0

    def settings(self) -> dict:
        return {"source": "shifted", "shift": self.shift}

    def places(self) -> dict[str, str]:
        return {}

    def prediction_digest(self, frame: Frame) -> str:
        return ""

    def open(self, dataset, device: str = "cpu"):
        return _OpenShifted(self, dataset)


@dataclass(frozen=True)
class SourceOnFakeGpus(ShiftedSource):
    """The same predictions in processes that believe to have GPUs, whose names are those of the devices."""

    def open(self, dataset, device: str = "cpu"):
        import torch

        torch.cuda.get_device_name = lambda name: f"fake {name}"
        return super().open(dataset, device)


class _OpenShifted:
    methods = ("subnet 1", "ensemble")
    needs_points = True

    def __init__(self, source: ShiftedSource, dataset):
        self._source, self._dataset = source, dataset

    def __call__(self, frame: Frame, points: np.ndarray):
        source = self._source
        if source.calls is not None:
            with open(source.calls, "a") as file:
                file.write(f"{frame}\n")
        if frame.index == source.dies_at:
            os._exit(9)
        if frame.index == source.fails_at:
            raise DataError(f"Expected {frame} to be well, got ill")
        truth = self._dataset.truth(frame)
        moved = VoxelTruth(*(self._moved(a) for a in (truth.semantics, truth.instances)))
        scenes = [scene_from_truth(t, self._dataset.labels, self._dataset.grid) for t in (truth, moved)]
        if source.uncertain:
            rng = np.random.default_rng([frame.index, int(frame.sequence)])
            for scene in scenes:
                scene.probabilities[:] = rng.dirichlet(np.ones(20), len(scene.probabilities)).astype(np.float32)
                scene.voxel_uncertainty[:] = rng.random(GRID.shape, dtype=np.float32)
        return scenes

    def _moved(self, array: np.ndarray) -> np.ndarray:
        out = np.zeros_like(array)
        out[self._source.shift :] = array[: array.shape[0] - self._source.shift]
        return out


def open_small_world(root: str, truth_root: str | None) -> SmallWorld:
    return SmallWorld(root, truth_root)


def plan(source=None, frames=FRAMES, root: str = "world", **more) -> EvaluationPlan:
    return EvaluationPlan(root, None, source or TruthSource(), tuple(frames), opener=open_small_world, **more)
