"""kitti_360_match.txt of SSCBench: which raw KITTI-360 scan each frame of the benchmark is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from pasco_core.data.datasets.raw_bytes import read_text
from pasco_core.errors import DataError

FILE_NAME = "kitti_360_match.txt"
_LINE = re.compile(r"(?P<sequence>\S+)\s+(?P<raw>\d{1,10})\.png\s+(?P<frame>\d{1,10})\.png")


@dataclass(frozen=True)
class Match:
    """The table of the match file.

    Args:
        raw_scans: sequence → frame number → number of the raw scan.
        junk: numbers (from 1) of lines that are neither empty nor a match; the published file has a few.
        conflicts: numbers of lines that give a frame another raw scan than a line before; the later one counts.
    """

    raw_scans: dict[str, dict[int, int]]
    junk: tuple[int, ...] = ()
    conflicts: tuple[int, ...] = ()


def read_match(path: str | os.PathLike[str]) -> Match:
    """Lines ``<sequence> <raw number>.png <frame number>.png``; what is not such a line is skipped and counted.

    Raises:
        DataError: no such file, not text, or no line that is a match.
    """
    raw_scans: dict[str, dict[int, int]] = {}
    junk, conflicts = [], []
    for number, line in enumerate(read_text(path, "match file").splitlines(), 1):
        found = _LINE.fullmatch(line.strip())
        if found is None:
            if line.strip():
                junk.append(number)
            continue
        scans = raw_scans.setdefault(found["sequence"], {})
        frame, raw = int(found["frame"]), int(found["raw"])
        if scans.setdefault(frame, raw) != raw:
            conflicts.append(number)
            scans[frame] = raw
    if not raw_scans:
        rule = "lines '<sequence> <raw>.png <frame>.png'"
        raise DataError(f"Expected match file {path} to have {rule}, got none in {len(junk)} lines")
    return Match(raw_scans, tuple(junk), tuple(conflicts))
