"""A dataset's scans corrupted one by one, written in the layout they came in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pasco_core.atomic_write import atomic_write
from pasco_core.data.datasets import Kitti360, SemanticKitti, open_dataset
from pasco_core.data.frame import Frame, frame_seed
from pasco_core.data.simulation.corruptions.corrupted import ADDED, Corrupted
from pasco_core.data.simulation.corruptions.registry import check_choice, corrupt
from pasco_core.errors import CloudError, ConfigError

RECIPE = "corruption.json"
"""File in the output's root that says how it was made."""

OUTLIER = 1
"""SemanticKITTI's raw id of a return that is no surface; the learning maps ignore it."""

_FIRST_VEHICLE, _LAST_PERSON = 1, 8
_SCAN_FOLDERS = ("sequences", "dataset", "data_3d_raw")
_SIDE_FILES = ("calib.txt", "poses.txt", "times.txt")


@dataclass(frozen=True)
class Recipe:
    """What is done to every scan.

    Args:
        corruption: one of ``CORRUPTIONS``.
        level: one of ``LEVELS``.
        seed: from 0; every frame has its own random numbers, whatever else is done in the same run.
        things_from_labels: whether ``incomplete_echo`` finds vehicles and people by the point labels.
    """

    corruption: str
    level: str
    seed: int = 0
    things_from_labels: bool = False

    def __post_init__(self) -> None:
        check_choice(self.corruption, self.level)
        if self.things_from_labels and self.corruption != "incomplete_echo":
            raise ConfigError(f"Expected things from labels only for incomplete_echo, got {self.corruption}")


@dataclass(frozen=True)
class Written:
    """Counts of one frame: points ``clean``, ``kept`` and ``added``; all 0 where the frame had been done before."""

    clean: int = 0
    kept: int = 0
    added: int = 0


class CorruptedDataset:
    """Writes the scans of ``root`` under ``out``, and point labels where there are some; picklable for processes.

    Args:
        root: dataset in SemanticKITTI's or SSCBench-KITTI-360's layout; nothing in it is changed.
        out: folder of the new dataset.
        recipe: what is done.

    Raises:
        ConfigError: ``out`` is the dataset itself or a folder in it; the recipe needs labels that its layout lacks.
        DataError: no dataset at ``root``.
    """

    def __init__(self, root: Path, out: Path, recipe: Recipe):
        dataset = open_dataset(root)
        if not isinstance(dataset, (SemanticKitti, Kitti360)):
            raise ConfigError(f"Expected a dataset with scans in files, got {type(dataset).__name__}")
        self.dataset: SemanticKitti | Kitti360 = dataset
        self.out, self.recipe = out, recipe
        inside = out.resolve()
        if {Path(root).resolve(), self.dataset.root.resolve()} & {inside, *inside.parents}:
            raise ConfigError(f"Expected the output to be outside of the dataset {root}, got {out}")
        if recipe.things_from_labels and not isinstance(self.dataset, SemanticKitti):
            raise ConfigError(f"Expected a dataset with point labels, got {root} in a layout without them")

    def prepare(self, frames: list[Frame]) -> None:
        """Writes the recipe, and copies what readers need besides scans: calibration, poses, times, the match file.

        Raises:
            ConfigError: ``out`` cannot be made, or holds scans made by another recipe or from another dataset.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"{self.out} ({error.strerror or error})"
            raise ConfigError(f"Expected the output to be a folder that can be made, got {reason}") from error
        text = json.dumps({**asdict(self.recipe), "source": str(self.dataset.root.resolve())}, indent=2) + "\n"
        recipe = self.out / RECIPE
        known = recipe.read_bytes() if recipe.exists() else None
        scans = any((self.out / name).exists() for name in _SCAN_FOLDERS)
        if known not in (None, text.encode()) or (known is None and scans):
            got = f"another {recipe}" if known is not None else f"scans without {RECIPE}"
            raise ConfigError(
                f"Expected {self.out} to hold no scans, or some made from the same dataset with the same corruption, "
                f"level and seed, got {got}"
            )
        if known is None:
            _write(recipe, text.encode())
        for path in self._side_files(frames):
            target = self.out / path.relative_to(self.dataset.root)
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(target, path.read_bytes())

    def write(self, frame: Frame) -> Written:
        """Corrupts one frame; the scan comes last, so that where it is, everything is.

        Raises:
            CloudError: a scan without points or with intensities outside 0 to 1.
            DataError: a scan or label file that breaks its format.
        """
        target = self.scan_path(frame)
        if target.exists():
            return Written()
        clean, result = self.corrupted(frame)
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(self.dataset, SemanticKitti) and self.dataset.point_label_path(frame).exists():
            labels = _raw_labels(self.dataset, frame)
            path = self.out / self.dataset.point_label_path(frame).relative_to(self.dataset.root)
            path.parent.mkdir(parents=True, exist_ok=True)
            new = np.where(result.source == ADDED, np.uint32(OUTLIER), labels[result.source])
            _write(path, new.astype("<u4").tobytes())
        _write(target, result.points.astype("<f4").tobytes())
        added = int(np.count_nonzero(result.source == ADDED))
        return Written(len(clean), len(result) - added, added)

    def corrupted(self, frame: Frame) -> tuple[np.ndarray, Corrupted]:
        """The clean points (N, 4) of a frame, and what the recipe makes of them."""
        clean = self.dataset.points(frame)
        things = None
        if self.recipe.things_from_labels and isinstance(self.dataset, SemanticKitti):
            classes = self.dataset.point_labels(frame)[0]
            things = (classes >= _FIRST_VEHICLE) & (classes <= _LAST_PERSON)
        seed = frame_seed(self.recipe.seed, frame)
        try:
            return clean, corrupt(clean, self.recipe.corruption, self.recipe.level, seed, things)
        except CloudError as error:
            raise CloudError(f"scan {self.dataset.scan_path(frame)}: {error}", error.code) from error

    def scan_path(self, frame: Frame) -> Path:
        """Where the corrupted scan is or will be."""
        return self.out / self.dataset.scan_path(frame).relative_to(self.dataset.root)

    def _side_files(self, frames: list[Frame]) -> list[Path]:
        if isinstance(self.dataset, Kitti360):
            return [self.dataset.match_path]
        folders = sorted({self.dataset.scan_path(frame).parent.parent for frame in frames})
        return [folder / name for folder in folders for name in _SIDE_FILES]


def _raw_labels(dataset: SemanticKitti, frame: Frame) -> np.ndarray:
    """(N,) uint32 as in the label file: instance above raw id."""
    raw, instances = dataset.raw_point_labels(frame)
    return raw.astype(np.uint32) | instances.astype(np.uint32) << 16


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
