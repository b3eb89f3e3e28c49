"""LZF decompression for PCD's binary_compressed (format: LibLZF's stream of literal runs and back references)."""

from __future__ import annotations

_MAX_EXPANSION = 264
"""One back reference is at least 2 bytes and yields at most 264: no stream can grow by more than this."""


def lzf_decompress(data: bytes, size: int) -> bytes:
    """The ``size`` bytes that ``data`` stands for.

    A control byte below 32 announces that many bytes plus one, as they are. Any other one is a copy of earlier output:
    its upper 3 bits are the length (7: one more byte is added to it) plus 2, its lower 5 bits and the next byte the
    distance minus 1.

    Raises:
        ValueError: the stream is truncated, reaches before its beginning or yields another size.

    >>> lzf_decompress(bytes([2]) + b"abc" + bytes([0x20, 2]), 6)
    b'abcabc'
    """
    if size > len(data) * _MAX_EXPANSION:
        raise ValueError(f"{len(data)} compressed bytes cannot hold {size}")
    out, position, end = bytearray(), 0, len(data)
    while position < end and len(out) <= size:
        control = data[position]
        position += 1
        if control < 32:
            out += data[position : position + control + 1]
            position += control + 1
            continue
        length, extra = control >> 5, 2 if control >> 5 == 7 else 1
        if position + extra > end:
            break
        if extra == 2:
            length += data[position]
        distance = ((control & 31) << 8 | data[position + extra - 1]) + 1
        position += extra
        _copy_back(out, distance, length + 2)
    if position != end or len(out) != size:
        raise ValueError(f"expected {size} bytes, got {len(out)} at byte {min(position, end)} of {end}")
    return bytes(out)


def _copy_back(out: bytearray, distance: int, length: int) -> None:
    """Append ``length`` bytes that begin ``distance`` before the end; they may overlap what is being written."""
    start = len(out) - distance
    if start < 0:
        raise ValueError(f"a copy reaches {-start} bytes before the beginning")
    if distance >= length:
        out += out[start : start + length]
    else:
        out += (out[start:] * (length // distance + 1))[:length]
