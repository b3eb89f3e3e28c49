"""Class weights from class frequencies: rare classes count more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pasco_core.errors import ConfigError


def inverse_frequency_weights(frequencies: Sequence[float], exponent: float = 1 / 3) -> Tensor:
    """Weights (C,) float32: (largest frequency / frequency) ** exponent; a class that never occurs counts as once.

    Args:
        frequencies: voxels per class.
        exponent: 1/3 in the paper for SemanticKITTI, 1/1.5 for KITTI-360.

    Raises:
        ConfigError: a frequency that is negative or not finite, or all of them 0.

    >>> inverse_frequency_weights([8.0, 1.0])
    tensor([1., 2.])
    """
    counts = torch.as_tensor(frequencies, dtype=torch.float64)
    if not bool(torch.isfinite(counts).all()) or bool((counts < 0).any()) or not bool((counts > 0).any()):
        raise ConfigError(f"Expected class frequencies to be counts, not all of them 0, got {list(frequencies)}")
    return ((counts.max() / counts.clamp(min=1.0)) ** exponent).float()
