"""Reads one LiDAR scan from a file: KITTI or nuScenes .bin, .npy, .pcd, .ply."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pasco_core.data.cloud_fields import cloud_from_fields
from pasco_core.data.npy import parse_npy
from pasco_core.data.pcd import parse_pcd
from pasco_core.data.ply import parse_ply
from pasco_core.data.point_cloud import PointCloud
from pasco_core.errors import CloudError, DataError

MAX_SCAN_BYTES = 2**30
"""A larger file is not one scan (it would be 67 million KITTI points) and is refused before it is read."""

_KITTI_ROW, _NUSCENES_ROW = 16, 20
_NUSCENES_MIN_POINTS = 32


def read_scan(path: str | os.PathLike[str]) -> PointCloud:
    """One scan, in the frame of the file; the ending of the name says the format.

    - ``.bin``: float32 rows x y z intensity, as KITTI writes them; nuScenes' five columns (x y z intensity ring) are
      recognised by their ring column.
    - ``.npy``: a float array (N, 3) or (N, 4 and more) whose fourth column is the intensity, or a structured array
      with fields x, y, z. Pickled objects are refused.
    - ``.pcd``: ascii, binary and binary_compressed. ``.ply``: ascii and binary, either byte order.

    Intensities come out as 0 to 1 (``scale_intensity``); points that are not finite are left out and counted.

    Raises:
        DataError: no such file, not a regular file, too large, or an unknown ending.
        CloudError: the content breaks its format; ``code`` is ``EMPTY``, ``LAYOUT`` or ``FIELD_MISSING``.
    """
    path = Path(path)
    _check_is_file(path)
    parser = _PARSERS.get(path.suffix.lower())
    if parser is None:
        got = f"'{path.suffix}'" if path.suffix else "none"
        raise DataError(f"Expected the ending of scan {path} to be one of {', '.join(_PARSERS)}, got {got}")
    data = _read_bytes(path)
    if not data:
        raise CloudError(f"Expected {path} to hold points, got an empty file (0 bytes)", "EMPTY")
    return parser(data, str(path))


def _check_is_file(path: Path) -> None:
    """Refuse what is not a regular file of at most ``MAX_SCAN_BYTES``; a pipe would block and a device never end."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"Expected scan {path} to be an existing file, got nothing there") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise DataError(f"Expected scan {path} to be a file, got {kind}")
    if status.st_size > MAX_SCAN_BYTES:
        raise DataError(f"Expected scan {path} to be at most {MAX_SCAN_BYTES} bytes, got {status.st_size}")


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"Expected scan {path} to be readable, got {getattr(error, 'strerror', None) or error}")


def _parse_bin(data: bytes, source: str) -> PointCloud:
    """Headerless float32 rows."""
    notes = []
    if _looks_like_nuscenes(data):
        rows = np.frombuffer(data, "<f4").reshape(-1, 5)
        notes.append("read as nuScenes' five columns x y z intensity ring; that sensor's y axis points forward")
    elif len(data) % _KITTI_ROW:
        raise CloudError(
            f"Expected the size of {source} to be a multiple of {_KITTI_ROW} bytes (float32 x y z intensity), "
            f"got {len(data)} bytes",
            "LAYOUT",
        )
    else:
        rows = np.frombuffer(data, "<f4").reshape(-1, 4)
    return cloud_from_fields(dict(zip(("x", "y", "z", "intensity"), rows.T, strict=False)), source, notes)


def _looks_like_nuscenes(data: bytes) -> bool:
    """Whether every fifth float32 is a ring number: whole, 0 to 255, not constant. No four-column scan passes this."""
    if len(data) % _NUSCENES_ROW or len(data) < _NUSCENES_MIN_POINTS * _NUSCENES_ROW:
        return False
    ring = np.frombuffer(data, "<f4")[4::5]
    with np.errstate(invalid="ignore"):
        whole = (ring == np.floor(ring)) & (ring >= 0) & (ring <= 255)
    return bool(whole.all() and ring.min() != ring.max())


_PARSERS: dict[str, Callable[[bytes, str], PointCloud]] = {
    ".bin": _parse_bin,
    ".npy": parse_npy,
    ".pcd": parse_pcd,
    ".ply": parse_ply,
}

SCAN_ENDINGS = tuple(_PARSERS)
"""Endings of the files that ``read_scan`` reads."""
