"""Sparse tensors beside dense ones, for comparison with PyTorch's dense convolutions."""

from __future__ import annotations

import torch
from torch import Tensor

from pasco_core.sparse import SparseTensor

LOWER = (-4, -6, -2)
SHAPE = (10, 12, 8)


def random_tensor(
    channels: int = 5, share: float = 0.3, stride: int = 1, batch: int = 2, seed: int = 0, dtype=torch.float64
) -> SparseTensor:
    """Voxels at random cells of a box that reaches into negative coordinates."""
    generator = torch.Generator().manual_seed(seed)
    occupied = torch.rand(batch, *SHAPE, generator=generator) < share
    coords = occupied.nonzero()
    coords[:, 1:] = coords[:, 1:] * stride + torch.tensor(LOWER) * stride
    coords = coords[torch.randperm(len(coords), generator=generator)]
    return SparseTensor(coords, torch.randn(len(coords), channels, generator=generator, dtype=dtype), stride)


def dense(x: SparseTensor, lower=LOWER, shape=SHAPE, batch: int = 2) -> Tensor:
    """(batch, C, X, Y, Z), filled voxel by voxel."""
    out = x.feats.new_zeros(batch, x.n_channels, *shape)
    for (b, *xyz), feats in zip(x.coords.tolist(), x.feats):
        place = [(c - low * x.stride) // x.stride for c, low in zip(xyz, lower)]
        out[b, :, place[0], place[1], place[2]] = feats
    return out


def dense_kernel(kernel: Tensor) -> Tensor:
    """(Cout, Cin, X, Y, Z) of a (K³, Cin, Cout) kernel with x fastest."""
    size = round(kernel.shape[0] ** (1 / 3))
    return kernel.view(size, size, size, *kernel.shape[1:]).permute(4, 3, 2, 1, 0)


def at_voxels(grid: Tensor, x: SparseTensor, lower=LOWER) -> Tensor:
    """(N, C): the dense values at the voxels of ``x``."""
    place = torch.div(x.coords[:, 1:] - torch.tensor(lower) * x.stride, x.stride, rounding_mode="floor").long()
    return grid.permute(0, 2, 3, 4, 1)[x.coords[:, 0].long(), place[:, 0], place[:, 1], place[:, 2]]


def sorted_rows(x: SparseTensor) -> tuple[Tensor, Tensor]:
    """Coordinates and features in lexicographic order."""
    order = sorted(range(x.n_voxels), key=lambda i: x.coords[i].tolist())
    return x.coords[order], x.feats[order]
