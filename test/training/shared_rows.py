"""Rows that three processes normalise together; here, because a new process must be able to import what it runs."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from training.synchronised_batch_norm import SynchronisedBatchNorms

CHANNELS = 5
# Rows of each process in each step; a process may have none, all together may have one or none.
STEPS = ([40, 3, 0], [1, 0, 0], [0, 0, 0], [7, 7, 1], [1, 1, 0])
SIZES = {"1d": (), "3d": (2, 3, 4)}


def rows(step: int, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """All rows of a step, far from zero, and the gradient that arrives at what becomes of them."""
    generator = torch.Generator().manual_seed(step)
    shape = (sum(STEPS[step]), CHANNELS, *SIZES[kind])
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return 100.0 + 3.0 * x, torch.randn(shape, generator=generator, dtype=torch.float64)


def fresh(kind: str) -> nn.Module:
    torch.manual_seed(0)
    norm = (nn.BatchNorm1d if kind == "1d" else nn.BatchNorm3d)(CHANNELS).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return nn.Sequential(norm)


def train(model: nn.Module, x: torch.Tensor, gradient: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    x = x.clone().requires_grad_()
    y = model(x)
    y.backward(gradient)
    norm = model[0]
    return [y.detach(), x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean.clone(), norm.running_var.clone()]


def in_process(rank: int, kind: str, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=3)
    model = SynchronisedBatchNorms().apply(fresh(kind))
    results = []
    for step, counts in enumerate(STEPS):
        own = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
        x, gradient = rows(step, kind)
        results.append(train(model, x[own], gradient[own]))
    torch.save(results, Path(folder) / f"rank_{rank}.pt")
    dist.destroy_process_group()
