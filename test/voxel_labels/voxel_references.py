"""Slow, plain versions of what the voxel label tools compute, and small drives to run them on."""

from __future__ import annotations

from collections import deque
from itertools import product
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.calibration import Calibration, write_poses
from pasco_core.geometry import VoxelGrid

SMALL_GRID = VoxelGrid(origin=(-1.0, -2.0, -0.5), voxel_size=0.5, shape=(14, 12, 8))


def flood_fill(semantics: np.ndarray, thing_ids: set[int], min_voxels: int) -> tuple[np.ndarray, np.ndarray]:
    """Semantics and instances by a breadth-first search from every voxel in raster order, class by class."""
    semantics, instances, n = semantics.copy(), np.zeros(semantics.shape, np.int64), 0
    source = semantics.copy()
    for category in sorted(thing_ids):
        visited: set[tuple[int, ...]] = set()
        for seed in product(*map(range, semantics.shape)):
            if source[seed] != category or seed in visited:
                continue
            component, queue = [], deque([seed])
            visited.add(seed)
            while queue:
                voxel = queue.popleft()
                component.append(voxel)
                for step in product((-1, 0, 1), repeat=3):
                    near = tuple(v + s for v, s in zip(voxel, step))
                    inside = all(0 <= v < size for v, size in zip(near, semantics.shape))
                    if inside and near not in visited and source[near] == category:
                        visited.add(near)
                        queue.append(near)
            n += len(component) >= min_voxels
            for voxel in component:
                if len(component) >= min_voxels:
                    instances[voxel] = n
                else:
                    semantics[voxel] = 255
    return semantics, instances


def boxes_on_segment(
    start: np.ndarray, end: np.ndarray, voxels: np.ndarray, grid: VoxelGrid, grow: float = -1e-9
) -> np.ndarray:
    """Mask of the ``voxels`` (N, 3) that the segment between two points in metres meets, by slab tests.

    ``grow`` metres on each side: a little below 0 leaves out voxels that are only touched, a little above adds them.
    """
    low = np.asarray(grid.origin) + voxels * grid.voxel_size
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = (low - grow - start) / (end - start), (low + grid.voxel_size + grow - start) / (end - start)
    enters, leaves = np.fmin(near, far).max(axis=1), np.fmax(near, far).min(axis=1)
    return np.maximum(enters, 0) < np.minimum(leaves, 1)


def all_voxels(grid: VoxelGrid) -> np.ndarray:
    """(N, 3) indices of every voxel in raster order."""
    return np.stack(np.unravel_index(np.arange(grid.n_voxels), grid.shape), axis=1)


def write_drive(
    root: Path, scans: dict[int, tuple[np.ndarray, np.ndarray]], poses: np.ndarray, sequence: str = "00"
) -> Path:
    """A sequence in SemanticKITTI's layout from scan number → (points (N, 3), raw ids (N,)), with LiDAR poses."""
    folder = root / "sequences" / sequence
    for name in ("velodyne", "labels"):
        (folder / name).mkdir(parents=True)
    for index, (points, raw) in scans.items():
        rows = np.hstack([points, np.full((len(points), 1), 0.5)]).astype("<f4")
        rows.tofile(folder / "velodyne" / f"{index:06d}.bin")
        raw.astype("<u4").tofile(folder / "labels" / f"{index:06d}.label")
    axes = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float64)  # camera: z forward
    calibration = Calibration(axes, np.eye(3, 4))
    calibration.write(folder / "calib.txt")
    write_poses(folder / "poses.txt", poses, calibration)
    return root


def forward_poses(count: int, step: float = 1.0) -> np.ndarray:
    """(count, 4, 4): one more ``step`` metres forward each."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = step * np.arange(count)
    return poses
