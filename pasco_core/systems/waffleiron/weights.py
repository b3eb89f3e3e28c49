"""From a checkpoint's tensors to a network, with every key accounted for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pasco_core.nn.state_dict import check_state_dict, without_module_prefix
from pasco_core.systems.waffleiron.config import WaffleIronConfig
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
    state = without_module_prefix(state_dict)
    config = WaffleIronConfig.from_state_dict(state, geometry)
    described = f"a WaffleIron network of {config.depth} blocks, {config.channels} channels, {config.n_classes} classes"
    check_state_dict(state, expected_shapes(config), described, most=None)
    with torch.device("meta"):
        network = WaffleIron(config)
    network.to_empty(device="cpu").load_state_dict(state)
    return network.eval()
