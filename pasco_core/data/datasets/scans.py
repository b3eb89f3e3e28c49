"""Scans and images of a dataset, exactly as they are on disk."""

from __future__ import annotations

import os

import numpy as np

from pasco_core.data.datasets.raw_bytes import check_whole_rows, file_size, read_rows
from pasco_core.errors import DataError

SCAN_ROW = 16
"""Bytes per point."""

SCAN_RULE = "float32 x y z intensity"


def read_kitti_scan(path: str | os.PathLike[str]) -> np.ndarray:
    """(N, 4) float32 x y z intensity of a KITTI ``.bin``: every point, so that labels keep their places.

    Raises:
        DataError: no such file, not a multiple of 16 bytes, or values that are not finite.
    """
    data = read_rows(path, "scan", SCAN_ROW, SCAN_RULE)
    points = np.frombuffer(data, "<f4").reshape(-1, 4).astype(np.float32)
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(1))[0])
        raise DataError(f"Expected scan {path} to be finite, got {points[row].tolist()} at point {row}")
    return points


def count_points(path: str | os.PathLike[str]) -> int:
    """Points of a KITTI ``.bin``, by its size alone.

    Raises:
        DataError: no such file, or not a multiple of 16 bytes.
    """
    size = file_size(path, "scan")
    check_whole_rows(path, "scan", size, SCAN_ROW, SCAN_RULE)
    return size // SCAN_ROW


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a PNG or JPEG file.

    Raises:
        DataError: no such file, or no image.
    """
    from PIL import Image, UnidentifiedImageError

    file_size(path, "image")
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise DataError(f"Expected image {path} to be a PNG or JPEG file, got: {error}") from error
