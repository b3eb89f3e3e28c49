"""Bytes of a dataset file whose length is known or ruled before it is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pasco_core.errors import DataError

MAX_FILE_BYTES = 2**30
"""A larger file is no single frame of any dataset here, and is refused before it is read."""


def file_size(path: str | os.PathLike[str], what: str) -> int:
    """Bytes of a regular file.

    Raises:
        DataError: nothing there, not a file, or larger than ``MAX_FILE_BYTES``.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise DataError(f"Expected {what} {path} to be an existing file, got nothing there") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise unreadable(path, what, error) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise DataError(f"Expected {what} {path} to be a file, got {kind}")
    if status.st_size > MAX_FILE_BYTES:
        raise DataError(f"Expected {what} {path} to be at most {MAX_FILE_BYTES} bytes, got {status.st_size}")
    return status.st_size


def read_exactly(path: str | os.PathLike[str], what: str, size: int, rule: str) -> bytes:
    """The whole file, if it has ``size`` bytes.

    Args:
        path: the file.
        what: kind of file, for messages.
        size: bytes it must have.
        rule: why that many, for messages.

    Raises:
        DataError: nothing there, not readable, or of another length.
    """
    found = file_size(path, what)
    if found != size:
        raise DataError(f"Expected {what} {path} to have {size} bytes ({rule}), got {found} bytes")
    return _read(path, what)


def read_rows(path: str | os.PathLike[str], what: str, row: int, rule: str) -> bytes:
    """The whole file, if its length is a multiple of ``row`` bytes.

    Raises:
        DataError: nothing there, not readable, or of another length.
    """
    check_whole_rows(path, what, file_size(path, what), row, rule)
    return _read(path, what)


def check_whole_rows(path: str | os.PathLike[str], what: str, size: int, row: int, rule: str) -> None:
    """A size in bytes is a multiple of ``row``.

    Raises:
        DataError: it is not.
    """
    if size % row:
        whole = f"a multiple of {row} bytes ({rule})"
        raise DataError(f"Expected the size of {what} {path} to be {whole}, got {size} bytes")


def read_text(path: str | os.PathLike[str], what: str) -> str:
    """A small UTF-8 text file.

    Raises:
        DataError: nothing there, not readable, or no text.
    """
    file_size(path, what)
    try:
        return _read(path, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"{error.object[error.start]:#04x} at {error.start}"
        raise DataError(f"Expected {what} {path} to be UTF-8 text, got byte {byte}") from error


def _read(path: str | os.PathLike[str], what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, what, error) from error


def unreadable(path: str | os.PathLike[str], what: str, error: Exception) -> DataError:
    """The error for a file that is there and cannot be read."""
    return DataError(f"Expected {what} {path} to be readable, got {getattr(error, 'strerror', None) or error}")
