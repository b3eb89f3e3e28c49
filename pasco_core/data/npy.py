"""NumPy's .npy files as scans, checked before anything is allocated and never unpickled (format: NEP 1)."""

from __future__ import annotations

import ast
import math
import warnings

import numpy as np

from pasco_core.data.cloud_fields import check_field_names, cloud_from_fields, quoted, wanted_fields
from pasco_core.data.point_cloud import PointCloud
from pasco_core.errors import CloudError

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 65536
_MAX_COLUMNS = 64


def parse_npy(data: bytes, source: str) -> PointCloud:
    """Points of a float array (N, 3 and more) or of a structured array with fields x, y, z.

    Raises:
        CloudError: not such an array; ``source`` is named.
    """
    array = _array(data, source)
    if array.dtype.names is not None:
        return _structured_cloud(array, source)
    if array.dtype.kind != "f" or array.ndim != 2 or not 3 <= array.shape[1] <= _MAX_COLUMNS:
        raise CloudError(
            f"Expected {source} to be a float array (N, 3) or (N, 4): x y z intensity, "
            f"got {array.dtype} {array.shape}",
            "LAYOUT",
        )
    ignored = array.shape[1] - 4
    notes = [f"columns 5 to {array.shape[1]} ignored"] if ignored > 0 else []
    return cloud_from_fields(dict(zip(("x", "y", "z", "intensity"), array.T, strict=False)), source, notes)


def _structured_cloud(array: np.ndarray, source: str) -> PointCloud:
    """Named fields; each one used must be a scalar per point. Organised (H, W) arrays are flattened row by row."""
    names = array.dtype.names or ()
    check_field_names(names, source)
    wanted = wanted_fields(names)
    for name in wanted:
        if array.dtype[name].shape or array.dtype[name].names is not None:
            raise CloudError(
                f"Expected field '{name}' of {source} to be one number per point, got {array.dtype[name]}", "LAYOUT"
            )
    return cloud_from_fields({name: array[name].reshape(-1) for name in wanted}, source)


def _array(data: bytes, source: str) -> np.ndarray:
    """The array as a view of ``data``."""
    header, start = _header(data, source)
    dtype, shape, fortran = _layout(header, source)
    count = math.prod(shape)
    if count == 0:
        raise CloudError(f"Expected {source} to have at least one finite point, got an array {shape}", "EMPTY")
    if count * dtype.itemsize != len(data) - start:
        raise CloudError(
            f"Expected {source} to hold {count * dtype.itemsize} bytes after its header for {dtype} {shape}, "
            f"got {len(data) - start}",
            "LAYOUT",
        )
    return np.frombuffer(data, dtype, count, start).reshape(shape, order="F" if fortran else "C")


def _header(data: bytes, source: str) -> tuple[dict, int]:
    """The header's dictionary and where the values begin."""
    version = tuple(data[6:8])
    if data[:6] != _MAGIC or version not in ((1, 0), (2, 0), (3, 0)):
        raise CloudError(f"Expected {source} to be a NumPy file of version 1 to 3, got {data[:8]!r}", "LAYOUT")
    width = 2 if version == (1, 0) else 4
    length, start = int.from_bytes(data[8 : 8 + width], "little"), 8 + width
    if length > _MAX_HEADER or start + length > len(data):
        raise CloudError(f"Expected the header of {source} to be whole, got {length} bytes announced", "LAYOUT")
    text = data[start : start + length].decode("utf-8" if version == (3, 0) else "latin1", errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        header = None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise CloudError(
            f"Expected the header of {source} to name descr, fortran_order and shape, got {quoted(text)}", "LAYOUT"
        )
    return header, start + length


def _layout(header: dict, source: str) -> tuple[np.dtype, tuple[int, ...], bool]:
    """Type, shape and order, checked."""
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 8:
        raise CloudError(f"Expected the shape in {source} to be sizes, got {quoted(shape)}", "LAYOUT")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dtype = np.lib.format.descr_to_dtype(header["descr"])
    # The description comes from the file, and NumPy answers a bad one with whatever its parser met.
    except Exception as error:
        raise CloudError(
            f"Expected the type in {source} to be one NumPy knows, got {quoted(header['descr'])}", "LAYOUT"
        ) from error
    if dtype.hasobject or dtype.itemsize == 0:
        raise CloudError(
            f"Expected {source} to hold numbers, got {dtype}" + (" (pickled objects)" if dtype.hasobject else ""),
            "LAYOUT",
        )
    return dtype, shape, bool(header["fortran_order"])
