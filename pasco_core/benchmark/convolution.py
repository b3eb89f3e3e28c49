"""The submanifold 3³ convolution beside two plain ways to compute it, in one run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pasco_core.benchmark.machine import Clock, median_seconds
from pasco_core.sparse import SparseTensor, ops
from pasco_core.sparse.gather_gemm import gather_gemm, with_zero_row
from pasco_core.sparse.kernel_map import KernelMap, submanifold_map
from pasco_core.sparse.winograd import block_map, winograd_conv

_PLAIN_CHUNK = 4096


@dataclass(frozen=True)
class ConvolutionTimes:
    """Median seconds of one convolution; the kernel maps exist already in all of them.

    Args:
        name: of the voxel set.
        n_voxels, channels: size of the problem, as many channels out as in.
        pairs_share: present neighbours as a share of 27 per voxel.
        seconds: by method; "ours" is what the network runs, "with maps" the same including index and kernel map.
        difference: largest absolute difference between ours and the per-offset sum.
    """

    name: str
    n_voxels: int
    channels: int
    pairs_share: float
    seconds: dict[str, float]
    difference: float


def measure_convolution(
    name: str, n_voxels: int, channels: int, clock: Clock, device: str = "cpu", repeats: int = 3
) -> ConvolutionTimes:
    """Times every method on "surface" (a scanned terrain) or "children" (eight children per voxel) voxels."""
    coords = {"surface": surface_voxels, "children": children_voxels}[name](n_voxels).to(device)
    generator = torch.Generator().manual_seed(0)
    feats = torch.randn(len(coords), channels, generator=generator).to(device)
    kernel = (torch.randn(27, channels, channels, generator=generator) / (27 * channels) ** 0.5).to(device)
    x = SparseTensor(coords, feats)
    kernel_map = submanifold_map(x.coordinates, 3)
    blocks = block_map(x.coordinates)
    methods = {
        "ours": lambda: ops.submanifold_conv(x, kernel),
        "with maps": lambda: ops.submanifold_conv(SparseTensor(coords, feats), kernel),
        "gather by mask": lambda: gather_gemm(feats, kernel, kernel_map),
        "blocks": lambda: winograd_conv(feats, kernel, blocks),
        "plain chunks": lambda: plain_chunks(feats, kernel, kernel_map),
        "per offset": lambda: per_offset(feats, kernel, kernel_map),
    }
    seconds = {method: median_seconds(work, clock, device, repeats) for method, work in methods.items()}
    difference = (ops.submanifold_conv(x, kernel).feats - per_offset(feats, kernel, kernel_map)).abs().max()
    share = kernel_map.n_pairs / (27 * len(coords))
    return ConvolutionTimes(name, len(coords), channels, share, seconds, float(difference))


def per_offset(feats: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
    """One gather, product and scatter-add per kernel offset."""
    out = feats.new_zeros(kernel_map.n_out, kernel.shape[2])
    for k in range(len(kernel)):
        rows = (kernel_map.table[:, k] < kernel_map.n_in).nonzero().squeeze(1)
        out.index_add_(0, rows, feats[kernel_map.table[rows, k]] @ kernel[k])
    return out


def plain_chunks(feats: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
    """Whole 3³ neighbourhoods of some thousand voxels gathered into one product at a time."""
    padded, weights = with_zero_row(feats), kernel.view(-1, kernel.shape[2])
    rows = kernel_map.table.split(_PLAIN_CHUNK)
    return torch.cat([padded[chunk.reshape(-1)].view(len(chunk), -1) @ weights for chunk in rows])


def surface_voxels(n_voxels: int) -> Tensor:
    """About ``n_voxels`` voxels (N, 4) of a rolling terrain two voxels thick."""
    side = int((n_voxels / 2) ** 0.5)
    terrain = _terrain(side)
    return _with_batch(torch.cat([terrain, terrain + torch.tensor([0, 0, 1])]))


def children_voxels(n_voxels: int) -> Tensor:
    """About ``n_voxels`` voxels (N, 4): the eight children of every voxel of a terrain, as after an upsampling."""
    parents = surface_voxels(n_voxels // 8)[:, 1:]
    offsets = torch.cartesian_prod(*[torch.arange(2)] * 3)
    return _with_batch((2 * parents[:, None] + offsets).view(-1, 3))


def _terrain(side: int) -> Tensor:
    x, y = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    z = (8 + 4 * torch.sin(x / 20) + 4 * torch.cos(y / 15)).long()
    return torch.stack([x, y, z], -1).view(-1, 3)


def _with_batch(voxels: Tensor) -> Tensor:
    return torch.nn.functional.pad(voxels, (1, 0)).to(torch.int32)
