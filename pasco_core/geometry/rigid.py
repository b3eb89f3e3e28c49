"""Rigid transforms as 4×4 matrices, and voxel indices warped by them."""

from __future__ import annotations

import math

import numpy as np

from pasco_core.errors import ConfigError
from pasco_core.geometry.voxel_grid import VoxelGrid


def yaw(degrees: float) -> np.ndarray:
    """4×4 float32 rotation about z, counter-clockwise seen from above."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.eye(4)
    matrix[:2, :2] = [[c, -s], [s, c]]
    return matrix.astype(np.float32)


def mirror_y() -> np.ndarray:
    """4×4 float32 reflection that swaps left and right."""
    return np.diag([1.0, -1.0, 1.0, 1.0]).astype(np.float32)


def check_transform(matrix: np.ndarray, name: str = "transform") -> np.ndarray:
    """The matrix as float32, if it is an affine 4×4 that can be inverted.

    Raises:
        ConfigError: wrong shape, not finite, last row not (0, 0, 0, 1), or singular.
    """
    matrix = np.asarray(matrix, np.float32)
    if matrix.shape != (4, 4):
        raise ConfigError(f"Expected the {name} to be a 4×4 matrix, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ConfigError(f"Expected the {name} to be finite, got {matrix.tolist()}")
    if not np.array_equal(matrix[3], [0, 0, 0, 1]) or abs(np.linalg.det(matrix[:3, :3])) < 1e-6:
        raise ConfigError(f"Expected the {name} to be affine and invertible, got {matrix.tolist()}")
    return matrix


def warp_voxels(voxels: np.ndarray, transform: np.ndarray, grid: VoxelGrid) -> np.ndarray:
    """Voxel indices (N, 3) int32 of the voxel centres after the transform, on the same lattice without bounds.

    Precision follows the original: centres in float64 with a float32 origin, the product and all after it in float32,
    rounding half to even.

    Args:
        voxels: (N, 3) integer indices in ``grid``.
        transform: 4×4 float32, applied to column points in metres.
        grid: the lattice.
    """
    origin = np.asarray(grid.origin, np.float32)
    half = grid.voxel_size / 2
    centres = (voxels * np.float64(grid.voxel_size) + half + origin).astype(np.float32)
    moved = centres @ transform[:3, :3].T + transform[:3, 3]
    return np.rint((moved - origin - np.float32(half)) / np.float32(grid.voxel_size)).astype(np.int32)
