"""Projections of a scene onto the ground plane, with the values of nav_msgs/OccupancyGrid."""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from pasco_core.prediction import ScenePrediction

FREE, OBSTACLE, UNKNOWN = 0, 100, -1
UNKNOWN_CLASS = 255


def project_obstacles(scene: ScenePrediction, min_z: float, max_z: float) -> np.ndarray:
    """Where something stands that a vehicle would hit.

    A cell is an OBSTACLE when its column holds a voxel of any class but empty and ground whose centre lies between
    ``min_z`` and ``max_z`` (metres in the scene's frame); else FREE when the column holds a ground voxel; else UNKNOWN,
    for neither ground nor obstacle was predicted there. The values are only these three, because common consumers take
    everything below 100 for free.

    Returns:
        int8 (size_x, size_y).
    """
    ground_ids = scene.labels.ground_ids
    ground = _table(ground_ids)[scene.semantics].any(axis=2)
    solid = _table(set(range(1, scene.labels.n_classes)) - ground_ids)
    centres = scene.grid.centre_of(np.arange(scene.grid.shape[2])[:, None])[:, 2]
    band = (centres >= min_z) & (centres <= max_z)
    obstacle = solid[scene.semantics[:, :, band]].any(axis=2)
    return np.where(obstacle, OBSTACLE, np.where(ground, FREE, UNKNOWN)).astype(np.int8)


def project_uncertainty(scene: ScenePrediction) -> np.ndarray:
    """Mean uncertainty of the occupied voxels of each column, 0..100; UNKNOWN where a column has none.

    Returns:
        int8 (size_x, size_y).
    """
    occupied = occupied_mask(scene)
    count = np.count_nonzero(occupied, axis=2)
    total = np.einsum("xyz,xyz->xy", scene.voxel_uncertainty, occupied)
    mean = np.clip(100.0 * total / np.maximum(count, 1), 0, 100)
    return np.where(count > 0, np.rint(mean), UNKNOWN).astype(np.int8)


def occupied_mask(scene: ScenePrediction) -> np.ndarray:
    """Bool grid: the voxel has a class other than empty and unknown."""
    return (scene.semantics != 0) & (scene.semantics != UNKNOWN_CLASS)


def _table(class_ids: Set[int]) -> np.ndarray:
    """(256,) bool by class index, true at those classes."""
    table = np.zeros(256, bool)
    table[list(class_ids)] = True
    return table
