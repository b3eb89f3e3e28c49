"""The two elementary layers on tokens (M, C), with weights in the shapes of the authors' checkpoints."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pointwise(nn.Module):
    """A linear layer per row whose weight keeps the trailing unit axes of a 1x1 convolution.

    Args:
        inputs: columns of the input (M, inputs).
        outputs: columns of the output (M, outputs).
        bias: whether there is one.
        unit_axes: trailing axes of size 1 of the weight: 1 for a former Conv1d, 2 for a Conv2d.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, unit_axes: int = 1):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *(1,) * unit_axes))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(inputs)
            nn.init.uniform_(self.bias, -bound, bound)

    @property
    def matrix(self) -> Tensor:
        """The weight as (outputs, inputs)."""
        return self.weight.flatten(1)

    def forward(self, rows: Tensor) -> Tensor:
        return F.linear(rows, self.matrix, self.bias)


class ChannelScale(nn.Module):
    """One learned factor per channel, stored as (channels, 1, 1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, rows: Tensor) -> Tensor:
        return rows * self.weight.flatten()
