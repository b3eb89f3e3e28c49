"""The WaffleIron whose point features a network reads beside the geometric ones."""

from __future__ import annotations

import os

from pasco_core.checkpoints import load_checkpoint
from pasco_core.errors import CheckpointError
from pasco_core.systems import waffleiron
from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS


def feature_network(
    source: str | os.PathLike[str] | waffleiron.WaffleIron, in_channels: int
) -> waffleiron.WaffleIron:
    """The WaffleIron of a checkpoint, or the one given, if its features make up the network's input.

    Args:
        source: checkpoint, or a network in memory.
        in_channels: features per point that the network reads, the geometric ones among them.

    Raises:
        CheckpointError: a file that is no WaffleIron checkpoint, or one that provides more or fewer features.
    """
    if not isinstance(source, waffleiron.WaffleIron):
        source = waffleiron.load_network(load_checkpoint(source, "waffleiron").state_dict)
    needed, provided = in_channels - GEOMETRIC_CHANNELS, source.config.n_classes + source.config.channels
    if provided != needed:
        raise CheckpointError(f"Expected WaffleIron to provide {needed} features per point, got {provided}")
    return source
