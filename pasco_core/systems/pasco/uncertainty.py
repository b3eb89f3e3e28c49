"""How sure a prediction is: confidences in [0, 1] of class probabilities; uncertainty is 1 - confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pasco_core.systems.pasco.ensemble import SemanticScene, probabilities_at

CONFIDENCES = ("max_probability", "entropy", "agreement")


def voxel_confidence(scenes: Sequence[SemanticScene], kind: str) -> Tensor:
    """Confidence (M,) of the last scene's voxels.

    Args:
        scenes: the subnets' class probabilities, then the ensemble's; "agreement" needs the subnets too.
        kind: one of ``CONFIDENCES``.
    """
    last = scenes[-1]
    if kind == "max_probability":
        return max_probability(last.probabilities)
    if kind == "entropy":
        return entropy_confidence(last.probabilities)
    return agreement([probabilities_at(scene, last.voxels) for scene in scenes[:-1]])


def max_probability(probabilities: Tensor) -> Tensor:
    """Probability (M,) of the most probable class of (M, C)."""
    return probabilities.amax(1)


def entropy_confidence(probabilities: Tensor) -> Tensor:
    """1 - H / log2(C), (M,), with H the entropy in bits of the normalised (M, C): 1 = certain, 0 = uniform."""
    p = probabilities / probabilities.sum(1, keepdim=True)
    entropy = -torch.special.xlogy(p, p).sum(1) / math.log(2)
    return 1 - entropy / math.log2(p.shape[1])


def agreement(subnets: Sequence[Tensor]) -> Tensor:
    """Mean over the classes of 1 - variance over the subnets' (M, C), scaled to [0, 1] over the scene: (M,).

    A scene in which all voxels agree equally gives 1 everywhere.
    """
    confidence = (1 - torch.stack(list(subnets)).var(0, unbiased=True)).mean(1)
    if len(confidence) == 0:
        return confidence
    low, high = confidence.min(), confidence.max()
    return (confidence - low) / (high - low) if high > low else torch.ones_like(confidence)
