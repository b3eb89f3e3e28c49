"""A sequence of a dataset as a rosbag2: in files of some frames each, so that an interrupted run can go on."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from pasco_core.data.bags.sequence_messages import STATIC_TF_TOPIC, SequenceMessages
from pasco_core.data.bags.sequence_sources import SequenceSource, open_recording, source_of
from pasco_core.data.bags.writer import BagFormat, BagParts, BagWriter
from pasco_core.data.frame import Frame

FRAMES_PER_FILE = 50
MAX_FRAMES = 1_000_000
"""Files of a dataset are numbered in six digits."""

SEQUENCE_KEY, FRAMES_KEY = "pasco_sequence", "pasco_frames"
"""What metadata.yaml notes in ``custom_data``: the sequence's name, and the numbers of its frames as ranges."""


@dataclass(frozen=True)
class BagTask:
    """A sequence and how it becomes a bag; small and picklable.

    Args:
        out: folder of the bag.
        root: the dataset.
        truth_root: another folder of the same layout with the labels, or None.
        sequence: its folder's name.
        frames: their numbers, as ``ranges_of`` writes them.
        bag_format: storage, version, compression.
    """

    out: Path
    root: Path
    truth_root: Path | None
    sequence: str
    frames: str
    bag_format: BagFormat

    @property
    def parts(self) -> BagParts:
        """The bag's files."""
        return BagParts(self.out, self.bag_format.storage)

    def recipe(self) -> dict[str, object]:
        """What a run that goes on must have in common with the one before."""
        truth = None if self.truth_root is None else os.path.abspath(self.truth_root)
        return {"sequence": self.sequence, "frames": self.frames, "root": os.path.abspath(self.root),
                "truth_root": truth, **asdict(self.bag_format)}

    def custom_data(self) -> dict[str, str]:
        """What the bag notes about itself."""
        return {SEQUENCE_KEY: self.sequence, FRAMES_KEY: self.frames}


def split(frames: list[Frame]) -> list[list[Frame]]:
    """The frames of each file."""
    return [frames[first : first + FRAMES_PER_FILE] for first in range(0, len(frames), FRAMES_PER_FILE)]


def write_part(job: tuple[BagTask, int, list[Frame]]) -> int:
    """One file of a bag, whole or not at all; returns the number of its frames.

    Raises:
        DataError: a file of the dataset is missing or breaks its format.
        OSError: the folder is not writable or full.
    """
    task, number, frames = job
    source, messages = _opened(task)

    def fill(writer: BagWriter) -> None:
        start = source.stamp(frames[0])
        if number == 0 and (static := messages.static_message(start)) is not None:
            writer.write(STATIC_TF_TOPIC, start, static)
        for frame in frames:
            for topic, stamp, message in messages.messages(frame):
                writer.write(topic, stamp, message)

    task.parts.write(number, fill, messages.topics(), task.bag_format)
    return len(frames)


def ranges_of(numbers: list[int]) -> str:
    """Ascending numbers as text.

    >>> ranges_of([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def numbers_of(text: str) -> list[int]:
    """The numbers that ``ranges_of`` wrote.

    Raises:
        ValueError: no ascending numbers below ``MAX_FRAMES``.

    >>> numbers_of("0-2,5,7-8")
    [0, 1, 2, 5, 7, 8]
    """
    numbers: list[int] = []
    for part in text.split(","):
        start, _, end = part.partition("-")
        first, last = int(start), int(end or start)
        if not (numbers[-1] if numbers else -1) < first <= last < MAX_FRAMES:
            raise ValueError(f"{part[:20]!r}")
        numbers.extend(range(first, last + 1))
    return numbers


@lru_cache(maxsize=1)
def _opened(task: BagTask) -> tuple[SequenceSource, SequenceMessages]:
    """Opened once per process."""
    source = source_of(open_recording(task.root, task.truth_root), task.sequence)
    return source, SequenceMessages(source, [Frame(task.sequence, index) for index in numbers_of(task.frames)])
