"""Guards a layer against gradients that arrive as transposed views."""

from __future__ import annotations

import torch
from torch import Tensor


class _ContiguousGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad.contiguous()


def contiguous_gradient(x: Tensor) -> Tensor:
    """``x`` itself; its gradient is made contiguous.

    torch 2.13's batch norm computes a wrong gradient on the CPU, without an error, for batch 1 when the gradient or the
    input is a non-contiguous view. Put this on the norm's output, and a ``contiguous()`` on its input.
    """
    return _ContiguousGradient.apply(x)
