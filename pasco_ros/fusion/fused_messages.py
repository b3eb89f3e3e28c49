"""Between the fusion and messages: received scenes become observations, fused scenes become what the node publishes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.voxel_message import layer_values
from pasco_core.fusion import FusedScene, Observation, SeenThing
from pasco_core.geometry import VoxelGrid
from pasco_core.geometry.poses import rigid_matrix
from pasco_core.messages.scene_reader import labels_of
from pasco_core.prediction import ScenePrediction, Segment


def observation_of(voxels: Any, segments: Any | None) -> tuple[Observation, np.ndarray]:
    """What a VoxelGrid, and the SegmentArray of the same stamp, say.

    Returns:
        The observation in a grid that begins at 0, and the pose (4, 4) of that grid's corner in the message's frame.

    Raises:
        DataError: a layer is missing or broken, the classes are of no known label set, or the pose is no pose.
    """
    labels = labels_of(voxels)
    shape = (int(voxels.size_x), int(voxels.size_y), int(voxels.size_z))
    grid = VoxelGrid((0.0, 0.0, 0.0), round(float(voxels.voxel_size), 6), shape)
    semantics, _ = layer_values(voxels, "semantics")
    occupancy, _ = layer_values(voxels, "occupancy_probability")
    uncertainty, _ = layer_values(voxels, "uncertainty")
    instances, no_instance = layer_values(voxels, "instance")
    things = [] if segments is None else [
        SeenThing(int(s.id), int(s.class_id), float(s.confidence)) for s in segments.segments if s.is_thing
    ]
    is_thing = np.zeros(int(np.iinfo(instances.dtype).max) + 1, bool)
    is_thing[[thing.id for thing in things]] = True
    kept = np.where(is_thing[instances] & ~no_instance, instances, 0).astype(np.int32)
    seen = Observation(
        grid, labels, semantics.astype(np.uint8), occupancy.astype(np.float32),
        (1 - uncertainty).astype(np.float32), kept, things,
    )
    place, turn = voxels.origin.position, voxels.origin.orientation
    return seen, rigid_matrix((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))


def prediction_of(fused: FusedScene) -> ScenePrediction:
    """The fused scene in the form that all messages and pictures are made from; tracks are its segments."""
    occupied = np.flatnonzero((fused.semantics > 0) & (fused.semantics != UNKNOWN))
    share = fused.occupancy.reshape(-1)[occupied]
    probabilities = np.zeros((len(occupied), fused.labels.n_classes), np.float32)
    probabilities[:, 0] = 1 - share
    probabilities[np.arange(len(occupied)), fused.semantics.reshape(-1)[occupied]] = share
    sizes = np.bincount(fused.tracks_of_voxels.reshape(-1)[occupied])
    segments = [
        Segment(
            number, track.category, True, track.confidence, _with_no_object(track.evidence), -1, int(sizes[number])
        )
        for number, track in sorted(fused.tracks.items()) if number < len(sizes) and sizes[number]
    ]
    return ScenePrediction(
        grid=fused.grid, labels=fused.labels, semantics=fused.semantics, panoptic=fused.tracks_of_voxels,
        segments=segments, voxel_uncertainty=fused.uncertainty,
        mask_confidence=np.zeros(fused.grid.shape, np.float32), probability_voxels=occupied,
        probabilities=probabilities,
    )


def add_velocities(message: Any, fused: FusedScene) -> Any:
    """The SegmentArray with the velocity of every track, in the fixed frame."""
    for segment in message.segments:
        x, y, z = fused.tracks[int(segment.id)].velocity.tolist()
        segment.velocity.x, segment.velocity.y, segment.velocity.z = x, y, z
    return message


def _with_no_object(evidence: np.ndarray) -> np.ndarray:
    """Probabilities (classes + 1,) of a track's class; that it is no object is out of the question by now."""
    shares = np.exp(evidence - evidence.max())
    return np.append(shares / shares.sum(), 0.0).astype(np.float32)
