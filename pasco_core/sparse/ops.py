"""Operations on sparse tensors: pure functions, forward and backward, on any device.

Kernels have MinkowskiEngine's layout (K³, Cin, Cout) with the x offset fastest; outputs are cross-correlations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pasco_core.errors import DataError
from pasco_core.sparse.coordinates import CoordinateSet
from pasco_core.sparse.gather_gemm import gather_gemm, kernel_gradient
from pasco_core.sparse.kernel_map import KernelMap, kernel_offsets, strided_map, submanifold_map
from pasco_core.sparse.tensor import SparseTensor
from pasco_core.sparse.winograd import block_map, blocks_pay, winograd_conv


def submanifold_conv(x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor:
    """Convolution whose outputs are at the input voxels: out(u) = Σ_k kernel[k]ᵀ · x(u + offset_k · stride).

    Args:
        x: (N, Cin).
        kernel: (K³, Cin, Cout), K odd; or (Cin, Cout) for K = 1.
        bias: (Cout,) or (1, Cout).

    Returns:
        (N, Cout) on the same coordinate set.
    """
    if kernel.ndim == 2:
        return pointwise_conv(x, kernel, bias)
    size = _kernel_size(kernel, x, odd=True)
    feats = _SubmanifoldConv.apply(x.feats, kernel, x.coordinates, size)
    return x.with_feats(feats if bias is None else feats + bias)


def pointwise_conv(x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor:
    """1×1×1 convolution with a (Cin, Cout) kernel."""
    feats = x.feats @ kernel
    return x.with_feats(feats if bias is None else feats + bias)


def strided_conv(x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor:
    """Convolution of size 2 and stride 2 onto the parents floor(u / 2s) · 2s: (N, Cin) → (N', Cout), stride doubled."""
    _kernel_size(kernel, x, odd=False)
    parents, kernel_map = strided_map(x.coordinates)
    feats = _MappedConv.apply(x.feats, kernel, kernel_map)
    return SparseTensor(parents, feats if bias is None else feats + bias)


def generative_transposed_conv(x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor:
    """Transposed convolution of size 2 and stride 2 that makes all 8 children: (N, Cin) → (8 N, Cout), stride halved.

    The children of a voxel are consecutive rows in kernel order (x fastest).
    """
    _kernel_size(kernel, x, odd=False)
    if x.stride % 2:
        raise DataError(f"Expected the stride to be even before a transposed convolution, got {x.stride}")
    c_in, c_out = kernel.shape[1:]
    feats = (x.feats @ kernel.permute(1, 0, 2).reshape(c_in, 8 * c_out)).view(-1, c_out)
    return SparseTensor(children(x.coordinates), feats if bias is None else feats + bias)


def children(coordinates: CoordinateSet) -> CoordinateSet:
    """The 8 voxels at half the stride that each voxel holds, consecutive and with x fastest; kept on the set."""

    def make() -> CoordinateSet:
        stride = coordinates.stride // 2
        offsets = torch.nn.functional.pad(kernel_offsets(2, coordinates.device) * stride, (1, 0)).to(torch.int32)
        return CoordinateSet((coordinates.coords[:, None] + offsets).view(-1, 4), stride)

    return coordinates.derive("children", make)


def union_add(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    """Sum over the union of two voxel sets, absent voxels counting as zero; the rows of ``a`` come first."""
    if a.stride != b.stride or a.n_channels != b.n_channels:
        raise DataError(
            f"Expected both tensors to have one stride and width, got {a.stride} and {b.stride}, "
            f"{a.n_channels} and {b.n_channels}"
        )
    if a.coordinates is b.coordinates:
        return a.with_feats(a.feats + b.feats)
    rows = a.coordinates.rows_of(b.coords)
    shared, only_b = rows >= 0, rows < 0
    feats = torch.cat([a.feats, b.feats[only_b]])
    feats = feats.index_add(0, rows[shared], b.feats[shared])
    if not bool(only_b.any()):
        return a.with_feats(feats)
    return SparseTensor(CoordinateSet(torch.cat([a.coords, b.coords[only_b]]), a.stride), feats)


def prune(x: SparseTensor, keep: Tensor) -> SparseTensor:
    """The voxels where ``keep`` (N,) bool is true, in their order."""
    if keep.shape != (x.n_voxels,) or keep.dtype != torch.bool:
        raise DataError(
            f"Expected keep to be a bool mask of shape ({x.n_voxels},), got {tuple(keep.shape)} {keep.dtype}"
        )
    rows = keep.nonzero().squeeze(1)
    return x if len(rows) == x.n_voxels else take(x, rows)


def take(x: SparseTensor, rows: Tensor) -> SparseTensor:
    """The voxels at ``rows`` (M,) int64, in that order."""
    return SparseTensor(CoordinateSet(x.coords[rows], x.stride), x.feats.index_select(0, rows))


def crop(x: SparseTensor, lower: Tensor, upper: Tensor) -> SparseTensor:
    """The voxels with ``lower`` <= coordinate <= ``upper`` (3,) in each axis."""
    spatial = x.coords[:, 1:]
    return prune(x, ((spatial >= lower) & (spatial <= upper)).all(1))


def global_pool(x: SparseTensor, mode: str = "mean") -> Tensor:
    """Mean, sum or maximum over the voxels of each batch item: (batch, C); a batch item without voxels gives 0."""
    batch = x.coords[:, 0].to(torch.int64)
    n_batch = int(batch.max()) + 1 if x.n_voxels else 0
    pooled = x.feats.new_zeros(n_batch, x.n_channels)
    if mode == "max":
        index = batch[:, None].expand_as(x.feats)
        return pooled.scatter_reduce(0, index, x.feats, "amax", include_self=False)
    pooled = pooled.index_add(0, batch, x.feats)
    if mode == "sum":
        return pooled
    if mode == "mean":
        return pooled / torch.bincount(batch, minlength=n_batch).clamp(min=1)[:, None]
    raise DataError(f"Expected the pooling mode to be mean, sum or max, got {mode!r}")


def broadcast(x: SparseTensor, values: Tensor) -> SparseTensor:
    """One row of ``values`` (batch, C) to every voxel of its batch item."""
    return x.with_feats(values.index_select(0, x.coords[:, 0].to(torch.int64)))


def to_dense(x: SparseTensor, lower: Tensor, shape: tuple[int, int, int], n_batch: int | None = None) -> Tensor:
    """Dense (batch, C, X, Y, Z), zero where there is no voxel.

    Args:
        x: the voxels.
        lower: (3,) coordinate of cell (0, 0, 0), in finest-voxel units.
        shape: cells along x, y, z at the tensor's stride.
        n_batch: batch size; default: the largest batch index + 1.

    Raises:
        DataError: a voxel lies outside.
    """
    if n_batch is None:
        n_batch = int(x.coords[:, 0].max()) + 1 if x.n_voxels else 1
    cells = torch.div(x.coords[:, 1:] - lower, x.stride, rounding_mode="floor").to(torch.int64)
    if bool(((cells < 0) | (cells >= cells.new_tensor(shape))).any()):
        raise DataError(f"Expected every voxel to lie in the {shape} cells from {lower.tolist()}, got some outside")
    batch = x.coords[:, 0].to(torch.int64)
    flat = ((batch * shape[0] + cells[:, 0]) * shape[1] + cells[:, 1]) * shape[2] + cells[:, 2]
    dense = x.feats.new_zeros(n_batch * shape[0] * shape[1] * shape[2], x.n_channels).index_copy(0, flat, x.feats)
    return dense.view(n_batch, *shape, -1).permute(0, 4, 1, 2, 3)


def from_dense(dense: Tensor, lower: Tensor, stride: int = 1) -> SparseTensor:
    """Every cell of (batch, C, X, Y, Z) with a non-zero feature becomes a voxel, in raster order (z fastest)."""
    cells = dense.permute(0, 2, 3, 4, 1)
    place = (cells != 0).any(-1).nonzero()
    feats = cells[tuple(place.T)]
    coords = place.clone()
    coords[:, 1:] = place[:, 1:] * stride + lower.to(place.device)
    return SparseTensor(CoordinateSet(coords, stride), feats)


def _kernel_size(kernel: Tensor, x: SparseTensor, odd: bool) -> int:
    size = round(kernel.shape[0] ** (1 / 3)) if kernel.ndim == 3 else 0
    if kernel.ndim != 3 or size**3 != kernel.shape[0] or kernel.shape[1] != x.n_channels or (size % 2 == 1) != odd:
        rule = "odd" if odd else "even"
        raise DataError(
            f"Expected a kernel of shape (K³, {x.n_channels}, Cout) with K {rule}, got {tuple(kernel.shape)}"
        )
    if not odd and size != 2:
        raise DataError(f"Expected a kernel of size 2 for stride 2, got {size}")
    return size


def _convolve(feats: Tensor, kernel: Tensor, coordinates: CoordinateSet, size: int) -> Tensor:
    """The submanifold convolution by the cheaper algorithm."""
    if size == 3 and len(coordinates) and blocks_pay(coordinates, *kernel.shape[1:]):
        return winograd_conv(feats, kernel, block_map(coordinates))
    return gather_gemm(feats, kernel, submanifold_map(coordinates, size))


class _SubmanifoldConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, feats: Tensor, kernel: Tensor, coordinates: CoordinateSet, size: int) -> Tensor:
        ctx.save_for_backward(feats, kernel)
        ctx.coordinates, ctx.size = coordinates, size
        return _convolve(feats, kernel, coordinates, size)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        feats, kernel = ctx.saved_tensors
        grad_out = grad_out.contiguous()
        grad_feats = grad_kernel = None
        if ctx.needs_input_grad[0]:
            # The outputs are the inputs: the transposed convolution is one with the offsets mirrored.
            mirrored = kernel.flip(0).transpose(1, 2).contiguous()
            grad_feats = _convolve(grad_out, mirrored, ctx.coordinates, ctx.size)
        if ctx.needs_input_grad[1]:
            grad_kernel = kernel_gradient(feats, grad_out, submanifold_map(ctx.coordinates, ctx.size))
        return grad_feats, grad_kernel, None, None


class _MappedConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, feats: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
        ctx.save_for_backward(feats, kernel)
        ctx.kernel_map = kernel_map
        return gather_gemm(feats, kernel, kernel_map)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        feats, kernel = ctx.saved_tensors
        grad_out = grad_out.contiguous()
        grad_feats = grad_kernel = None
        if ctx.needs_input_grad[0]:
            grad_feats = gather_gemm(grad_out, kernel.transpose(1, 2).contiguous(), ctx.kernel_map.transposed())
        if ctx.needs_input_grad[1]:
            grad_kernel = kernel_gradient(feats, grad_out, ctx.kernel_map)
        return grad_feats, grad_kernel, None
