"""Dense 3D block at stride 8: spreads the scan's information over the whole box."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pasco_core.nn.contiguous_gradient import contiguous_gradient
from pasco_core.sparse import SparseTensor, ops
from pasco_core.systems.pasco.config import BOX_STEP

_A, _B, _C = (3, 3, 1), (5, 5, 3), (7, 7, 5)


def _conv(channels: int, kernel_size: tuple[int, int, int]) -> nn.Sequential:
    x, y, z = kernel_size
    padding = (x // 2, y // 2, z // 2)
    return nn.Sequential(nn.Conv3d(channels, channels, kernel_size, padding=padding, bias=False))


class Bottleneck(nn.Module):
    """Parallel and chained convolutions of three sizes (3·3·1, 5·5·3, 7·7·5) with residual paths, on dense cells.

    Inside, the axes are ordered (z, x, y): the grid is flat (4 cells high), and a convolution whose innermost axis is
    long runs up to three times faster on a CPU. The weights keep the axes (x, y, z) of the authors' files.
    """

    def __init__(self, channels: int):
        super().__init__()
        for name, size in zip(
            ("a_conv1", "a_conv2", "a_conv3", "a_conv4", "a_conv5", "a_conv6", "a_conv7"), (_A, _A, _B, _C, _A, _B, _C)
        ):
            self.add_module(name, _conv(channels, size))
            self.add_module(f"bn_{name[-1]}", nn.BatchNorm3d(channels))
        self.ch_conv1 = _conv(channels, (1, 1, 1))
        self.bn_ch_conv1 = nn.BatchNorm3d(channels)
        for i, size in enumerate((_A, _B, _C), 1):
            self.add_module(f"res_{i}", _conv(channels, size))
            self.add_module(f"bn_res_{i}", nn.BatchNorm3d(channels))

    def _branch(self, conv: str, norm: str, x: Tensor) -> Tensor:
        layer, bn = getattr(self, conv)[0], getattr(self, norm)
        weight = layer.weight.permute(0, 1, 4, 2, 3)
        padding = (layer.padding[2], layer.padding[0], layer.padding[1])
        if self.training:
            return F.relu(contiguous_gradient(bn(F.conv3d(x, weight, padding=padding).contiguous())))
        scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        shift = bn.bias - bn.running_mean * scale
        return F.relu(F.conv3d(x, weight * scale.view(-1, 1, 1, 1, 1), shift, padding=padding), inplace=True)

    def forward_dense(self, x: Tensor) -> Tensor:
        """(1, C, Z, X, Y) → the same shape."""
        x1 = self._branch("a_conv1", "bn_1", x)
        x2 = self._branch("a_conv2", "bn_2", x1)
        x3 = self._branch("a_conv3", "bn_3", x1)
        x4 = self._branch("a_conv4", "bn_4", x1)
        t = x2 + x3 + x4
        x5 = self._branch("a_conv5", "bn_5", t)
        x6 = self._branch("a_conv6", "bn_6", t)
        x7 = self._branch("a_conv7", "bn_7", t)
        y0 = self._branch("ch_conv1", "bn_ch_conv1", x1 + t + x5 + x6 + x7)
        y1 = self._branch("res_1", "bn_res_1", x)
        y2 = self._branch("res_2", "bn_res_2", x)
        y3 = self._branch("res_3", "bn_res_3", x)
        return x1 + y0 + y1 + y2 + y3

    def forward(self, x: SparseTensor, lower: Tensor, upper: Tensor) -> SparseTensor:
        """Every cell of the box becomes a voxel.

        Args:
            x: (N, C) at stride 8.
            lower, upper: (3,) inclusive box in finest-voxel units, ``lower`` a multiple of 8. The box grows upwards to
                hold every voxel; voxels below ``lower`` are left out (the original wrapped them to the far side).
        """
        x = ops.prune(x, (x.coords[:, 1:] >= lower).all(1))
        if x.n_voxels:
            upper = torch.maximum(upper, x.coords[:, 1:].amax(0))
        shape = tuple(((upper - lower) // BOX_STEP + 1).tolist())
        dense = ops.to_dense(x, lower, shape, n_batch=1).permute(0, 1, 4, 2, 3).contiguous()
        return ops.from_dense(self.forward_dense(dense).permute(0, 1, 3, 4, 2), lower, BOX_STEP)
