"""Files that are either the old one or the whole new one, whatever interrupts the writing."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STEM_BYTES = _SUFFIX_BYTES = 80


@contextmanager
def atomic_write(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in ``target``'s folder to write to; on success it is synced and becomes ``target``.

    On any error the temporary file is removed and ``target`` stays as it was. The temporary name keeps the ending of
    ``target``, for writers that look at it.

    Raises:
        OSError: the folder is missing, not writable or full.
    """
    target = Path(target)
    temporary = target.with_name(_temporary_name(target))
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    mode = stat.S_IMODE(os.stat(temporary).st_mode)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, mode)  # a writer that replaces the file may have made it private
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


def write_text_whole(target: str | os.PathLike[str], text: str) -> None:
    """``text`` as UTF-8, whole or not at all.

    Raises:
        OSError: the folder is missing, not writable or full.
    """
    with atomic_write(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _temporary_name(target: Path) -> str:
    """Hidden, like no other, and within the 255 bytes that file systems allow, however many a character takes."""
    stem = os.fsencode(target.stem)[:_STEM_BYTES].decode("utf-8", "ignore")
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= _SUFFIX_BYTES else ""
    return f".{stem}.{secrets.token_hex(8)}{suffix}"


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can open folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
