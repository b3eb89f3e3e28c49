"""Submanifold 3³ convolution on aligned 2³ blocks with Winograd's minimal filtering F(2, 3) along each axis.

A block of 2³ outputs needs 4³ inputs. Transformed, that takes 64 products per channel pair where the plain sum takes
216, and gathers 64 inputs instead of 216. It pays where voxels are locally dense, as after a generative upsampling,
where each parent has eight children; scattered voxels waste most of a block.
Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1, applied per axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pasco_core.sparse.coordinates import CoordinateSet
from pasco_core.sparse.gather_gemm import with_zero_row

# Bytes of one chunk's transformed inputs: on a CPU they stay in the caches, with few enough steps not to cost.
CHUNK_BYTES = {"cpu": 4 << 20, "cuda": 256 << 20}
# Products per channel that the transforms of a block's cell, and the gathering of a neighbour, are worth on a CPU.
TRANSFORM_COST, GATHER_COST = 12.0, 12.0
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
        blocks, block_of_row = _blocks_of(coordinates)
        inside = index.cells[:, 1:] & 1
        slot = inside[:, 0] * 4 + inside[:, 1] * 2 + inside[:, 2]
        order = torch.argsort(block_of_row, stable=True)
        steps = torch.arange(-1, 3, device=coordinates.device)
        tile = torch.cartesian_prod(steps, steps, steps)
        inputs = index.rows_at(index.deltas(tile)[:, None] + blocks)
        counts = torch.bincount(block_of_row, minlength=len(blocks))
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return BlockMap(inputs, order, (block_of_row * 8 + slot)[order], starts)

    return coordinates.derive("blocks", make)


def _blocks_of(coordinates: CoordinateSet) -> tuple[Tensor, Tensor]:
    """Keys (B,) of the blocks' lowest cells in raster order, and the block (n,) of each row; kept on the set."""

    def make() -> tuple[Tensor, Tensor]:
        index = coordinates.index
        mask = torch.tensor([-1, -2, -2, -2], device=index.cells.device)
        return torch.unique(((index.cells & mask) * index.steps).sum(1), return_inverse=True)

    return coordinates.derive("blocks of rows", make)


def blocks_pay(coordinates: CoordinateSet, c_in: int, c_out: int) -> bool:
    """Whether blocks are cheaper than gathered neighbourhoods, judged by how full the blocks are.

    In units of one multiply-add per voxel: a block costs 64 products for its voxels, a gathered neighbourhood about as
    many as the voxel has neighbours, which grows with the share of its block that is filled.
    """
    voxels_per_block = len(coordinates) / max(1, len(_blocks_of(coordinates)[0]))
    by_blocks = 64 / voxels_per_block * (c_in * c_out + TRANSFORM_COST * (c_in + c_out))
    neighbours = min(27.0, 2.0 + 3.0 * voxels_per_block)
    by_gathering = neighbours * (c_in * c_out + GATHER_COST * c_in)
    return by_blocks < by_gathering


def transform_kernel(kernel: Tensor) -> Tensor:
    """(64, Cin, Cout) transformed kernel, x slowest, of a (27, Cin, Cout) kernel, x fastest."""
    g = kernel.new_tensor(FILTER_TRANSFORM)
    cube = kernel.view(3, 3, 3, -1).permute(2, 1, 0, 3)
    transformed = torch.einsum("ax,by,cz,xyzf->abcf", g, g, g, cube)
    return transformed.reshape(64, *kernel.shape[1:])


def _transform_axis(tile: Tensor, axis: int) -> Tensor:
    """d0 - d2, d1 + d2, d2 - d1, d1 - d3 along an axis of 4."""
    out = torch.empty_like(tile)
    outer = torch.narrow(tile, axis, 0, 2), torch.narrow(tile, axis, 2, 2)
    torch.sub(*outer, out=out.unfold(axis, 1, 3).squeeze(-1))
    d1, d2 = tile.select(axis, 1), tile.select(axis, 2)
    torch.add(d1, d2, out=out.select(axis, 1))
    torch.sub(d2, d1, out=out.select(axis, 2))
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
