"""From a dataset's training target to what the losses compare with, and which candidate voxels the truth wants."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pasco_core.data.datasets import training_item
from pasco_core.data.frame import UNKNOWN
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.config import STRIDES
from pasco_core.systems.pasco.losses import SubnetTarget


def network_target(item: training_item.SubnetTarget) -> SubnetTarget:
    """The same target as tensors, on the CPU."""
    return SubnetTarget(
        origin=torch.from_numpy(item.box_min.astype(np.int32)),
        upper=torch.from_numpy(item.box_max.astype(np.int32)),
        semantics={stride: torch.from_numpy(item.semantics[stride]) for stride in STRIDES},
        segments=torch.from_numpy(item.mask_ids),
        segment_classes=torch.from_numpy(item.mask_labels.astype(np.int64)),
    )


def occupied_in_truth(candidates: SparseTensor, targets: list[SubnetTarget]) -> Tensor:
    """Mask (N,) of the candidates that are occupied in the truth of any subnet.

    Args:
        candidates: voxels at stride 4, 2 or 1, in the grid all subnets meet in.
        targets: per subnet.
    """
    wanted = torch.zeros(candidates.n_voxels, dtype=torch.bool, device=candidates.device)
    for target in targets:
        inside = target.holds(candidates)
        category = target.at(target.semantics[candidates.stride], candidates, inside)
        wanted[inside] |= (category != 0) & (category != UNKNOWN)
    return wanted
