"""The blind spot around a vehicle: directions steeper than the lowest beam that came back on that side."""

from __future__ import annotations

import numpy as np

from pasco_core.data.voxel_labels.accumulate import PosedScan
from pasco_core.geometry import VoxelGrid

_SECTORS = 360


def lowest_beams(points: np.ndarray) -> np.ndarray:
    """Slope (height over horizontal distance) of the lowest point in each of 360 sectors of azimuth.

    Infinite in a sector without points: nothing was seen there.

    Args:
        points: (N, 3) in the sensor's frame, without those of the own car.
    """
    slopes = np.full(_SECTORS, np.inf)
    np.minimum.at(slopes, _sector(points), points[:, 2] / np.maximum(np.hypot(points[:, 0], points[:, 1]), 1e-6))
    return slopes


def in_view(scan: PosedScan, frame: np.ndarray, voxels: np.ndarray, min_range: float, grid: VoxelGrid) -> np.ndarray:
    """Mask (X, Y, Z): those of the ``voxels`` whose centre is not below the scan's lowest beam on that side.

    Args:
        scan: the points, and where they were taken.
        frame: (4, 4) pose of the frame in which the grid lies.
        voxels: (X, Y, Z) bool, which to ask for.
        min_range: radius around the sensor, in metres, within which points belong to the own car.
        grid: the voxels.
    """
    slopes = lowest_beams(scan.points[scan.outside_the_car(min_range)])
    to_scan = np.linalg.inv(scan.pose) @ frame
    asked = np.flatnonzero(voxels)
    centres = grid.centre_of(np.stack(np.unravel_index(asked, grid.shape), axis=1))
    centres = centres @ to_scan[:3, :3].T + to_scan[:3, 3]
    viewed = np.zeros(grid.n_voxels, bool)
    distance = np.hypot(centres[:, 0], centres[:, 1])
    viewed[asked] = centres[:, 2] >= slopes[_sector(centres)] * np.maximum(distance, 1e-6)
    return viewed.reshape(grid.shape)


def _sector(points: np.ndarray) -> np.ndarray:
    """Which sector of azimuth each point (N, 3) lies in."""
    turn = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) % 1.0
    return np.minimum((turn * _SECTORS).astype(np.int64), _SECTORS - 1)
