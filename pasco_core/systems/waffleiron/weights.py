"""From a checkpoint's tensors to a network, with every key accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pasco_core.errors import CheckpointError
from pasco_core.systems.waffleiron.config import WaffleIronConfig, strip_module_prefix
from pasco_core.systems.waffleiron.network import WaffleIron


def expected_shapes(config: WaffleIronConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every entry of the state dict of such a network, in order; allocates nothing.

    >>> expected_shapes(WaffleIronConfig(channels=32, depth=6))["classif.weight"]
    (19, 32, 1)
    """
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in WaffleIron(config).state_dict().items()}


def load_network(state_dict: Mapping[str, Tensor], geometry: WaffleIronConfig | None = None) -> WaffleIron:
    """The network of a checkpoint, in evaluation mode, float32, on the CPU; it shares no memory with the tensors.

    Args:
        state_dict: tensors under the authors' key names, optionally all prefixed ``module.``; depth, width and class
            count are read off them.
        geometry: planes, grids, field of view, voxel size and neighbours, which the keys do not tell. Default: the
            published SemanticKITTI model.

    Raises:
        CheckpointError: not a WaffleIron network, or entries are missing, unexpected, misshapen, of another type or
            not finite; the message names every one of them.
    """
    state = strip_module_prefix(state_dict)
    config = WaffleIronConfig.from_state_dict(state, geometry)
    problems = _problems(state, expected_shapes(config))
    if problems:
        raise CheckpointError(
            f"Expected the checkpoint to fit a WaffleIron network of {config.depth} blocks, {config.channels} channels "
            f"and {config.n_classes} classes, got " + "; ".join(problems)
        )
    with torch.device("meta"):
        network = WaffleIron(config)
    network.to_empty(device="cpu").load_state_dict(state)
    return network.eval()


def _problems(state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    tensors = {key: value for key, value in state.items() if key in shapes and isinstance(value, Tensor)}
    floats = {key: value for key, value in tensors.items() if not key.endswith("num_batches_tracked")}
    found = {
        "missing": [key for key in shapes if key not in state],
        "unexpected": [str(key) for key in state if key not in shapes],
        "not a tensor": [key for key in state if key in shapes and key not in tensors],
        "misshapen": [
            f"{key} {tuple(value.shape)} instead of {shapes[key]}"
            for key, value in tensors.items()
            if tuple(value.shape) != shapes[key]
        ],
        "of another type": [f"{key} {value.dtype}" for key, value in floats.items() if not value.is_floating_point()],
        "not finite": [key for key, value in floats.items() if not torch.isfinite(value).all()],
    }
    return [f"{len(keys)} {problem}: {', '.join(keys)}" for problem, keys in found.items() if keys]
