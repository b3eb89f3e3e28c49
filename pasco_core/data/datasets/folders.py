"""Which numbered files a folder holds, from one directory listing and no look at the files themselves."""

from __future__ import annotations

import os
from pathlib import Path


def numbered_files(folder: str | os.PathLike[str], ending: str, digits: int = 6) -> list[int]:
    """Numbers of the files ``<digits><ending>`` in a folder, ascending; none where there is no such folder.

    >>> numbered_files("no/such/folder", ".bin")
    []
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    cut = -len(ending)
    stems = (name[:cut] for name in names if name.endswith(ending))
    return sorted(int(stem) for stem in stems if len(stem) == digits and stem.isascii() and stem.isdecimal())


def subfolders(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the folders in a folder, ascending, hidden ones left out; none where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_folder(path: Path) -> bool:
    """Whether there is a folder; also false where a part of the path is a file or may not be entered."""
    try:
        return path.is_dir()
    except OSError:
        return False
