"""A hand-made world for the fusion: boxes on a lattice, seen from poses."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.fusion import Observation, SeenThing
from pasco_core.geometry import VoxelGrid

GRID = VoxelGrid(origin=(0.0, -3.2, -0.8), voxel_size=0.2, shape=(32, 32, 8))


def pose_at(x: float, y: float = 0.0, z: float = 0.0, yaw_degrees: float = 0.0) -> np.ndarray:
    """(4, 4) of a sensor in the fixed frame."""
    angle = np.radians(yaw_degrees)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = x, y, z
    return pose


class World:
    """Boxes with a class; those of things may move."""

    def __init__(self, boxes):
        self.boxes = boxes  # (lower (3,), upper (3,), class, velocity (3,), thing)

    def observe(self, pose: np.ndarray, time: float = 0.0, occupancy: float = 0.9) -> Observation:
        """What a perfect network would say from a pose."""
        voxels = np.stack(np.meshgrid(*(np.arange(n) for n in GRID.shape), indexing="ij"), -1).reshape(-1, 3)
        points = GRID.centre_of(voxels) @ pose[:3, :3].T + pose[:3, 3]
        semantics, instances = np.zeros(len(points), np.uint8), np.zeros(len(points), np.int32)
        things = []
        for number, (lower, upper, category, velocity, thing) in enumerate(self.boxes, 1):
            moved = np.asarray(velocity) * time
            inside = ((points >= np.asarray(lower) + moved) & (points < np.asarray(upper) + moved)).all(1)
            semantics[inside] = category
            if thing and inside.any():
                instances[inside] = number
                things.append(SeenThing(number, category, 0.9))
        occupied = np.where(semantics > 0, occupancy, 1 - occupancy).astype(np.float32)
        confidence = np.full(len(points), occupancy, np.float32)
        arrays = (a.reshape(GRID.shape) for a in (semantics, occupied, confidence, instances))
        return Observation(GRID, SEMANTIC_KITTI, *arrays, things=things)


@pytest.fixture
def world():
    return World


@pytest.fixture
def pose():
    return pose_at


@pytest.fixture
def grid() -> VoxelGrid:
    return GRID


@pytest.fixture
def unknown() -> int:
    return UNKNOWN
