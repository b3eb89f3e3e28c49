"""Surfaces that are lighter here and darker there: noise that depends on the place alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pattern(points: np.ndarray, grains: Sequence[tuple[float, float]]) -> np.ndarray:
    """Noise of cells of several sizes.

    Args:
        points: (N, 3) metres in the world.
        grains: edge of the cells in metres, and their share; shares add up to 1.

    Returns:
        (N,) float32 in [-1, 1].
    """
    value = np.zeros(len(points), np.float32)
    for size, share in grains:
        value += np.float32(share) * (2.0 * cell_hash(np.floor(points / size).astype(np.int64)) - 1.0)
    return value


def cell_hash(cells: np.ndarray) -> np.ndarray:
    """(N,) float32 in [0, 1) of whole numbers (N, 3), the same on every machine."""
    a, b, c = (cells[:, i].astype(np.uint64) for i in range(3))
    mixed = a * np.uint64(0x9E3779B97F4A7C15) + b * np.uint64(0xC2B2AE3D27D4EB4F) + c * np.uint64(0x165667B19E3779F9)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return (mixed >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
