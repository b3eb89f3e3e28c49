"""Tiny scenes with exact truth, and experiments small enough to train on them within a second."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID
from training.config import Experiment

ROAD, BUILDING, CAR = 9, 13, 1
# The known part of the grid: 32 × 32 × 16 voxels before the sensor.
AREA = (slice(8, 40), slice(112, 144), slice(0, 16))


class ToyScenes:
    """A floor, a house and cars whose places depend on the frame; points are centres of voxels seen from above."""

    def __init__(self, n_frames: int = 4):
        self.root = Path("toy")
        self.labels = SEMANTIC_KITTI
        self.grid = KITTI_GRID
        self.splits = {"train": ("00",), "val": ("08",)}
        self._n_frames = n_frames

    def sequences(self):
        return ("00", "08")

    def frames(self, split=None, sequences=None, *, with_truth=True):
        chosen = sequences or (self.splits[split] if split else self.sequences())
        return [Frame(sequence, index) for sequence in chosen for index in range(self._n_frames)]

    def truth(self, frame: Frame) -> VoxelTruth:
        rng = np.random.default_rng([int(frame.sequence), frame.index])
        semantics = np.full(self.grid.shape, UNKNOWN, np.uint8)
        instances = np.zeros(self.grid.shape, np.uint16)
        area, ids = semantics[AREA], instances[AREA]
        area[...] = 0
        area[:, :, 2] = ROAD
        x, y = rng.integers(0, 18, 2)
        area[x : x + 12, y : y + 14, 3:12] = BUILDING
        for number in (1, 2):
            x, y = rng.integers(1, 23, 2)
            free = area[x : x + 8, y : y + 5, 3:7] == 0
            area[x : x + 8, y : y + 5, 3:7][free] = CAR
            ids[x : x + 8, y : y + 5, 3:7][free] = number
        _, numbers = np.unique(ids, return_inverse=True)  # a car may be hidden by the other: numbers without gaps
        ids[...] = numbers.reshape(ids.shape)
        return VoxelTruth(semantics, instances)

    def points(self, frame: Frame) -> np.ndarray:
        semantics = self.truth(frame).semantics
        occupied = (semantics != 0) & (semantics != UNKNOWN)
        top = occupied & ~np.pad(occupied, ((0, 0), (0, 0), (0, 1)))[:, :, 1:]
        voxels = np.argwhere(top)
        xyz = self.grid.centre_of(voxels)
        intensity = semantics[tuple(voxels.T)][:, None] / 20.0
        return np.concatenate([xyz, intensity], 1).astype(np.float32)


class Fragile(ToyScenes):
    """Its training scans cannot be read: by an error, or because reading them kills the process."""

    def __init__(self, deadly: bool):
        super().__init__(2)
        self._deadly = deadly

    def points(self, frame):
        if self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        raise DataError(f"Expected scan {frame} to be whole, got half of it")


def tiny_experiment(**changes) -> Experiment:
    """An experiment with a tiny network; ``changes`` replace whole groups or single entries of them."""
    values = {
        "name": "tiny",
        "network": {
            "n_subnets": 2, "width": 4, "n_queries": 12, "query_channels": 24, "n_heads": 2, "ffn_channels": 32,
            "point_channels": [8, 8, 8],
        },
        "data": {"workers": 0, "val_frames": 1},
        "augmentation": {"max_angle": 10.0},
        "optimiser": {"learning_rate": 3e-3, "gradient_clip": 1.0},
        "schedule": {"kind": "constant", "epochs": 2},
        "validation": {"checkpoint_every": 1, "every_n_epochs": 1000},
        "log": {"every": 1},
    }
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return Experiment.from_dict(values)
