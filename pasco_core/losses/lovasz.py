"""The Lovász extension of the Jaccard loss: 1 - IoU made trainable (Berman et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Set

import torch
from torch import Tensor

from pasco_core.data.frame import UNKNOWN


def lovasz_softmax(
    probabilities: Tensor, target: Tensor, *, skipped: Set[int] = frozenset(), unknown_is_negative: bool = False
) -> Tensor:
    """Mean over the classes present in ``target`` of the Lovász extension of their Jaccard loss.

    Args:
        probabilities: (N, C), rows that sum to 1.
        target: (N,) class of each row, 255 = unknown.
        skipped: classes that get no loss of their own; their rows are negatives of the others.
        unknown_is_negative: the published training took rows of unknown class for negatives of every class; correct is
            to leave them out.

    Returns:
        Scalar; 0, with a gradient of 0, where no class is present.
    """
    if not unknown_is_negative:
        known = target != UNKNOWN
        probabilities, target = probabilities[known], target[known]
    present = [c for c in torch.unique(target).tolist() if c != UNKNOWN and c not in skipped]
    if not present:
        return probabilities.sum() * 0.0
    classes = torch.tensor(present, device=target.device)
    foreground = (target[:, None] == classes).to(probabilities.dtype)
    errors = (foreground - probabilities[:, classes]).abs()
    errors, order = errors.sort(0, descending=True)
    return (errors * _jaccard_steps(foreground.gather(0, order))).sum(0).mean()


def _jaccard_steps(foreground: Tensor) -> Tensor:
    """By how much the Jaccard loss grows with each further error (N, K), errors from the largest to the smallest."""
    positives = foreground.sum(0)
    intersection = positives - foreground.cumsum(0)
    union = positives + (1.0 - foreground).cumsum(0)
    jaccard = 1.0 - intersection / union
    return torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
