"""Focal and Dice terms of mask prediction, as losses of matched pairs and as costs of all pairs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

ALPHA, GAMMA = 0.25, 2.0  # Lin et al., ICCV 2017


def focal_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Sigmoid focal loss (K,) of each mask, mean over its voxels.

    Args:
        logits: (N, K).
        masks: (N, K), 0 or 1.
    """
    positive, negative = _focal_terms(logits)
    return (positive * masks + negative * (1.0 - masks)).mean(0)


def focal_cost(logits: Tensor, masks: Tensor) -> Tensor:
    """Focal loss (Q, K) of every query's mask with every target.

    Args:
        logits: (N, Q).
        masks: (N, K), 0 or 1.
    """
    positive, negative = _focal_terms(logits)
    return (positive.T @ masks + negative.T @ (1.0 - masks)) / max(len(logits), 1)


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - Dice coefficient (K,) of each mask, smoothed by one voxel (Milletari et al., 3DV 2016).

    Args:
        logits: (N, K).
        masks: (N, K), 0 or 1.
    """
    probabilities = logits.sigmoid()
    overlap = (probabilities * masks).sum(0)
    return 1.0 - (2.0 * overlap + 1.0) / (probabilities.sum(0) + masks.sum(0) + 1.0)


def dice_cost(logits: Tensor, masks: Tensor) -> Tensor:
    """Dice loss (Q, K) of every query's mask with every target; arguments as for ``focal_cost``."""
    probabilities = logits.sigmoid()
    sizes = probabilities.sum(0)[:, None] + masks.sum(0)[None]
    return 1.0 - (2.0 * probabilities.T @ masks + 1.0) / (sizes + 1.0)


def _focal_terms(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of each logit if its voxel is in the mask, and if it is not."""
    probabilities = logits.sigmoid()
    positive = ALPHA * (1.0 - probabilities) ** GAMMA * F.softplus(-logits)
    negative = (1.0 - ALPHA) * probabilities**GAMMA * F.softplus(logits)
    return positive, negative
