"""The rigid transform of each subnet: the same scan seen n ways is what makes the ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pasco_core.errors import ConfigError
from pasco_core.geometry import VoxelGrid
from pasco_core.geometry.rigid import check_transform, mirror_y, warp_voxels, yaw
from pasco_core.systems.pasco.config import BOX_STEP
from pasco_core.systems.pasco.effort import Box

# A mirror maps voxel centres onto voxel centres; the small yaws keep nearly all of the grid in view.
_FIXED = (np.eye(4, dtype=np.float32), mirror_y(), yaw(5.0), yaw(-5.0))
_TURNED = (np.eye(4, dtype=np.float32), yaw(1.0), yaw(-1.0), yaw(2.0))
_NEAR = 5.0  # degrees


def fixed_transforms(n_subnets: int, mirrored: bool = True) -> list[np.ndarray]:
    """The deterministic default: identity, left-right mirror, yaw +5°, yaw -5°; the first n of them.

    Args:
        n_subnets: how many.
        mirrored: False for networks that take no mirrored views: identity, yaw +1°, -1°, +2°.
    """
    return [matrix.copy() for matrix in (_FIXED if mirrored else _TURNED)[:n_subnets]]


def random_transforms(
    n_subnets: int, rng: np.random.Generator, max_angle: float = 30.0, max_shift: float = 0.2
) -> list[np.ndarray]:
    """The original's test-time augmentation: mirror in half of the cases, then yaw and shift.

    Args:
        n_subnets: how many.
        rng: source of randomness.
        max_angle: yaw is uniform in ±max_angle degrees (published: 30 for SemanticKITTI, 10 for KITTI-360).
        max_shift: the shift is uniform in ±(1.5, 1.5, 1) · max_shift metres.
    """
    return [_random_transform(rng, max_angle, max_shift) for _ in range(n_subnets)]


def random_near_transforms(
    n_subnets: int, rng: np.random.Generator, max_angle: float, max_shift: float
) -> list[np.ndarray]:
    """Views of one scan for networks that take no mirrored views: one random view, turned a little for each subnet.

    Args:
        n_subnets: how many.
        rng: source of randomness.
        max_angle, max_shift: of the common view, as for ``random_transforms``; each subnet adds up to ±5 degrees.
    """
    common = _random_transform(rng, max_angle, max_shift)
    return [yaw((rng.random() - 0.5) * 2 * _NEAR) @ common for _ in range(n_subnets)]


def _random_transform(rng: np.random.Generator, max_angle: float, max_shift: float) -> np.ndarray:
    shift = (rng.random(3) - 0.5) * np.array([3.0, 3.0, 2.0]) * max_shift
    turn = yaw((rng.random() - 0.5) * 2 * max_angle)
    turn[:3, 3] = shift
    return turn @ mirror_y() if rng.random() > 0.5 else turn


def check_transforms(transforms: Sequence[np.ndarray], n_subnets: int) -> list[np.ndarray]:
    """The transforms as float32 matrices, one per subnet.

    Raises:
        ConfigError: another number of them, or one that is no affine 4×4.
    """
    if not isinstance(transforms, Sequence | np.ndarray) or len(transforms) != n_subnets:
        n = len(transforms) if hasattr(transforms, "__len__") else repr(transforms)
        raise ConfigError(f"Expected {n_subnets} transforms, one per subnet, got {n}")
    return [check_transform(matrix, f"transform of subnet {i}") for i, matrix in enumerate(transforms)]


@dataclass(frozen=True)
class GridWarp:
    """A whole grid seen through one subnet's transform.

    Args:
        transform: 4×4 float32.
        grid: the scene's grid.
        box_min, box_max: (3,) int32 inclusive bounds of the warped grid, box_min floored to multiples of 8: the box the
            network works in, which needs no labels.
        cells: (V,) int64 tensor, for each voxel of the grid in raster order its flat place in that box.
        voxels: (V,) int64 tensor, the ascending flat indices of those voxels where they are a part of the grid; None:
            all of it.
    """

    transform: np.ndarray
    grid: VoxelGrid
    box_min: np.ndarray
    box_max: np.ndarray
    cells: torch.Tensor
    voxels: torch.Tensor | None = None

    @classmethod
    def of(cls, transform: np.ndarray, grid: VoxelGrid, box: Box | None = None) -> GridWarp:
        """Warps every voxel of the grid, or of a box in it."""
        if any(size % BOX_STEP for size in grid.shape):
            raise ConfigError(f"Expected the grid's shape to be multiples of {BOX_STEP}, got {grid.shape}")
        flat = np.arange(grid.n_voxels) if box is None else _flat_indices(grid, box)
        voxels = np.stack(np.unravel_index(flat, grid.shape), 1)
        warped = warp_voxels(voxels, transform, grid)
        box_min, box_max = warped.min(0) // BOX_STEP * BOX_STEP, warped.max(0)
        cells = np.ravel_multi_index(tuple((warped - box_min).T), tuple(box_max - box_min + 1))
        part = None if box is None else torch.from_numpy(flat)
        return cls(transform, grid, box_min, box_max, torch.from_numpy(cells), part)

    def to(self, device: torch.device) -> GridWarp:
        """The same with its tensors on another device."""
        part = None if self.voxels is None else self.voxels.to(device)
        return replace(self, cells=self.cells.to(device), voxels=part)

    @property
    def box_shape(self) -> tuple[int, int, int]:
        x, y, z = (self.box_max - self.box_min + 1).tolist()
        return x, y, z


def _flat_indices(grid: VoxelGrid, box: Box) -> np.ndarray:
    """Ascending flat indices of the voxels in a box."""
    (x0, y0, z0), (x1, y1, z1) = box
    return np.arange(grid.n_voxels).reshape(grid.shape)[x0:x1, y0:y1, z0:z1].reshape(-1)
