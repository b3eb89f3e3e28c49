"""The two depthwise convolutions of token mixing for inference: strip by strip, only where there are points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pasco_core.systems.waffleiron.planes import PlaneIndex

# Two 3x3 convolutions look two rows up and down.
_REACH = 2
# A strip of the image stays in the CPU's last-level cache; on a GPU the whole image is one strip.
_CPU_STRIP_BYTES = 5_000_000


@dataclass(frozen=True)
class _Strip:
    """Rows top to bottom (exclusive) of cloud ``batch``, whose occupied cells have the ranks start to stop."""

    batch: int
    top: int
    bottom: int
    start: int
    stop: int
    cells: Tensor


class StripedImage:
    """One plane's image with a border of zeros, reused by every block that works on the plane.

    Args:
        plane: which cells are occupied.
        like: (M, C) tokens; their channels, type and device are the image's.
    """

    def __init__(self, plane: PlaneIndex, like: Tensor):
        batch, height, width = plane.shape
        above = _REACH * (2 * (plane.occupied // (height * width)) + 1)
        self._target = plane.occupied + above * width
        self._image = like.new_zeros(batch, height + 2 * _REACH, width, like.shape[1])
        self._height = height
        self._strips = _strips(plane, self._image)

    def convolve(self, values: Tensor, first: nn.Conv2d, last: nn.Conv2d) -> Tensor:
        """Values (K, C) of the occupied cells after convolution, ReLU, convolution; all other cells start at zero."""
        channels = values.shape[1]
        self._image.view(-1, channels).index_copy_(0, self._target, values)
        result = torch.empty_like(values)
        for strip in self._strips:
            window = self._image[strip.batch, strip.top : strip.bottom + 2 * _REACH].permute(2, 0, 1)[None]
            hidden = F.conv2d(window, first.weight, first.bias, padding=(0, 1), groups=channels).relu_()
            # The second convolution sees zeros outside the image, not what the first one makes of the border.
            if strip.top == 0:
                hidden[:, :, 0] = 0
            if strip.bottom == self._height:
                hidden[:, :, -1] = 0
            mixed = F.conv2d(hidden, last.weight, last.bias, padding=(0, 1), groups=channels)
            rows = mixed[0].permute(1, 2, 0).reshape(-1, channels)
            torch.index_select(rows, 0, strip.cells, out=result[strip.start : strip.stop])
        return result


def _strips(plane: PlaneIndex, image: Tensor) -> list[_Strip]:
    """The strips that hold occupied cells, in order of rank."""
    batch, height, width = plane.shape
    row_bytes = width * image.shape[-1] * image.element_size()
    step = min(height, max(1, _CPU_STRIP_BYTES // row_bytes)) if image.device.type == "cpu" else height
    edges = [(b, top, min(top + step, height)) for b in range(batch) for top in range(0, height, step)]
    first_cells = [(b * height + top) * width for b, top, _ in edges] + [batch * height * width]
    ranks = torch.searchsorted(plane.occupied, torch.tensor(first_cells, device=image.device)).tolist()
    return [
        _Strip(*edge, start, stop, plane.occupied[start:stop] - first_cell)
        for edge, first_cell, start, stop in zip(edges, first_cells, ranks, ranks[1:])
        if start < stop
    ]
