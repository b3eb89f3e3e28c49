"""Submanifold 3³ convolution on aligned 2³ blocks with Winograd's minimal filtering F(2, 3) along each axis.

A block of 2³ outputs needs 4³ inputs. Transformed, that takes 64 products per channel pair where the plain sum takes 216,
and needs the gathered inputs once instead of 27 times. It pays where voxels are locally dense, as after a generative
upsampling, where each parent has eight children; scattered voxels waste most of a block.
Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1, applied per axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pasco_core.sparse.coordinates import CoordinateSet
from pasco_core.sparse.gather_gemm import with_zero_row

# Bytes of one chunk's transformed inputs: about the second-level caches of two cores; a GPU takes what fills it.
CHUNK_BYTES = {"cpu": 2 << 20, "cuda": 256 << 20}
# How many of the 64 · Cin · Cout products one channel of the transforms is worth; fitted in `pasco bench`.
TRANSFORM_COST = 40.0
FILTER_TRANSFORM = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class BlockMap:
    """The aligned 2³ blocks of a coordinate set.

    Args:
        inputs: (64, B) int32, input row of each cell of the 4³ tile around each block (x slowest), ``n`` for none.
        rows: (n,) int64, voxels in the order of their blocks.
        slots: (n,) int64, where in the (B, 8) block outputs each of ``rows`` is.
        block_starts: (B + 1,) first entry in ``rows`` of each block.
    """

    inputs: Tensor
    rows: Tensor
    slots: Tensor
    block_starts: Tensor

    @property
    def n_blocks(self) -> int:
        return self.inputs.shape[1]


def block_map(coordinates: CoordinateSet) -> BlockMap:
    """The blocks of a coordinate set; kept on it."""

    def make() -> BlockMap:
        index = coordinates.index
        cells = index.cells_of_keys(index.keys)
        origin = cells.clone()
        origin[:, 1:] = origin[:, 1:] // 2 * 2
        inside = cells[:, 1:] - origin[:, 1:]
        slot = inside[:, 0] * 4 + inside[:, 1] * 2 + inside[:, 2]
        blocks, block_of_row = torch.unique((origin * index.steps).sum(1), return_inverse=True)
        order = torch.argsort(block_of_row, stable=True)
        steps = torch.arange(-1, 3, device=coordinates.device)
        tile = torch.cartesian_prod(steps, steps, steps)
        inputs = index.rows_at(index.deltas(tile)[:, None] + blocks)
        counts = torch.bincount(block_of_row, minlength=len(blocks))
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return BlockMap(inputs, order, (block_of_row * 8 + slot)[order], starts)

    return coordinates.derive("blocks", make)


def transform_kernel(kernel: Tensor) -> Tensor:
    """(64, Cin, Cout) transformed kernel, x slowest, of a (27, Cin, Cout) kernel, x fastest."""
    g = kernel.new_tensor(FILTER_TRANSFORM)
    cube = kernel.view(3, 3, 3, -1).permute(2, 1, 0, 3)
    transformed = torch.einsum("ax,by,cz,xyzf->abcf", g, g, g, cube)
    return transformed.reshape(64, *kernel.shape[1:])


def _transform_axis(tile: Tensor, axis: int) -> Tensor:
    d0, d1, d2, d3 = tile.unbind(axis)
    out = torch.empty_like(tile)
    o0, o1, o2, o3 = out.unbind(axis)
    torch.sub(d0, d2, out=o0)
    torch.add(d1, d2, out=o1)
    torch.sub(d2, d1, out=o2)
    torch.sub(d1, d3, out=o3)
    return out


def _inverse_axis(tile: Tensor, axis: int) -> Tensor:
    m0, m1, m2, m3 = tile.unbind(axis)
    shape = list(tile.shape)
    shape[axis] = 2
    out = tile.new_empty(shape)
    low, high = out.unbind(axis)
    torch.add(m0, m1, out=low).add_(m2)
    torch.sub(m1, m2, out=high).sub_(m3)
    return out


def winograd_conv(feats: Tensor, kernel: Tensor, blocks: BlockMap) -> Tensor:
    """Submanifold 3³ convolution of features (n, Cin) with a kernel (27, Cin, Cout): (n, Cout)."""
    c_in, c_out = kernel.shape[1:]
    weights = transform_kernel(kernel)
    padded = with_zero_row(feats)
    out = feats.new_empty(len(feats), c_out)
    budget = CHUNK_BYTES.get(feats.device.type, CHUNK_BYTES["cuda"])
    size = max(16, budget // (64 * max(c_in, c_out) * feats.element_size()))
    starts = blocks.block_starts[::size].tolist()
    starts = [*starts, len(feats)] if blocks.n_blocks % size or blocks.n_blocks == 0 else starts
    for i, begin in enumerate(range(0, blocks.n_blocks, size)):
        inputs = blocks.inputs[:, begin : begin + size]
        n = inputs.shape[1]
        tile = padded.index_select(0, inputs.reshape(-1)).view(4, 4, 4, n * c_in)
        for axis in range(3):
            tile = _transform_axis(tile, axis)
        tile = torch.bmm(tile.view(64, n, c_in), weights).view(4, 4, 4, n * c_out)
        for axis in (0, 1, 2):
            tile = _inverse_axis(tile, axis)
        part = slice(starts[i], starts[i + 1])
        slots = blocks.slots[part] - begin * 8
        flat = tile.view(8 * n, c_out)
        out.index_copy_(0, blocks.rows[part], flat.index_select(0, slots % 8 * n + slots // 8))
    return out
