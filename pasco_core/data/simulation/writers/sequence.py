"""One simulated sequence on its way to the disk: what it is made of, in which layout, and which frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pasco_core.data.simulation.drive import SimulatedDrive, shared_drive
from pasco_core.data.simulation.sensing.beam_tables import sensor_named
from pasco_core.data.simulation.writers import kitti_360, semantic_kitti
from pasco_core.errors import ConfigError


class Layout(Protocol):
    """A module that knows where the files of a layout go."""

    def sequence_name(self, text: str) -> str:
        """Folder name of the sequence that a user calls ``text``."""
        ...

    def files(self, root: Path, name: str, frame: int, *, voxels: bool, image: bool) -> list[Path]:
        """All files of a frame."""
        ...

    def write_frame(
        self, root: Path, name: str, frame: int, drive: SimulatedDrive, *, voxels: bool, image: bool
    ) -> None:
        """Writes them."""
        ...


LAYOUTS: dict[str, Layout] = {"semantickitti": semantic_kitti, "kitti360": kitti_360}
"""Name on the command line → the module that writes it."""

MAX_FRAMES = 1_000_000
"""Files are numbered in six digits."""


@dataclass(frozen=True)
class Sequence:
    """A drive and how it is written.

    Args:
        root: folder of the dataset.
        layout: key of ``LAYOUTS``.
        name: folder name of the sequence.
        seed: of the drive.
        sensor: key of ``beam_tables.SENSORS``.
        n_frames: number of scans.
        voxels_every: every so many scans have voxel truth; 0: none.
        images: whether there are camera images.
        scans_every: only every so many frames are written, which keep their numbers.
    """

    root: Path
    layout: str
    name: str
    seed: int
    sensor: str
    n_frames: int
    voxels_every: int = 5
    images: bool = False
    scans_every: int = 1

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ConfigError(f"Expected the layout to be one of {', '.join(LAYOUTS)}, got {self.layout!r}")
        if not 1 <= self.n_frames <= MAX_FRAMES:
            raise ConfigError(f"Expected the number of frames to be 1 to {MAX_FRAMES:,}, got {self.n_frames:,}")
        if self.voxels_every < 0:
            raise ConfigError(f"Expected voxels_every to be 0 (none) or more, got {self.voxels_every}")
        if self.scans_every < 1:
            raise ConfigError(f"Expected scans_every to be at least 1, got {self.scans_every}")
        sensor_named(self.sensor)

    @property
    def frames(self) -> range:
        """Numbers of the frames that are written."""
        return range(0, self.n_frames, self.scans_every)

    def drive(self) -> SimulatedDrive:
        """What is written."""
        return shared_drive(self.seed, sensor_named(self.sensor))

    def parts(self, frame: int) -> dict[str, bool]:
        """What a frame has besides its points."""
        return {"voxels": self.voxels_every > 0 and frame % self.voxels_every == 0, "image": self.images}

    def is_written(self, frame: int) -> bool:
        """Whether every file of a frame is there."""
        files = LAYOUTS[self.layout].files(self.root, self.name, frame, **self.parts(frame))
        return all(path.is_file() for path in files)

    def write_frame(self, frame: int) -> None:
        """Writes every file of a frame, each of them whole or not at all.

        Raises:
            OSError: the folder is not writable or full.
        """
        LAYOUTS[self.layout].write_frame(self.root, self.name, frame, self.drive(), **self.parts(frame))


def write_frame(task: tuple[Sequence, int]) -> None:
    """Writes a frame of a sequence; frames in a row are best made one after the other, by the same process."""
    sequence, frame = task
    sequence.write_frame(frame)
