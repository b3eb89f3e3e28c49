"""What every system returns for one scan, and what messages, files, metrics and pictures are made from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pasco_core.data.label_set import LabelSet
from pasco_core.geometry import VoxelGrid


@dataclass(frozen=True)
class Segment:
    """One panoptic segment: a thing instance or a stuff region.

    Args:
        id: value of the segment in ``ScenePrediction.panoptic``, from 1.
        category: class index in the label set.
        is_thing: whether the class is countable.
        confidence: probability of the class, 0 to 1.
        class_probabilities: (classes + 1,) float32, the last entry "no object".
        query_id: index of the mask query that made it.
        n_voxels: how many voxels of ``panoptic`` carry the id.
    """

    id: int
    category: int
    is_thing: bool
    confidence: float
    class_probabilities: np.ndarray
    query_id: int = -1
    n_voxels: int = 0


@dataclass(frozen=True)
class ScenePrediction:
    """The completed scene around the sensor.

    Dense arrays have ``grid.shape`` and are indexed [x, y, z].

    Args:
        grid: where the voxels are, in the frame of the input points.
        labels: class names and colours.
        semantics: uint8, class of each voxel, 0 = empty, 255 = unknown: nothing was computed there.
        panoptic: int32, segment id of each voxel, 0 = none.
        segments: the segments by ascending id.
        voxel_uncertainty: float32 in [0, 1], 1 - probability of the most probable class.
        mask_confidence: float32 in [0, 1], share of the voxel's mask probability that its segment holds; 0 without one.
        probability_voxels: (M,) int64, flat indices of the voxels that any subnet kept, ascending.
        probabilities: (M, classes) float32 at those voxels; every other known voxel is empty with probability 1.
        timings: seconds per stage, in order.
        notes: what a reader of the result should know (weights not trained, points out of range, ...).
    """

    grid: VoxelGrid
    labels: LabelSet
    semantics: np.ndarray
    panoptic: np.ndarray
    segments: list[Segment]
    voxel_uncertainty: np.ndarray
    mask_confidence: np.ndarray
    probability_voxels: np.ndarray
    probabilities: np.ndarray
    timings: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def nothing_known(self) -> bool:
        """Whether no point lay in the grid: no voxel was predicted and every one is wholly uncertain."""
        return len(self.probability_voxels) == 0 and bool((self.voxel_uncertainty == 1).all())

    def occupancy_probability(self) -> np.ndarray:
        """Float32 grid of 1 - P(empty), 0 where nothing is known."""
        occupied = np.zeros(self.grid.n_voxels, np.float32)
        occupied[self.probability_voxels] = 1.0 - self.probabilities[:, 0]
        return occupied.reshape(self.grid.shape)
