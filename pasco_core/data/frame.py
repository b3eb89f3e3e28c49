"""One frame of a dataset: its name, and the truth about its voxels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from pasco_core.errors import DataError

UNKNOWN = 255
"""Label of a voxel of which nothing is known: never counted, for or against."""


@dataclass(frozen=True, order=True)
class Frame:
    """Names one scan of a dataset.

    Args:
        sequence: folder name of the drive, such as "08".
        index: number in the names of the frame's files.
    """

    sequence: str
    index: int

    def __str__(self) -> str:
        return f"{self.sequence}/{self.index:06d}"

    @classmethod
    def parse(cls, text: str) -> Frame:
        """The frame that ``str`` wrote.

        >>> Frame.parse("08/000005")
        Frame(sequence='08', index=5)
        """
        sequence, _, index = text.rpartition("/")
        if not sequence or not index.isdecimal():
            raise DataError(f"Expected a frame to be written SEQUENCE/NUMBER, such as 08/000005, got {text!r}")
        return cls(sequence, int(index))


@dataclass(frozen=True)
class VoxelTruth:
    """What is in every voxel of a frame's grid.

    Args:
        semantics: (X, Y, Z) uint8, class, 0 = empty, 255 = unknown.
        instances: (X, Y, Z) uint16, thing instance numbered from 1 without gaps, 0 = none.
    """

    semantics: np.ndarray
    instances: np.ndarray


def frame_seed(seed: int, frame: Frame) -> tuple[int, int, int]:
    """What a frame's own random numbers start from, whichever other frames are done with it, in any process.

    >>> frame_seed(7, Frame("08", 5))[::2]
    (7, 5)
    """
    digest = hashlib.sha256(frame.sequence.encode()).digest()
    return seed, int.from_bytes(digest[:4], "big"), frame.index
