"""Batch norm over the voxels of all processes, as if one process had them all.

PyTorch's own works on GPUs only. Here each process brings as many rows as its scene has voxels at that stride, which
may be none, and the same code runs on CPUs, where it can be tested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pasco_core.errors import ConfigError
from pasco_core.sparse.modules import running_affine


class SynchronisedBatchNorm(_BatchNorm):
    """A batch norm whose batch is that of all processes.

    With fewer than two values per channel in all processes together, whose statistics are undefined, the running ones
    stand in and stay as they are.

    Args:
        alone: the batch norm of one process that it stands for; parameters and statistics are the same tensors.

    Raises:
        ConfigError: a batch norm without weights, running statistics or a fixed momentum, which none here is.
    """

    def __init__(self, alone: _BatchNorm):
        if not alone.affine or not alone.track_running_stats or alone.momentum is None:
            raise ConfigError(f"Expected a batch norm with weights, running statistics and a momentum, got {alone}")
        super().__init__(alone.num_features, alone.eps, alone.momentum)
        self.kind = type(alone)
        _share(alone, self)

    def alone(self) -> _BatchNorm:
        """The batch norm of one process again."""
        return _share(self, self.kind(self.num_features, self.eps, self.momentum))

    def forward(self, input: Tensor) -> Tensor:
        """(N, C) or (N, C, ...) → the same shape; N may be 0 and differ between processes."""
        if not (self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        mean, variance, count = statistics_of_all(input.detach())
        if count < 2:
            scale, shift = running_affine(self)
            return (input * _along(scale, input) + _along(shift, input)).to(input.dtype)
        self._remember(mean, variance * (count / (count - 1)))
        return _Normalise.apply(input, self.weight, self.bias, mean, torch.rsqrt(variance + self.eps), count)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any shape: it stands for batch norms of one and three dimensions."""

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """The running statistics take up those of a batch (C,), the variance unbiased, as in ``nn.BatchNorm1d``."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)


class SynchronisedBatchNorms(LayerSync):
    """Lightning's plugin: every batch norm of the model is synchronised while it trains."""

    def apply(self, model: nn.Module) -> nn.Module:
        """``model`` with its batch norms replaced."""
        return _replaced(model, _BatchNorm, SynchronisedBatchNorm)

    def revert(self, model: nn.Module) -> nn.Module:
        """``model`` with the batch norms it had."""
        return _replaced(model, SynchronisedBatchNorm, SynchronisedBatchNorm.alone)


def statistics_of_all(rows: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean (C,), biased variance (C,) and number of values per channel over the rows of all processes.

    Each process's own mean and sum of squared distances from it are joined pairwise (Chan, Golub and LeVeque 1983), so
    that large means cost no digits.

    Args:
        rows: (N, C, ...) of this process; N may be 0.
    """
    flat = rows.transpose(0, 1).flatten(1).to(torch.promote_types(rows.dtype, torch.float32))
    n = flat.shape[1]
    mean = flat.mean(1) if n else flat.new_zeros(len(flat))
    squares = (flat - mean[:, None]).square().sum(1)
    own = torch.stack([torch.full_like(mean, n), mean, squares])
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    counts, means, sums = torch.stack(parts, 1)
    count = int(counts[:, 0].double().sum())
    if count == 0:
        return mean, squares, 0
    together = (counts * means).sum(0) / count
    variance = (sums + counts * (means - together).square()).sum(0) / count
    return together, variance, count


class _Normalise(torch.autograd.Function):
    """(x - mean) · rstd · weight + bias with the gradient through the statistics that all processes share."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, count: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, rstd)
        ctx.count = count
        scale = weight * rstd
        return (x * _along(scale, x) + _along(bias - mean * scale, x)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        gradient = gradients[0].to(weight.dtype)
        normal = (x - _along(mean, x)) * _along(rstd, x)
        axes = [0, *range(2, x.ndim)]
        of_bias, of_weight = gradient.sum(axes), (gradient * normal).sum(axes)
        # Every process takes part, also one without a row: the others wait for it.
        both = torch.stack([of_bias, of_weight])
        dist.all_reduce(both)
        shared_bias, shared_weight = both / ctx.count
        centred = gradient - _along(shared_bias, x) - normal * _along(shared_weight, x)
        return (centred * _along(weight * rstd, x)).to(x.dtype), of_weight, of_bias, None, None, None


def _replaced(module: nn.Module, kind: type[nn.Module], make: Callable[[Any], nn.Module]) -> nn.Module:
    """``module`` with ``make(child)`` for each child of a kind, at any depth."""
    if isinstance(module, kind):
        return make(module)
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, kind, make))
    return module


def _share(source: _BatchNorm, target: _BatchNorm) -> _BatchNorm:
    """``target`` with the tensors and the mode of ``source``."""
    target.weight, target.bias = source.weight, source.bias
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        setattr(target, name, getattr(source, name))
    return target.train(source.training)


def _along(values: Tensor, x: Tensor) -> Tensor:
    """(C,) values, one for each channel of x (N, C, ...)."""
    return values.view(1, -1, *[1] * (x.ndim - 2))
