"""The truth written as a prediction that is sure of itself: what a perfect system would return."""

from __future__ import annotations

import numpy as np

from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction, Segment

NOTE = "the truth itself, as if it had been predicted"


def scene_from_truth(
    truth: VoxelTruth, labels: LabelSet, grid: VoxelGrid, note: str = NOTE
) -> ScenePrediction:
    """Every known voxel right with probability 1; one segment per stuff class and per thing instance.

    Args:
        truth: classes and instances; unknown voxels become empty. A thing voxel without instance keeps its class and
            belongs to no segment.
        labels: classes.
        grid: where the voxels are.
        note: what a reader of the scene should know.
    """
    semantics = np.where(truth.semantics == UNKNOWN, 0, truth.semantics).astype(np.uint8)
    panoptic, segments = _segments(semantics, truth.instances, labels)
    voxels = np.flatnonzero(semantics)
    probabilities = np.zeros((len(voxels), labels.n_classes), np.float32)
    probabilities[np.arange(len(voxels)), semantics.ravel()[voxels]] = 1
    return ScenePrediction(
        grid=grid,
        labels=labels,
        semantics=semantics,
        panoptic=panoptic,
        segments=segments,
        voxel_uncertainty=np.zeros(semantics.shape, np.float32),
        mask_confidence=(panoptic > 0).astype(np.float32),
        probability_voxels=voxels,
        probabilities=probabilities,
        notes=(note,),
    )


def _segments(semantics: np.ndarray, instances: np.ndarray, labels: LabelSet) -> tuple[np.ndarray, list[Segment]]:
    """Ids from 1: stuff classes ascending, then instances ascending."""
    is_thing = np.zeros(labels.n_classes, bool)
    is_thing[list(labels.thing_ids)] = True
    thing = is_thing[semantics]
    key = np.where(thing, labels.n_classes + instances.astype(np.int64), semantics)
    key[thing & (instances == 0)] = 0
    keys, first, inverse, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    ids = np.cumsum(keys > 0) * (keys > 0)
    segments = [
        _segment(int(ids[i]), int(semantics.ravel()[first[i]]), int(counts[i]), labels) for i in np.flatnonzero(keys)
    ]
    return ids.astype(np.int32)[inverse].reshape(semantics.shape), segments


def _segment(identity: int, category: int, n_voxels: int, labels: LabelSet) -> Segment:
    probabilities = np.zeros(labels.n_classes + 1, np.float32)
    probabilities[category] = 1
    return Segment(identity, category, labels.is_thing(category), 1.0, probabilities, identity - 1, n_voxels)
