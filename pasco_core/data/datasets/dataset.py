"""What every dataset reader offers, so that training, evaluation and tools are written once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from pasco_core.data.frame import Frame, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.geometry import VoxelGrid


class Dataset(Protocol):
    """Scans and voxel truth in one of the official layouts; opening reads no scan.

    Attributes:
        root: folder that was opened.
        labels: classes of the truth.
        grid: where the voxels of the truth are, in the LiDAR frame of each scan.
        splits: split name ("train", "val", "test") → sequences.
    """

    root: Path
    labels: LabelSet
    grid: VoxelGrid
    splits: dict[str, tuple[str, ...]]

    def sequences(self) -> tuple[str, ...]:
        """Sequences that are on disk, ascending."""
        ...

    def frames(
        self, split: str | None = None, sequences: Sequence[str] | None = None, *, with_truth: bool = True
    ) -> list[Frame]:
        """Frames on disk, ascending: of a split, of some sequences, or all; by default those with voxel truth.

        Raises:
            ConfigError: an unknown split or sequence.
            DataError: nothing there.
        """
        ...

    def points(self, frame: Frame) -> np.ndarray:
        """(N, 4) float32 x y z in metres in the LiDAR frame, and intensity."""
        ...

    def truth(self, frame: Frame) -> VoxelTruth:
        """Classes and thing instances of the frame's voxels."""
        ...
