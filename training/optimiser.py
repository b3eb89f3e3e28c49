"""AdamW, with weight decay where it belongs."""

from __future__ import annotations

import torch
from torch import nn

from training.config import OptimiserConfig


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW over all parameters of a network.

    Biases, norms and embeddings are not decayed: they have few values, and none should be zero.

    Args:
        network: whose parameters are trained.
        config: learning rate and weight decay.
    """
    embeddings = {id(p) for m in network.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        plain = parameter.ndim < 2 or name.endswith("bias") or id(parameter) in embeddings
        (free if plain else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate)
