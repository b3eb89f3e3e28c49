"""Compressed parts of a bag: zstd and lz4, bounded in size, and as far as a cut stream goes."""

from __future__ import annotations

from pathlib import Path

from pasco_core.data.bags.storage import zstd_module

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_BYTES = 2**31
"""Largest chunk or message that is decompressed: damaged or hostile sizes must not take all memory."""

_BLOCK = 2**20


def decompress(data: bytes | memoryview, method: str, limit: int = MAX_BYTES) -> bytes | memoryview:
    """The decompressed bytes, at most ``limit``; of a stream that is cut, what there is.

    Args:
        data: the compressed bytes.
        method: ``zstd``, ``lz4`` or "" for none.
        limit: most bytes to return.

    Raises:
        ValueError: an unknown method, or bytes that are not of that format.
    """
    limit = min(limit, MAX_BYTES)
    if method == "":
        return data[:limit]
    if method not in ("zstd", "lz4"):
        raise ValueError(f"the unknown compression {method[:20]!r}")
    from lz4.frame import LZ4FrameDecompressor

    zstd = zstd_module()
    decompressor = zstd.ZstdDecompressor() if method == "zstd" else LZ4FrameDecompressor()
    try:
        return decompressor.decompress(data, max_length=limit)
    except (RuntimeError, EOFError, zstd.ZstdError) as error:
        raise ValueError(f"bytes that are not {method} ({error})") from error


def decompress_file(source: Path, target: Path) -> str | None:
    """Decompress a zstd file into another in small steps.

    Returns:
        What ended it early, such as a cut stream; None where the file is whole.

    Raises:
        OSError: a file cannot be read or written.
    """
    zstd = zstd_module()
    with open(source, "rb") as packed, open(target, "wb") as plain:
        try:
            with zstd.open(packed, "rb") as stream:
                while block := stream.read1(_BLOCK):
                    plain.write(block)
        except (EOFError, zstd.ZstdError) as error:
            return f"a zstd stream that ends early or is damaged ({error})"
    return None


