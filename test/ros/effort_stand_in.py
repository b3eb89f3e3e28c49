"""A model whose levels of effort cost what a test says."""

from __future__ import annotations

import time
import weakref
from collections import Counter

import numpy as np
from ros_stand_in import voxelised_scene

from pasco_core.prediction import ScenePrediction
from pasco_core.settings.deadline_settings import LEVELS
from pasco_core.stream.model import Model

POINTS = np.array([[5.0, 0.1, 0.0, 0.5], [5.4, 2.1, -1.75, 0.5]], np.float32)


class _Watched(np.ndarray):
    """An array that a weak reference can watch, as a tensor of the network."""


class LevelledModel:
    """A stand-in for the network with all levels of effort.

    Args:
        seconds: time of each level; 0 by default.
        out_of_memory: levels at which it raises, and what; ``alive_before`` tells, for each time, whether what the time
            before had allocated was still held.
    """

    def __init__(self, seconds=(), out_of_memory=None):
        self.seconds = dict(zip(LEVELS, seconds, strict=False))
        self.out_of_memory = out_of_memory or {}
        self.calls = Counter()
        self.alive_before: list[bool] = []
        self._held = lambda: None

    def __call__(self, points: np.ndarray, effort: str = LEVELS[0]) -> ScenePrediction:
        self.calls[effort] += 1
        time.sleep(self.seconds.get(effort, 0.0))
        if effort in self.out_of_memory:
            error = self.out_of_memory[effort]
            self.alive_before.append(self._held() is not None)
            tensor = np.zeros(1000).view(_Watched)
            self._held = weakref.ref(tensor)
            raise type(error)(*error.args)  # a new one: an exception keeps the frames it passed through
        return voxelised_scene(points)

    def model(self) -> Model:
        """The model of the node."""
        return Model(self, "stand-in", levels={name: None if name == LEVELS[0] else name for name in LEVELS})
