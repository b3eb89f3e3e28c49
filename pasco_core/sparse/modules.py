"""Layers over the sparse operations; they hold weights under MinkowskiEngine's names and shapes, and nothing else."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pasco_core.errors import ConfigError
from pasco_core.sparse.backends import Backend, get_backend
from pasco_core.sparse.tensor import SparseTensor


class _SparseConv(nn.Module):
    def __init__(self, kernel_shape: tuple[int, ...], bias: bool, backend: str):
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(kernel_shape))
        self.bias = nn.Parameter(torch.zeros(1, kernel_shape[-1])) if bias else None
        get_backend(backend)  # what is not there is refused here
        self._backend_name = backend  # a module of Python, as the backend is, would make copies and pickles impossible
        fan_in = math.prod(kernel_shape[:-1])
        nn.init.uniform_(self.kernel, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    @property
    def backend(self) -> Backend:
        return get_backend(self._backend_name)

    def extra_repr(self) -> str:
        return f"kernel {tuple(self.kernel.shape)}"


class SubmanifoldConv3d(_SparseConv):
    """K³ convolution on the input voxels; kernel (K³, Cin, Cout), or (Cin, Cout) for K = 1."""

    def __init__(self, c_in: int, c_out: int, kernel_size: int = 3, bias: bool = False, backend: str = "torch"):
        shape = (c_in, c_out) if kernel_size == 1 else (kernel_size**3, c_in, c_out)
        super().__init__(shape, bias, backend)

    def forward(self, x: SparseTensor, norm: SparseBatchNorm | None = None) -> SparseTensor:
        """(N, Cin) → (N, Cout). A following batch norm in eval mode can be given as ``norm`` and costs nothing."""
        if norm is None or norm.training:
            out = self.backend.submanifold_conv(x, self.kernel, self.bias)
            return out if norm is None else norm(out)
        scale, shift = norm.affine()
        bias = shift if self.bias is None else self.bias * scale + shift
        return self.backend.submanifold_conv(x, self.kernel * scale, bias)


class StridedConv3d(_SparseConv):
    """2³ convolution of stride 2; kernel (8, Cin, Cout)."""

    def __init__(self, c_in: int, c_out: int, backend: str = "torch"):
        super().__init__((8, c_in, c_out), False, backend)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """(N, Cin) at stride s → (N', Cout) at stride 2 s."""
        return self.backend.strided_conv(x, self.kernel)


class GenerativeTransposedConv3d(_SparseConv):
    """2³ transposed convolution of stride 2 that creates all children; kernel (8, Cin, Cout)."""

    def __init__(self, c_in: int, c_out: int, backend: str = "torch"):
        super().__init__((8, c_in, c_out), False, backend)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """(N, Cin) at stride s → (8 N, Cout) at stride s / 2."""
        return self.backend.generative_transposed_conv(x, self.kernel)


def running_affine(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) by which a batch norm's running statistics and weights change a feature.

    Raises:
        ConfigError: it keeps no running statistics.
    """
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ConfigError("Expected the batch norm to keep running statistics, got one that does not")
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return scale, norm.bias - mean * scale


class SparseBatchNorm(nn.Module):
    """Batch norm over the voxels; weights under ``bn`` as MinkowskiEngine keeps them."""

    def __init__(self, channels: int):
        super().__init__()
        self.bn = nn.BatchNorm1d(channels)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (C,) that eval mode applies."""
        return running_affine(self.bn)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """(N, C) → (N, C)."""
        alone = isinstance(self.bn, nn.BatchNorm1d)  # for a synchronised one the other processes wait
        if self.training and alone and x.n_voxels < 2:
            # The batch statistics of fewer than two voxels are undefined: the running ones stand in.
            scale, shift = self.affine()
            return x.with_feats(x.feats * scale + shift)
        return x.with_feats(self.bn(x.feats))


class SparseReLU(nn.Module):
    """(Leaky) ReLU. In place: only for features nothing else reads, such as a convolution's or batch norm's output."""

    def __init__(self, negative_slope: float = 0.0):
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: SparseTensor) -> SparseTensor:
        """(N, C) → (N, C)."""
        if self.negative_slope:
            return x.with_feats(F.leaky_relu(x.feats, self.negative_slope, inplace=True))
        return x.with_feats(F.relu(x.feats, inplace=True))
