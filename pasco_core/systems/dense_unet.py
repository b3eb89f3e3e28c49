"""The dense U-Net (Çiçek et al., MICCAI 2016): scan voxels in, class logits of every voxel out; no sparsity, no masks.

Finest voxels are far too many for 3³ convolutions of the usual widths on a CPU, so the U works at strides 2 to 16, and
a head of sixteen channels, PaSCo's width there, brings its result to stride 1 beside the voxels as they were scanned.
Inside, the axes are ordered (z, x, y): the grid is flat, and a convolution whose innermost axis is long is faster.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pasco_core.nn.contiguous_gradient import contiguous_gradient
from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS

IN_CHANNELS = 1 + GEOMETRIC_CHANNELS
"""Occupied or not, and the means of what PaSCo reads of a point: intensity, radius, offset in the voxel, x y z."""

WIDTHS = (32, 64, 128, 196)
"""Channels at strides 2, 4, 8, 16: 7.6 million parameters, as many as the shipped PaSCo network has."""

DEEPEST = 16
"""Shapes must be multiples of the coarsest stride."""

_HEAD = 16
# Metres to numbers of about one: radius, x, y, z as they come reach fifty.
_SCALES = (1.0, 25.0, 0.1, 0.1, 0.1, 25.0, 25.0, 2.0)


class DenseUNet(nn.Module):
    """U-Net over a dense box.

    Args:
        n_classes: 0 is empty.
        widths: channels at strides 2, 4, 8, 16.
        empty_prior: bias of class "empty" in the new heads, as in PaSCo's training.

    >>> logits = DenseUNet(20, widths=(4, 4, 4, 4))(torch.zeros(1, 9, 32, 16, 16))
    >>> {stride: tuple(volume.shape) for stride, volume in logits.items()}
    {4: (1, 20, 8, 4, 4), 2: (1, 20, 16, 8, 8), 1: (1, 20, 32, 16, 16)}
    """

    def __init__(self, n_classes: int, widths: tuple[int, int, int, int] = WIDTHS, empty_prior: float = 0.0):
        super().__init__()
        a, b, c, d = widths
        self.down = nn.ModuleList(_halving(*pair) for pair in ((IN_CHANNELS, a), (a, b), (b, c), (c, d)))
        self.encoder = nn.ModuleList(_Residual(width) for width in widths)
        self.deepest = _Residual(d)
        self.up = nn.ModuleList(_doubling(*pair) for pair in ((d, c), (c, b), (b, a)))
        self.decoder = nn.ModuleList(
            nn.Sequential(_joined(2 * width, width), _joined(width, width)) for width in (c, b, a)
        )
        self.finest = _doubling(a, _HEAD)
        self.joined = _joined(_HEAD + IN_CHANNELS, _HEAD, kernel_size=1)
        self.heads = nn.ModuleList(nn.Conv3d(width, n_classes, 1) for width in (b, a, _HEAD))
        with torch.no_grad():
            for head in self.heads:
                head.bias[0] = empty_prior

    def forward(self, volume: Tensor) -> dict[int, Tensor]:
        """Logits at strides 4, 2 and 1.

        Args:
            volume: (1, 9, Z, X, Y) of ``voxel_features``; sizes are multiples of 16.

        Returns:
            stride → (1, classes, Z/s, X/s, Y/s).
        """
        x, skipped = volume, []
        for down, block in zip(self.down, self.encoder):
            x = block(down(x))
            skipped.append(x)
        x, levels = self.deepest(skipped.pop()), []
        for up, block in zip(self.up, self.decoder):
            x = block(torch.cat([up(x), skipped.pop()], 1))
            levels.append(x)
        levels.append(self.joined(torch.cat([self.finest(x), volume], 1)))
        return {stride: head(level) for stride, head, level in zip((4, 2, 1), self.heads, levels[1:])}


class _Norm(nn.BatchNorm3d):
    """Batch norm whose backward is right on the CPU for batch 1, whatever the gradient's layout."""

    def forward(self, x: Tensor) -> Tensor:
        return contiguous_gradient(super().forward(x.contiguous()))


class _Residual(nn.Module):
    """Two 3³ convolutions around which the input goes on."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = _joined(width, width), nn.Conv3d(width, width, 3, padding=1, bias=False)
        self.norm = _Norm(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


def _joined(inside: int, outside: int, kernel_size: int = 3) -> nn.Sequential:
    convolution = nn.Conv3d(inside, outside, kernel_size, padding=kernel_size // 2, bias=False)
    return nn.Sequential(convolution, _Norm(outside), nn.ReLU())


def _halving(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inside, outside, 2, stride=2, bias=False), _Norm(outside), nn.ReLU())


def _doubling(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose3d(inside, outside, 2, stride=2, bias=False), _Norm(outside), nn.ReLU())


def voxel_features(features: Tensor, voxels: Tensor, lower: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The scan as a dense volume: what PaSCo reads of its points, averaged in each voxel.

    Args:
        features: (P, 8) float32 of ``point_inputs``.
        voxels: (P, 3) int, voxel of each point; points outside of the box are left out.
        lower: (3,) int, first voxel of the box.
        shape: its voxels along x, y, z.

    Returns:
        (1, 9, Z, X, Y) float32; empty voxels are 0.
    """
    cells = voxels.long() - lower.long()
    inside = ((cells >= 0) & (cells < cells.new_tensor(shape))).all(1)
    x, y, z = cells[inside].unbind(1)
    flat = (z * shape[0] + x) * shape[1] + y
    points = torch.cat([features.new_ones(len(flat), 1), features[inside] / features.new_tensor(_SCALES)], 1)
    sums = features.new_zeros(shape[0] * shape[1] * shape[2], IN_CHANNELS).index_add_(0, flat, points)
    counts = sums[:, :1].clone()
    return (sums / counts.clamp(min=1)).T.reshape(1, IN_CHANNELS, shape[2], shape[0], shape[1]).contiguous()
