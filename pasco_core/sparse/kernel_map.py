"""Which input voxel meets which output voxel under which kernel offset."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pasco_core.sparse.coordinates import CoordinateSet, unique_rows

# Output voxels per matrix product: on a CPU the gathered patch should stay in the cache, on a GPU launches be few.
CHUNK_ROWS = {"cpu": 2048, "cuda": 65536}


def kernel_offsets(kernel_size: int, device: torch.device | None = None) -> Tensor:
    """Cell offsets (K³, 3) int64 with x fastest: centred for an odd size, from 0 for an even one."""
    steps = torch.arange(kernel_size, device=device) - (kernel_size // 2 if kernel_size % 2 else 0)
    z, y, x = torch.meshgrid(steps, steps, steps, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1), z.reshape(-1)], 1)


@dataclass(frozen=True)
class Chunk:
    """Output rows that are computed in one matrix product.

    Args:
        rows: (R,) int64 output rows.
        offsets: (K',) int64 kernel offsets that any of these rows needs.
        gather: (R * K',) int32 input rows, ``n_in`` for "no voxel".
    """

    rows: Tensor
    offsets: Tensor
    gather: Tensor


class KernelMap:
    """For each output voxel and kernel offset the input row, or ``n_in`` where there is no voxel.

    Args:
        table: (n_out, K) int32.
        n_in: number of input voxels.
    """

    def __init__(self, table: Tensor, n_in: int):
        self.table = table
        self.n_in = n_in
        self._chunks: list[Chunk] | None = None
        self._transposed: KernelMap | None = None

    @property
    def n_out(self) -> int:
        return len(self.table)

    @property
    def n_pairs(self) -> int:
        """Number of (input, output, offset) triples: the useful work of a convolution."""
        return int((self.table < self.n_in).sum())

    @property
    def chunks(self) -> list[Chunk]:
        """The output rows, grouped so that rows which need the same offsets share a product.

        Sorting by the bit mask of present neighbours puts such rows together; a chunk then skips every offset none of
        its rows needs, which leaves little more than the useful work, with no scatter.
        """
        if self._chunks is None:
            self._chunks = self._make_chunks()
        return self._chunks

    def _make_chunks(self) -> list[Chunk]:
        present = self.table < self.n_in
        n_offsets = present.shape[1]
        bits = 1 << (torch.arange(n_offsets, device=present.device) % 62)  # wider kernels share bits: only a grouping
        order = torch.argsort((present * bits).sum(1), stable=True)
        size = CHUNK_ROWS.get(self.table.device.type, 65536)
        blocks = torch.split(order, size)
        needed = torch.stack([present[rows].any(0) for rows in blocks]).cpu()
        chunks = []
        for rows, need in zip(blocks, needed):
            offsets = need.nonzero().squeeze(1).to(rows.device)
            if len(offsets):
                gather = self.table[rows] if len(offsets) == n_offsets else self.table[rows][:, offsets]
                chunks.append(Chunk(rows, offsets, gather.reshape(-1)))
        return chunks

    def transposed(self) -> KernelMap:
        """The map from outputs back to inputs, as the gradient with respect to the input needs it."""
        if self._transposed is None:
            rows = torch.arange(self.n_out, dtype=torch.int32, device=self.table.device)
            table = rows.new_full((self.n_in + 1, self.table.shape[1]), self.n_out)
            table.scatter_(0, self.table.to(torch.int64), rows[:, None].expand_as(self.table))
            self._transposed = KernelMap(table[: self.n_in].contiguous(), self.n_out)
            self._transposed._transposed = self
        return self._transposed


def submanifold_map(coordinates: CoordinateSet, kernel_size: int) -> KernelMap:
    """Map of an odd kernel whose outputs are the inputs; kept on the coordinate set."""

    def make() -> KernelMap:
        if len(coordinates) == 0:
            return KernelMap(torch.zeros((0, kernel_size**3), dtype=torch.int32, device=coordinates.device), 0)
        offsets = kernel_offsets(kernel_size, coordinates.device)
        if kernel_size > 5:
            columns = [_rows_shifted(coordinates, offset) for offset in offsets]
            return KernelMap(torch.stack(columns, 1), len(coordinates))
        index = coordinates.index
        return KernelMap(index.rows_at(index.keys[:, None] + index.deltas(offsets)), len(coordinates))

    return coordinates.derive(("submanifold", kernel_size), make)


def _rows_shifted(coordinates: CoordinateSet, offset: Tensor) -> Tensor:
    # Kernels wider than the index's free margin take the checked look-up.
    shift = torch.cat([offset.new_zeros(1), offset * coordinates.stride])
    rows = coordinates.rows_of(coordinates.coords + shift)
    return torch.where(rows < 0, len(coordinates), rows).to(torch.int32)


def strided_map(coordinates: CoordinateSet) -> tuple[CoordinateSet, KernelMap]:
    """Parents at twice the stride, floor(c / 2s) · 2s, and the map of a 2³ kernel onto them; kept on the set."""

    def make() -> tuple[CoordinateSet, KernelMap]:
        stride = 2 * coordinates.stride
        coords = coordinates.coords.clone()
        coords[:, 1:] = torch.div(coords[:, 1:], stride, rounding_mode="floor") * stride
        if len(coords) == 0:
            empty = torch.zeros((0, 8), dtype=torch.int32, device=coords.device)
            return CoordinateSet(coords, stride), KernelMap(empty, 0)
        out = CoordinateSet(unique_rows(coords)[0], stride)
        index = coordinates.index
        deltas = index.deltas(kernel_offsets(2, coords.device))
        return out, KernelMap(index.rows_at(index.keys_of(out.coords)[:, None] + deltas), len(coords))

    return coordinates.derive("strided", make)
