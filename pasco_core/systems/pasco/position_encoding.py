"""The mask transformer's position encoding, as the published weights were trained with it.

The original divides every coordinate by itself before the sines, so that all it encodes is which coordinates are zero:
eight patterns (the true values differ from them by less than 1e-5). Weights trained with it need it; keep it as it is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

N_PATTERNS = 8
ZERO_PATTERN = 0
_TEMPERATURE = 10000.0


def zero_patterns(coords: Tensor) -> Tensor:
    """Pattern (N,) int64 of coordinates (N, 4): 4·[x ≠ 0] + 2·[y ≠ 0] + [z ≠ 0]."""
    return ((coords[:, 1:] != 0) * coords.new_tensor([4, 2, 1])).sum(1)


def pattern_encoding(channels: int, device: torch.device | None = None) -> Tensor:
    """Encoding (8, channels) float32 of each pattern; per axis sines of the even, then cosines of the odd entries.

    For axis phase e (2π, or 0 for a zero coordinate) and entry i of channels / 3, the angle is
    e / 10000^(2·floor(i / 2) / (channels / 3)).
    """
    per_axis = channels // 3
    entries = torch.arange(per_axis, dtype=torch.float64)
    period = _TEMPERATURE ** (2 * torch.div(entries, 2, rounding_mode="floor") / per_axis)
    angles = torch.tensor([0.0, 2 * math.pi], dtype=torch.float64)[:, None] / period
    of_axis = torch.cat([angles[:, 0::2].sin(), angles[:, 1::2].cos()], 1)
    bits = torch.tensor([[p >> 2 & 1, p >> 1 & 1, p & 1] for p in range(N_PATTERNS)])
    return of_axis[bits].reshape(N_PATTERNS, channels).to(device=device, dtype=torch.float32)
