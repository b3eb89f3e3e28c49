"""The repeated parts of the sparse U-Net: residual block, down-sampling, up-sampling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from pasco_core.sparse import SparseTensor
from pasco_core.sparse.modules import (
    GenerativeTransposedConv3d,
    SparseBatchNorm,
    SparseReLU,
    StridedConv3d,
    SubmanifoldConv3d,
)


class ResidualBlock(nn.Module):
    """Pre-activation residual block with a final ReLU: relu(x + conv(relu(bn(conv(relu(bn(x)))))))."""

    def __init__(self, channels: int, backend: str = "torch"):
        super().__init__()
        self.net = nn.Sequential(
            SparseBatchNorm(channels),
            SparseReLU(),
            SubmanifoldConv3d(channels, channels, backend=backend),
            SparseBatchNorm(channels),
            SparseReLU(),
            SubmanifoldConv3d(channels, channels, backend=backend),
        )

    def forward(self, x: SparseTensor) -> SparseTensor:
        """(N, C) → (N, C) on the same voxels."""
        norm1, relu, conv1, norm2, _, conv2 = self.net
        y = conv2(relu(conv1(relu(norm1(x)), norm=norm2)))
        return x.with_feats(F.relu(y.feats + x.feats, inplace=True))


class _ConvNormLeaky(nn.Module):
    def __init__(self, conv: nn.Module, channels: int):
        super().__init__()
        self.net = nn.Sequential(conv, SparseBatchNorm(channels), SparseReLU(negative_slope=0.01))

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Convolution, batch norm, leaky ReLU."""
        return self.net(x)


def downsample(c_in: int, c_out: int, backend: str = "torch") -> list[nn.Module]:
    """Strided convolution with norm and leaky ReLU, then a second norm with ReLU: stride s → 2 s."""
    conv = StridedConv3d(c_in, c_out, backend)
    return [_ConvNormLeaky(conv, c_out), SparseBatchNorm(c_out), SparseReLU()]


class Upsample(_ConvNormLeaky):
    """Generative transposed convolution with norm and leaky ReLU: stride 2 s → s, eight children per voxel."""

    def __init__(self, c_in: int, c_out: int, backend: str = "torch"):
        super().__init__(GenerativeTransposedConv3d(c_in, c_out, backend), c_out)
