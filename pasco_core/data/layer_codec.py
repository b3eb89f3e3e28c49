"""How the raw values of a voxel layer travel: as they are, as runs of equal values, or deflated (msg/VoxelLayer.msg).

The numbers of the compressions are those of the message. Nothing is allocated for a layer that claims more values than
its grid has.
"""

from __future__ import annotations

import zlib

import numpy as np

from pasco_core.errors import ConfigError, DataError

NONE, ZLIB, RUN_LENGTH = 0, 1, 2
COMPRESSIONS = {"none": NONE, "zlib": ZLIB, "run_length": RUN_LENGTH}
"""Name of a compression → its number in the message."""

_ZLIB_LEVEL = 1  # higher levels take five times as long for a tenth less
_COUNT = np.dtype("<u4")


def compress(values: np.ndarray, compression: int) -> bytes:
    """The bytes of a layer.

    Args:
        values: raw values of a type with little-endian bytes, in memory order.
        compression: NONE, ZLIB or RUN_LENGTH.

    Raises:
        ConfigError: another compression.

    >>> compress(np.array([7, 7, 7, 0], np.uint8), RUN_LENGTH).hex(" ")
    '03 00 00 00 01 00 00 00 07 00'
    """
    values = np.ascontiguousarray(values).reshape(-1)
    if compression == NONE:
        return values.tobytes()
    if compression == ZLIB:
        return zlib.compress(values.view(np.uint8), _ZLIB_LEVEL)
    if compression == RUN_LENGTH:
        starts = np.flatnonzero(np.append(True, _differs(values))) if len(values) else np.zeros(0, np.int64)
        counts = np.diff(np.append(starts, len(values))).astype(_COUNT)
        return counts.tobytes() + values[starts].tobytes()
    raise ConfigError(f"Expected a compression of {sorted(COMPRESSIONS.values())}, got {compression}")


def decompress(data: bytes | memoryview, dtype: np.dtype | str, n_values: int, compression: int) -> np.ndarray:
    """The raw values (n_values,) of a layer; what ``compress`` made comes back bit for bit.

    Raises:
        DataError: an unknown compression, damaged data, or data for more or fewer values.
    """
    dtype = np.dtype(dtype)
    expected = n_values * dtype.itemsize
    if compression == RUN_LENGTH:
        return _runs(memoryview(data), dtype, n_values)
    if compression == ZLIB:
        data = _inflated(data, expected)
    elif compression != NONE:
        raise DataError(f"Expected a compression of {sorted(COMPRESSIONS.values())}, got {compression}")
    if memoryview(data).nbytes != expected:
        raise DataError(f"Expected {expected} bytes for {n_values} values, got {memoryview(data).nbytes}")
    return np.frombuffer(data, dtype)


def _differs(values: np.ndarray) -> np.ndarray:
    """Whether each value but the first is another than the one before; NaN is the same as NaN with the same bits."""
    bits = values.view(f"<u{values.itemsize}")
    return bits[1:] != bits[:-1]


def _inflated(data: bytes | memoryview, expected: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, expected + 1)
    except zlib.error as error:
        raise DataError(f"Expected deflated values, got {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise DataError(f"Expected deflated data of exactly {expected} bytes, got more or less")
    return inflated


def _runs(data: memoryview, dtype: np.dtype, n_values: int) -> np.ndarray:
    n_runs, rest = divmod(data.nbytes, _COUNT.itemsize + dtype.itemsize)
    if rest:
        raise DataError(f"Expected runs of {_COUNT.itemsize + dtype.itemsize} bytes each, got {data.nbytes} bytes")
    counts = np.frombuffer(data, _COUNT, n_runs)
    total = int(counts.sum(dtype=np.uint64))
    if total != n_values:
        raise DataError(f"Expected runs of {n_values} values together, got {total}")
    return np.repeat(np.frombuffer(data, dtype, n_runs, n_runs * _COUNT.itemsize), counts)
