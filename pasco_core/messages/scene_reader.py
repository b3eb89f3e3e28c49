"""From received messages back to a ``ScenePrediction``, for pictures and checks.

Works on messages of rclpy and of rosbags alike, for it uses their attributes only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pasco_core.data.label_set import LabelSet, label_set_for
from pasco_core.data.voxel_message import grid_of, layer_values
from pasco_core.errors import DataError
from pasco_core.prediction import ScenePrediction, Segment


def scene_from_messages(voxels: Any, segments: Any) -> ScenePrediction:
    """The scene that a VoxelGrid with all four layers and the SegmentArray of the same stamp tell of.

    Unknown voxels have class 255, no segment, and uncertainty 1. What the messages do not hold is filled in: the
    probabilities of an occupied voxel all go to its class, and ``mask_confidence`` is 0.

    Raises:
        DataError: a layer is missing or broken, or the classes are of no known label set.
    """
    grid = grid_of(voxels)
    labels = labels_of(voxels)
    semantics, _ = layer_values(voxels, "semantics")
    panoptic, unknown_segment = layer_values(voxels, "instance")
    uncertainty, unknown = layer_values(voxels, "uncertainty")
    occupancy, unseen = layer_values(voxels, "occupancy_probability")
    occupancy = np.where(unseen, 0, occupancy).astype(np.float32)
    kept = np.flatnonzero(occupancy)
    probabilities = np.zeros((len(kept), labels.n_classes), np.float32)
    share = occupancy.reshape(-1)[kept]
    probabilities[:, 0] = 1 - share
    category = semantics.reshape(-1)[kept].astype(np.int64)
    valid = category < labels.n_classes
    probabilities[np.flatnonzero(valid), category[valid]] += share[valid]
    return ScenePrediction(
        grid=grid, labels=labels, semantics=semantics.astype(np.uint8),
        panoptic=np.where(unknown_segment, 0, panoptic).astype(np.int32),
        segments=[_segment(s) for s in segments.segments],
        voxel_uncertainty=np.where(unknown, 1.0, uncertainty).astype(np.float32),
        mask_confidence=np.zeros(grid.shape, np.float32), probability_voxels=kept, probabilities=probabilities,
    )


def labels_of(voxels: Any) -> LabelSet:
    """The label set whose classes a VoxelGrid names.

    Raises:
        DataError: they are of none that is known.
    """
    labels = label_set_for(len(voxels.class_names))
    if tuple(voxels.class_names) != labels.class_names:
        raise DataError(f"Expected the classes to be those of {labels.name}, got {list(voxels.class_names)}")
    return labels


def _segment(message: Any) -> Segment:
    return Segment(
        id=int(message.id), category=int(message.class_id), is_thing=bool(message.is_thing),
        confidence=float(message.confidence), class_probabilities=np.asarray(message.class_probabilities, np.float32),
        n_voxels=int(message.n_voxels),
    )
