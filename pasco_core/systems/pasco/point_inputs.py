"""A scan's points as the network wants them: features per point, and the voxel of each point in every subnet's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pasco_core.geometry import VoxelGrid
from pasco_core.geometry.rigid import warp_voxels

GEOMETRIC_CHANNELS = 8


@dataclass(frozen=True)
class PointInputs:
    """Points inside the grid.

    Args:
        features: (P, C_in) float32.
        voxels: (P, 3) int32, voxel of each point in the grid.
        inside: (N,) bool, which points of the scan these are.
    """

    features: Tensor
    voxels: np.ndarray
    inside: np.ndarray


def point_inputs(points: np.ndarray, grid: VoxelGrid, semantic: tuple[Tensor, Tensor] | None = None) -> PointInputs:
    """Features and voxels of the points inside the grid.

    Args:
        points: (N, 4) float32, x y z in metres and intensity.
        grid: the scene's grid.
        semantic: WaffleIron's class probabilities (N, 19) and embedding (N, width) of every point, for the networks
            that read them.

    Returns:
        Features in the order [probabilities], intensity, radius, [embedding], offset from the voxel's centre (3), xyz.
    """
    inside = grid.contains(points[:, :3])
    kept = points[inside]
    xyz = kept[:, :3].astype(np.float64)
    voxels = grid.voxel_of(xyz)
    radius = np.linalg.norm(xyz, axis=1, keepdims=True)
    own = torch.from_numpy(np.concatenate([kept[:, 3:], radius], 1).astype(np.float32))
    place = torch.from_numpy(np.concatenate([xyz - grid.centre_of(voxels), xyz], 1).astype(np.float32))
    if semantic is None:
        return PointInputs(torch.cat([own, place], 1), voxels, inside)
    mask = torch.from_numpy(inside)
    probabilities, embedding = (tensor.float().cpu()[mask] for tensor in semantic)
    return PointInputs(torch.cat([probabilities, own, embedding, place], 1), voxels, inside)


def select_points(inputs: PointInputs, keep: np.ndarray) -> PointInputs:
    """Those of the points (P,) for which the mask ``keep`` is true."""
    inside = inputs.inside.copy()
    inside[inside] = keep
    return PointInputs(inputs.features[torch.from_numpy(keep)], inputs.voxels[keep], inside)


def subnet_voxels(voxels: np.ndarray, transforms: Sequence[np.ndarray], grid: VoxelGrid) -> list[Tensor]:
    """Voxel (P, 3) int32 of each point in every subnet's grid: its voxel is warped, not the point itself."""
    return [torch.from_numpy(warp_voxels(voxels, transform, grid)) for transform in transforms]
