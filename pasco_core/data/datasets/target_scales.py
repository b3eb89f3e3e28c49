"""The truth at strides 1, 2 and 4: whether a block is occupied, and which class most of its occupied voxels have."""

from __future__ import annotations

import numpy as np

from pasco_core.data.frame import UNKNOWN

STRIDES = (1, 2, 4)
_KNOWN, _OCCUPIED = 1, 3  # bits: known, occupied; an occupied voxel is known


def scaled_targets(
    semantics: np.ndarray, n_classes: int, *, swap_empty_and_unknown: bool = False
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Classes and geometry at strides 1, 2 and 4.

    A block has the class that most of its occupied voxels have (the smallest id of several), is empty where it has
    no occupied but some known voxel, and unknown else. Geometry is 1 = occupied, 0 = empty, 255 = unknown.

    Args:
        semantics: (X, Y, Z) uint8, 0 = empty, 255 = unknown; each size a multiple of 4.
        n_classes: classes with "empty".
        swap_empty_and_unknown: at strides 2 and 4 call empty blocks unknown and unknown blocks empty, in the classes
            only. The published weights were trained so by mistake, and the published class frequencies were counted so;
            use it to continue their training, never for a new network.

    Returns:
        stride → (X/s, Y/s, Z/s) uint8 classes, and stride → geometry of the same shape.
    """
    known = semantics != UNKNOWN
    codes = {1: known * np.uint8(_KNOWN) | (known & (semantics != 0)) * np.uint8(_OCCUPIED)}
    codes[2] = _halved(codes[1])
    codes[4] = _halved(codes[2])
    voxels = np.flatnonzero(codes[1] == _OCCUPIED)
    classes = semantics.reshape(-1)[voxels]
    places = np.unravel_index(voxels, semantics.shape)
    geometry = {stride: _geometry(code) for stride, code in codes.items()}
    scaled = {1: semantics}
    for stride in (2, 4):
        blocks = np.ravel_multi_index([place // stride for place in places], codes[stride].shape)
        scaled[stride] = _majority(geometry[stride], blocks, classes, n_classes)
        if swap_empty_and_unknown:
            empty, unknown = geometry[stride] == 0, geometry[stride] == UNKNOWN
            scaled[stride][empty], scaled[stride][unknown] = UNKNOWN, 0
    return scaled, geometry


def _geometry(code: np.ndarray) -> np.ndarray:
    """1 = occupied, 0 = empty, 255 = unknown; by comparisons, which are several times as fast as a table."""
    return (code == _OCCUPIED) * np.uint8(1) | (code == 0) * np.uint8(UNKNOWN)


def _halved(code: np.ndarray) -> np.ndarray:
    """The bits of each 2³ block, joined."""
    code = code[0::2] | code[1::2]
    code = code[:, 0::2] | code[:, 1::2]
    return code[:, :, 0::2] | code[:, :, 1::2]


def _majority(geometry: np.ndarray, blocks: np.ndarray, classes: np.ndarray, n_classes: int) -> np.ndarray:
    """The geometry with the most frequent class in place of every 1.

    Args:
        geometry: of the blocks.
        blocks: (V,) flat block of every occupied voxel.
        classes: (V,) uint8 class of every occupied voxel.
        n_classes: classes with "empty".
    """
    occupied = geometry.reshape(-1) == 1
    rank = np.cumsum(occupied) - 1
    n = int(rank[-1]) + 1
    counts = np.bincount(rank[blocks] * n_classes + classes, minlength=n * n_classes).reshape(n, n_classes)
    result = geometry.copy()
    result.reshape(-1)[occupied] = counts.argmax(1)
    return result
