"""Points to voxels: an MLP per point, the maximum per voxel, and the merge of all subnets into one input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pasco_core.errors import DataError
from pasco_core.sparse import SparseTensor
from pasco_core.sparse.coordinates import unique_rows
from pasco_core.systems.pasco.config import PaSCoConfig


class PointEncoder(nn.Module):
    """Per-point MLP and channel-wise maximum over the points of each voxel (weights ``feat.PPmodel``)."""

    def __init__(self, config: PaSCoConfig):
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(config.in_channels)]
        c_in = config.in_channels
        for channels in config.point_channels:
            layers += [nn.Linear(c_in, channels), nn.BatchNorm1d(channels), nn.ReLU(inplace=True)]
            c_in = channels
        self.PPmodel = nn.Sequential(*layers, nn.Linear(c_in, config.width))
        self.width = config.width

    def forward(self, point_features: list[Tensor], voxel_coords: list[Tensor]) -> SparseTensor:
        """Merged voxels of all subnets.

        Args:
            point_features: per subnet (P_i, C_in).
            voxel_coords: per subnet (P_i, 3) int, the voxel of each point.

        Returns:
            (N, n · width) at stride 1, batch 0: the union of the subnets' voxels in raster order, the subnets'
            channels side by side, zero where a subnet has no voxel.
        """
        # Subnets that see the same points share the MLP's work; while training they differ.
        shared = all(features is point_features[0] for features in point_features)
        encoded = self.PPmodel(point_features[0] if shared else torch.cat(point_features))
        parts = [encoded] * len(point_features) if shared else encoded.split([len(f) for f in point_features])
        voxels, voxel_of_point = unique_rows(torch.cat(voxel_coords))
        of_subnet = voxel_of_point.split([len(c) for c in voxel_coords])
        merged = [self._pool(part, index, len(voxels)) for part, index in zip(parts, of_subnet)]
        coords = torch.nn.functional.pad(voxels.to(torch.int32), (1, 0))
        return SparseTensor(coords, torch.cat(merged, 1))

    @staticmethod
    def _pool(values: Tensor, index: Tensor, n_voxels: int) -> Tensor:
        pooled = values.new_zeros(n_voxels, values.shape[1])
        return pooled.scatter_reduce(0, index[:, None].expand_as(values), values, "amax", include_self=False)


def check_subnet_points(point_features: list[Tensor], voxel_coords: list[Tensor], config: PaSCoConfig) -> None:
    """Raises DataError unless there is one pair of matching tensors for each subnet."""
    n = config.n_subnets
    if len(point_features) != n or len(voxel_coords) != n:
        raise DataError(
            f"Expected point features and voxel coordinates for {n} subnets, "
            f"got {len(point_features)} and {len(voxel_coords)}"
        )
    for i, (features, coords) in enumerate(zip(point_features, voxel_coords)):
        if features.ndim != 2 or features.shape[1] != config.in_channels:
            raise DataError(
                f"Expected point features of subnet {i} to be (P, {config.in_channels}), got {tuple(features.shape)}"
            )
        if coords.shape != (len(features), 3) or coords.dtype.is_floating_point:
            raise DataError(
                f"Expected voxel coordinates of subnet {i} to be integers ({len(features)}, 3), "
                f"got {coords.dtype} {tuple(coords.shape)}"
            )
