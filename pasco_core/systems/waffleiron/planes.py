"""Points on a 2-D grid: mean per cell and back, as a sorted segment reduction that all blocks of a plane share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# The published weights were trained with a mean that divides by the count plus this.
_COUNT_EPSILON = 1e-6


@dataclass(frozen=True)
class PlaneIndex:
    """Which point lies in which cell of one plane, sorted once; K of the cells are occupied.

    Args:
        shape: (batch, height, width) of the grid.
        segment: (M,) int64, rank of each point's cell among the occupied ones.
        order: (M,) int64, the points ordered by cell.
        starts: (K,) int64, where each occupied cell begins in ``order``.
        occupied: (K,) int64, flat cell of each rank, ascending.
        weight: (K, 1), 1 / (points in the cell + 1e-6).
        coverage: (K,), points in the cell times ``weight``: what the mean of all ones would be.
    """

    shape: tuple[int, int, int]
    segment: Tensor
    order: Tensor
    starts: Tensor
    occupied: Tensor
    weight: Tensor
    coverage: Tensor

    @classmethod
    def build(
        cls, cells: Tensor, grid: tuple[int, int], batch: int = 1, dtype: torch.dtype = torch.float32
    ) -> PlaneIndex:
        """Sort flat cells (M,) of a (height, width) grid; cells of cloud b in a batch start at b * height * width."""
        occupied, segment, counts = torch.unique(cells, return_inverse=True, return_counts=True)
        share = 1.0 / (counts.to(torch.float64) + _COUNT_EPSILON)
        return cls(
            shape=(batch, *grid),
            segment=segment,
            order=torch.argsort(segment, stable=True),
            starts=torch.cumsum(counts, 0) - counts,
            occupied=occupied,
            weight=share.to(dtype)[:, None],
            coverage=(share * counts).to(dtype),
        )

    def segment_sum(self, tokens: Tensor) -> Tensor:
        """Sum (K, C) of the tokens (M, C) of each occupied cell."""
        return _SegmentSum.apply(tokens, self)

    def spread(self, values: Tensor) -> Tensor:
        """Give each point (M, C) the value (K, C) of its cell: the adjoint of ``segment_sum``."""
        return _Spread.apply(values, self)

    def scatter_mean(self, tokens: Tensor) -> Tensor:
        """Mean of the tokens (M, C) per cell as an image (batch, C, height, width), channels last, 0 where empty."""
        return self.image(self.segment_sum(tokens) * self.weight)

    def gather(self, image: Tensor) -> Tensor:
        """Each point's cell (M, C) of an image (batch, C, height, width)."""
        return self.spread(self.occupied_values(image))

    def image(self, values: Tensor) -> Tensor:
        """Put values (K, C) of the occupied cells into a zero image (batch, C, height, width), channels last."""
        batch, height, width = self.shape
        flat = values.new_zeros(batch * height * width, values.shape[1]).index_copy(0, self.occupied, values)
        return flat.view(batch, height, width, -1).permute(0, 3, 1, 2)

    def occupied_values(self, image: Tensor) -> Tensor:
        """Values (K, C) of the occupied cells of an image (batch, C, height, width)."""
        return image.permute(0, 2, 3, 1).reshape(-1, image.shape[1]).index_select(0, self.occupied)


# The two directions are each other's adjoint, so each one's backward is the other: as fast as the forward, and the
# same sum in the same order every time.
class _SegmentSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tokens: Tensor, index: PlaneIndex) -> Tensor:
        ctx.index = index
        return F.embedding_bag(index.order, tokens.contiguous(), index.starts, mode="sum")

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return _Spread.apply(grad, ctx.index), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, index: PlaneIndex) -> Tensor:
        ctx.index = index
        return values.index_select(0, index.segment)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return _SegmentSum.apply(grad, ctx.index), None
