"""What one frame says about the voxels around the sensor, in the form that the fusion reads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import LabelSet
from pasco_core.errors import DataError
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction


@dataclass(frozen=True)
class SeenThing:
    """One thing of a frame.

    Args:
        id: its value in ``Observation.instances``.
        category: its class.
        confidence: probability of the class, 0 to 1.
    """

    id: int
    category: int
    confidence: float = 1.0


@dataclass(frozen=True)
class Observation:
    """One frame's voxels; arrays have ``grid.shape`` and are indexed [x, y, z].

    Args:
        grid: where the voxels are, in the frame's own frame of reference.
        labels: the classes.
        semantics: uint8, class, 0 = empty, 255 = unknown, which says nothing.
        occupancy: float32 in [0, 1], probability that the voxel is not empty.
        confidence: float32 in [0, 1], probability of the class in ``semantics``.
        instances: int32, thing of the voxel, 0 = none.
        things: the things by id.
    """

    grid: VoxelGrid
    labels: LabelSet
    semantics: np.ndarray
    occupancy: np.ndarray
    confidence: np.ndarray
    instances: np.ndarray
    things: list[SeenThing] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("semantics", "occupancy", "confidence", "instances"):
            array = getattr(self, name)
            if array.shape != self.grid.shape:
                raise DataError(f"Expected the observation's {name} to have shape {self.grid.shape}, got {array.shape}")
        unknown_class = (self.semantics >= self.labels.n_classes) & (self.semantics != UNKNOWN)
        if unknown_class.any():
            rule = f"0 to {self.labels.n_classes - 1} or {UNKNOWN}"
            raise DataError(f"Expected the observation's classes to be {rule}, got {self.semantics[unknown_class][0]}")

    @classmethod
    def of_scene(cls, scene: ScenePrediction) -> Observation:
        """A prediction; where nothing is known, every voxel is unknown."""
        semantics = np.full(scene.grid.shape, UNKNOWN, np.uint8) if scene.nothing_known else scene.semantics
        things = [SeenThing(s.id, s.category, s.confidence) for s in scene.segments if s.is_thing]
        is_thing = np.zeros(int(scene.panoptic.max()) + 1, bool)
        is_thing[[thing.id for thing in things if thing.id < len(is_thing)]] = True
        return cls(
            scene.grid, scene.labels, semantics, scene.occupancy_probability(), 1.0 - scene.voxel_uncertainty,
            np.where(is_thing[scene.panoptic], scene.panoptic, 0), things,
        )
