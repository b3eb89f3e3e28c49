"""From a checkpoint's tensors to a network, with every key accounted for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pasco_core.errors import CheckpointError
from pasco_core.nn.state_dict import check_state_dict
from pasco_core.systems.pasco.config import PaSCoConfig
from pasco_core.systems.pasco.network import PaSCo

# The authors' files register the same transformer three times.
_ALIASES = ("unet3d.decoder_generative.transformer_predictor.", "unet3d.transformer_predictor.")
_TRANSFORMER = "transformer_predictor."


def canonical_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights once each: the transformer's two aliases folded into it, the losses' buffers left out.

    Raises:
        CheckpointError: an alias differs from the transformer it repeats.
    """
    canonical: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        if key.startswith("criterion."):
            continue
        alias = next((a for a in _ALIASES if key.startswith(a)), None)
        name = key if alias is None else _TRANSFORMER + key[len(alias) :]
        if name in canonical:
            same = canonical[name].shape == value.shape and torch.equal(canonical[name], value)
            if not same:
                raise CheckpointError(f"Expected {key} to be equal to {name}, which it repeats, got other values")
        canonical[name] = value
    return canonical


def expected_shapes(config: PaSCoConfig) -> dict[str, tuple[int, ...]]:
    """Key → shape of every weight and buffer the network of this configuration has."""
    with torch.device("meta"):
        return _shapes(PaSCo(config))


def _shapes(network: PaSCo) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def load_network(
    state_dict: Mapping[str, Tensor], backend: str = "torch", pad_leak: bool = True, **overrides: int
) -> PaSCo:
    """The network of a state dict with the authors' key names, in eval mode on the CPU.

    Args:
        state_dict: weights; the variant (subnets, width, light or heavy, classes, input width) is read off it.
        backend: see ``PaSCo``.
        pad_leak: see ``PaSCo``.
        overrides: fields of ``PaSCoConfig`` that leave no trace in the weights, such as ``n_heads``.

    Raises:
        CheckpointError: missing, unexpected or misshapen keys, all named.
    """
    if not isinstance(state_dict, Mapping) or not state_dict:
        raise CheckpointError(f"Expected the weights to be a dictionary of tensors, got {type(state_dict).__name__}")
    weights = canonical_state_dict(state_dict)
    config = PaSCoConfig.from_state_dict(weights)
    if overrides:
        config = PaSCoConfig.from_dict({**config.to_dict(), **overrides})
    with torch.device("meta"):
        network = PaSCo(config, backend, pad_leak)
    kind = "heavy" if config.heavy else "light"
    check_state_dict(weights, _shapes(network), f"a {kind} PaSCo network of {config.n_subnets} subnets")
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)
