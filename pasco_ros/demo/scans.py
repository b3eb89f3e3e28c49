"""Where the demo's clouds come from: the simulated street, or a folder of KITTI scans."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pasco_core.data.scan_files import read_scan
from pasco_core.data.simulation import street_scan
from pasco_core.errors import ConfigError


def find_scans(folder: Path) -> list[Path]:
    """The .bin files of a KITTI velodyne folder, or of a sequence folder that holds one, sorted by name.

    Raises:
        ConfigError: names what was looked for and what was found.
    """
    expected = f"Expected {folder} to be a folder with KITTI scans (*.bin or velodyne/*.bin)"
    if not folder.is_dir():
        raise ConfigError(f"{expected}, got {'a file' if folder.exists() else 'nothing'} there")
    for place in (folder, folder / "velodyne"):
        scans = sorted(place.glob("*.bin"))
        if scans:
            return scans
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    got = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "") or "an empty folder"
    raise ConfigError(f"{expected}, got {got}")


def street_scans(n: int, stopped: Callable[[], bool]) -> Iterator[np.ndarray]:
    """``n`` scans of the simulated street, computed on every core; ends early once ``stopped()``.

    They take some tenths of a second each, too long to be made while playing.
    """
    workers = min(os.cpu_count() or 1, 4, n)
    with multiprocessing.get_context("spawn").Pool(workers, _ignore_interrupts) as pool:
        for scan in pool.imap(street_scan, range(n)):
            if stopped():
                return
            yield scan


def file_scans(files: list[Path], n: int, stopped: Callable[[], bool]) -> Iterator[np.ndarray]:
    """``n`` scans of the files in order, from the start again where there are fewer; each file is read once.

    Raises:
        DataError, CloudError: a file cannot be read.
    """
    read: list[np.ndarray] = []
    for number in range(n):
        if stopped():
            return
        if number < len(files):
            read.append(read_scan(files[number]).points)
        yield read[number % len(files)]


def _ignore_interrupts() -> None:
    """The pool's owner ends it; a terminal's Ctrl-C reaches every process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
