"""Sparse encoder: merged subnets in, features at strides 1, 2, 4 and 8 out."""

from __future__ import annotations

from torch import nn

from pasco_core.sparse import SparseTensor
from pasco_core.sparse.modules import SubmanifoldConv3d
from pasco_core.systems.pasco.blocks import ResidualBlock, downsample
from pasco_core.systems.pasco.config import PaSCoConfig


class Encoder(nn.Module):
    """Four levels of widths f, 2f, 4f, 4f.

    The light network refines every level with three residual blocks; the heavy one only down-samples here and spends
    its weights in the decoder.
    """

    def __init__(self, config: PaSCoConfig, backend: str = "torch"):
        super().__init__()
        f1, f2, f4, f8 = config.widths
        self.enc_in_feats = SubmanifoldConv3d(config.n_subnets * f1, f1, kernel_size=1, backend=backend)
        self.s1 = self._level([], f1, config, backend)
        self.s1s2 = self._level(downsample(f1, f2, backend), f2, config, backend)
        self.s2s4 = self._level(downsample(f2, f4, backend), f4, config, backend)
        self.s4s8 = self._level(downsample(f4, f8, backend), f8, config, backend)

    @staticmethod
    def _level(down: list[nn.Module], width: int, config: PaSCoConfig, backend: str) -> nn.Sequential:
        n_blocks = 0 if config.heavy else 3
        return nn.Sequential(*down, *(ResidualBlock(width, backend) for _ in range(n_blocks)))

    def forward(self, merged: SparseTensor) -> dict[int, SparseTensor]:
        """(N, n · f) at stride 1 → stride → features, for strides 1, 2, 4, 8."""
        levels = {1: self.s1(self.enc_in_feats(merged))}
        for stride, level in ((2, self.s1s2), (4, self.s2s4), (8, self.s4s8)):
            levels[stride] = level(levels[stride // 2])
        return levels
