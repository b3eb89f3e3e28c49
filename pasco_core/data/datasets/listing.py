"""What is in a folder of a dataset, with sizes: one directory listing, one look at each file's status."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

UNREADABLE = -1
"""Size of a file whose status cannot be read, such as a broken link."""


@dataclass(frozen=True)
class Listing:
    """Files of a folder.

    Args:
        folder: where.
        sizes: name → bytes.
        times: name → when it was last written, in ns.
    """

    folder: Path
    sizes: dict[str, int]
    times: dict[str, int]

    @classmethod
    def of(cls, folder: Path) -> Listing:
        """The files of a folder; none where there is no such folder."""
        sizes, times = {}, {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not _is_folder(entry):
                        sizes[entry.name], times[entry.name] = _status(entry)
        except (FileNotFoundError, NotADirectoryError):
            pass
        return cls(folder, sizes, times)

    def numbered(self, ending: str, digits: int = 6) -> dict[int, NumberedFile]:
        """The files ``<digits><ending>`` by number, ascending."""
        found = {}
        for name, size in self.sizes.items():
            if _is_numbered(name, ending, digits):
                found[int(name[:digits])] = NumberedFile(self.folder / name, size, self.times[name])
        return dict(sorted(found.items()))

    def strangers(self, endings: Sequence[str], digits: int = 6) -> list[Path]:
        """Files of one of these endings that are not named by a number, such as a half-written copy."""
        return [
            self.folder / name
            for name in sorted(self.sizes)
            if name.endswith(tuple(endings)) and not any(_is_numbered(name, ending, digits) for ending in endings)
        ]


@dataclass(frozen=True)
class NumberedFile:
    """A file, its size in bytes, ``UNREADABLE`` where that cannot be told, and when it was last written, in ns."""

    path: Path
    size: int
    written: int = 0


def _is_numbered(name: str, ending: str, digits: int) -> bool:
    stem = name[: -len(ending)]
    return name.endswith(ending) and len(stem) == digits and stem.isascii() and stem.isdecimal()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _status(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        status = entry.stat()
        return status.st_size, status.st_mtime_ns
    except OSError:
        return UNREADABLE, 0
