"""The voxel files of SemanticKITTI: bit masks (.bin, .invalid, .occluded) and raw class ids (.label)."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from pasco_core.atomic_write import atomic_write
from pasco_core.data.datasets.raw_bytes import read_exactly
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID

Shape = tuple[int, int, int]

BIT_ENDINGS = (".bin", ".invalid", ".occluded")
"""Input voxels, voxels no scan of the drive saw, and voxels hidden from this scan's position."""


def bits_size(shape: Shape = KITTI_GRID.shape) -> int:
    """Bytes of a bit mask over a grid.

    >>> bits_size((256, 256, 32))
    262144
    """
    return math.prod(shape) // 8


def labels_size(shape: Shape = KITTI_GRID.shape) -> int:
    """Bytes of a file of raw ids over a grid.

    >>> labels_size((256, 256, 32))
    4194304
    """
    return math.prod(shape) * 2


def read_bits(path: str | os.PathLike[str], shape: Shape = KITTI_GRID.shape) -> np.ndarray:
    """Bool mask of ``shape`` from a bit-packed file: x slowest, z fastest, the first voxel in the highest bit.

    Raises:
        DataError: no such file, or not one bit per voxel.
    """
    rule = f"one bit per voxel of {_sizes(shape)}"
    data = np.frombuffer(read_exactly(path, "voxel mask", bits_size(shape), rule), np.uint8)
    return np.unpackbits(data).view(bool).reshape(shape)


def write_bits(path: str | os.PathLike[str], mask: np.ndarray) -> None:
    """Writes a bool mask (X, Y, Z) as ``read_bits`` reads it, atomically.

    Raises:
        DataError: not a three-dimensional bool array of a multiple of 8 voxels.
        OSError: the folder is missing, not writable or full.
    """
    if mask.dtype != bool or mask.ndim != 3 or mask.size % 8:
        rule = "bool (X, Y, Z) with a multiple of 8 voxels"
        raise DataError(f"Expected the mask for {path} to be {rule}, got {mask.dtype} {mask.shape}")
    with atomic_write(path) as temporary:
        np.packbits(mask.reshape(-1)).tofile(temporary)


def read_labels(path: str | os.PathLike[str], shape: Shape = KITTI_GRID.shape) -> np.ndarray:
    """Raw class ids (X, Y, Z) uint16, read-only; ``semantic_kitti_ids`` makes classes of them.

    Raises:
        DataError: no such file, or not two bytes per voxel.
    """
    data = read_exactly(path, "voxel label file", labels_size(shape), f"two bytes per voxel of {_sizes(shape)}")
    return np.frombuffer(data, "<u2").reshape(shape)


def write_labels(path: str | os.PathLike[str], raw: np.ndarray) -> None:
    """Writes raw class ids (X, Y, Z) uint16 as ``read_labels`` reads them, atomically.

    Raises:
        DataError: not a three-dimensional uint16 array.
        OSError: the folder is missing, not writable or full.
    """
    if raw.dtype != np.uint16 or raw.ndim != 3:
        raise DataError(f"Expected the labels for {path} to be uint16 (X, Y, Z), got {raw.dtype} {raw.shape}")
    with atomic_write(path) as temporary:
        raw.astype("<u2", copy=False).tofile(temporary)


def voxel_path(sequence_folder: str | os.PathLike[str], index: int, ending: str) -> Path:
    """Where SemanticKITTI keeps a frame's voxel file.

    >>> voxel_path("sequences/08", 5, ".invalid").as_posix()
    'sequences/08/voxels/000005.invalid'
    """
    return Path(sequence_folder) / "voxels" / f"{index:06d}{ending}"


def _sizes(shape: Shape) -> str:
    return "×".join(map(str, shape))
