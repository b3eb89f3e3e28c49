"""timestamps.txt of KITTI's and KITTI-360's recordings: the date and time of day of every file of a sensor."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np

from pasco_core.data.datasets.raw_bytes import read_text
from pasco_core.errors import DataError

_LINE = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{1,9})?")


def read_timestamps(path: str | os.PathLike[str], numbers: Sequence[int], what: str) -> np.ndarray:
    """(N,) int64 ns since 1970 of a sensor's files, the time of day taken for UTC.

    Line i, from 0, belongs to file number i; where there are just as many times as files, they belong to the files
    in turn, since files are missing in some published drives.

    Args:
        path: the file, one ``2011-09-26 13:02:25.964389445`` per line.
        numbers: of the files on disk, ascending.
        what: whose times these are, for messages.

    Raises:
        DataError: no such file, a line that is no time, or none for a file.
    """
    lines = [line.strip() for line in read_text(path, f"the times of {what}").splitlines()]
    times = [line for line in lines if line]
    if len(times) == len(numbers):
        return np.array([_nanoseconds(line, path) for line in times], np.int64)
    for number in numbers:
        if number >= len(lines) or not lines[number]:
            got = f"{len(times)} times for {len(numbers)} files"
            raise DataError(f"Expected {path} to have a time in line {number + 1}, for file {number:010d}, got {got}")
    return np.array([_nanoseconds(lines[number], path) for number in numbers], np.int64)


def _nanoseconds(text: str, path: str | os.PathLike[str]) -> int:
    try:
        if not _LINE.fullmatch(text):
            raise ValueError
        return int(np.datetime64(text, "ns").astype(np.int64))
    except ValueError:
        rule = "times such as 2011-09-26 13:02:25.964389445"
        raise DataError(f"Expected {path} to hold {rule}, got {text[:60]!r}") from None
