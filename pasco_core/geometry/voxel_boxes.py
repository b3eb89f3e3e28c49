"""The box around the voxels of each number in a grid of numbers."""

from __future__ import annotations

import numpy as np


def voxel_boxes(numbers: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Number → first and last voxel (3,) of the axis-aligned box around its voxels, both inclusive.

    Args:
        numbers: (X, Y, Z) integers, 0 = none.

    >>> low, high = voxel_boxes(np.array([[[0, 7, 7]]]))[7]
    >>> low.tolist(), high.tolist()
    ([0, 0, 1], [0, 0, 2])
    """
    flat = np.flatnonzero(numbers)
    ids = numbers.reshape(-1)[flat]
    order = np.argsort(ids, kind="stable")
    flat, ids = flat[order], ids[order]
    unique, starts = np.unique(ids, return_index=True)
    if not len(unique):
        return {}
    voxels = np.column_stack(np.unravel_index(flat, numbers.shape))
    lower, upper = np.minimum.reduceat(voxels, starts), np.maximum.reduceat(voxels, starts)
    return {int(number): (lower[i], upper[i]) for i, number in enumerate(unique)}
