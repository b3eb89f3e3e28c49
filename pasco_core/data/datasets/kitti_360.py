"""SSCBench-KITTI-360 in its official layout: raw KITTI-360 scans, and the benchmark's voxel labels."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.folders import is_folder, numbered_files, subfolders
from pasco_core.data.datasets.instance_files import FOLDER as INSTANCES
from pasco_core.data.datasets.instance_files import check_classes, frame_truth
from pasco_core.data.datasets.kitti_360_match import FILE_NAME, Match, read_match
from pasco_core.data.datasets.kitti_360_motion import PERSPECTIVE, POSES, Kitti360Calibration, read_poses
from pasco_core.data.datasets.raw_bytes import file_size
from pasco_core.data.datasets.scans import read_image, read_kitti_scan
from pasco_core.data.datasets.selection import chosen_sequences, require_frames
from pasco_core.data.frame import Frame, VoxelTruth
from pasco_core.data.label_set import KITTI_360
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID

LABEL_ENDING = "_1_1.npy"
_LABEL_FOLDERS = ("labels", "preprocess/labels")
_SHORT_NAME = re.compile(r"(?:.*drive_)?(\d{4})(?:_sync)?")


class Kitti360:
    """Scans and voxel truth of SSCBench-KITTI-360; opening lists no more than the sequences.

    Args:
        root: folder that holds ``data_3d_raw/``, ``labels/`` (or ``preprocess/labels/``) and ``kitti_360_match.txt``.
        truth_root: another such folder, in which labels and the match file are looked up first.

    Raises:
        DataError: neither scans nor labels there.
    """

    labels = KITTI_360
    grid = KITTI_GRID

    def __init__(self, root: str | os.PathLike[str], truth_root: str | os.PathLike[str] | None = None):
        self.root = Path(root)
        if not is_kitti_360(self.root):
            raise DataError(f"Expected {root} to hold data_3d_raw/ or labels/, got neither")
        self.truth_root = Path(truth_root) if truth_root is not None else self.root
        self.splits: dict[str, tuple[str, ...]] = {
            "train": tuple(map(full_name, ("0000", "0002", "0003", "0004", "0005", "0007", "0010"))),
            "val": (full_name("0006"),),
            "test": (full_name("0009"),),
        }

    def __reduce__(self) -> tuple:
        return type(self), (self.root, self.truth_root)

    def sequences(self) -> tuple[str, ...]:
        """Sequences that are on disk, with scans or labels, ascending."""
        folders = [self.root / "data_3d_raw", *self.label_folders()]
        names = {name for folder in folders for name in subfolders(folder) if _SHORT_NAME.fullmatch(name)}
        return tuple(sorted(names))

    def frames(
        self, split: str | None = None, sequences: Sequence[str] | None = None, *, with_truth: bool = True
    ) -> list[Frame]:
        """Frames on disk, ascending: of a split, of some sequences, or all.

        Args:
            split: "train", "val" or "test".
            sequences: names such as "2013_05_28_drive_0009_sync", or "0009" for short.
            with_truth: frames with voxel labels (``_1_1.npy``) or instance labels; otherwise every frame of the match
                file whose scan is there.

        Raises:
            ConfigError: an unknown split or sequence.
            DataError: nothing there, or no match file.
        """
        chosen = chosen_sequences(self.sequences(), self.splits, split, sequences, self.root, same=same_sequence)
        numbers = self._truth_numbers if with_truth else self._scan_numbers
        found = [Frame(name, index) for name in chosen for index in numbers(name)]
        what = f"voxel labels (labels/*/*{LABEL_ENDING}) or instance labels" if with_truth else "scans (data_3d_raw)"
        return require_frames(found, what, chosen, self.root, self.truth_root if with_truth else self.root)

    def points(self, frame: Frame) -> np.ndarray:
        """(N, 4) float32 x y z in metres in the LiDAR frame, and intensity 0 to 1.

        Raises:
            DataError: the match file is missing or does not name the frame, no scan, not a multiple of 16 bytes, or
                values that are not finite.
        """
        return read_kitti_scan(self.scan_path(frame))

    def truth(self, frame: Frame) -> VoxelTruth:
        """Classes and thing instances of the frame's voxels.

        From the first folder, the truth folder before the root, that has some: from its instance label file, else from
        its ``.npy``, whose instances are then connected components.

        Raises:
            DataError: no truth for this frame, or a file that breaks its format.
        """
        def has_voxels(root: Path) -> bool:
            return any(path.is_file() for path in self._label_paths(frame, root))

        return frame_truth(
            frame, self._truth_roots(), has_voxels, self.voxel_classes, self.labels, self.grid.shape
        )

    def voxel_classes(self, frame: Frame) -> np.ndarray:
        """Classes (X, Y, Z) uint8 from the ``.npy``, 255 = unknown.

        Raises:
            DataError: no such file, or not whole numbers 0 to 18 and 255 of the grid's shape.
        """
        path = self.label_path(frame)
        array = self._load(path)
        if array.dtype == np.uint8:
            classes = np.array(array)
        else:
            with np.errstate(invalid="ignore"):  # what does not fit is found by the comparison
                classes = array.astype(np.uint8)
            wrong = classes != array
            if wrong.any():
                raise DataError(f"Expected the classes in {path} to be whole and 0 to 255, got {array[wrong][0]}")
        check_classes(classes, self.labels, path)
        return classes

    def image(self, frame: Frame) -> np.ndarray:
        """(H, W, 3) uint8 RGB of the left perspective camera (image_00).

        Raises:
            DataError: the match file is missing or does not name the frame, no such image, or no image.
        """
        return read_image(self.image_path(frame))

    def image_path(self, frame: Frame, camera: int = 0) -> Path:
        """Where the image of a perspective camera is: by default that of the left one, 1 is the right one.

        Raises:
            DataError: the match file is missing or does not name the frame.
        """
        name = f"{self.raw_number(frame):010d}.png"
        return self.root / "data_2d_raw" / frame.sequence / f"image_{camera:02d}" / "data_rect" / name

    @cached_property
    def calibration(self) -> Kitti360Calibration:
        """Where cameras, LiDAR and inertial unit are.

        Raises:
            DataError: a file of ``calibration/`` is missing or breaks its format.
        """
        return Kitti360Calibration.read(self.calibration_path.parent)

    def poses(self, sequence: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (M,) int64 of raw scans, and poses (M, 4, 4) float64 of the LiDAR then, in KITTI-360's world.

        Raises:
            DataError: no calibration, no ``data_poses/<sequence>/poses.txt``, or one that breaks its format.
        """
        return read_poses(self.poses_path(sequence), self.calibration)

    @property
    def calibration_path(self) -> Path:
        """The calibration of the perspective cameras; beside it lie those of LiDAR and inertial unit."""
        return self.root / "calibration" / PERSPECTIVE

    def poses_path(self, sequence: str) -> Path:
        """Where the poses of a sequence are."""
        return self.root / "data_poses" / sequence / POSES

    def scan_path(self, frame: Frame) -> Path:
        """Where the scan's points are.

        Raises:
            DataError: the match file is missing or does not name the frame.
        """
        return self.scan_folder(frame.sequence) / f"{self.raw_number(frame):010d}.bin"

    def label_path(self, frame: Frame) -> Path:
        """A frame's voxel labels: in the truth folder if they are there, else in the root."""
        paths = [path for root in self._truth_roots() for path in self._label_paths(frame, root)]
        there = (path for path in paths if path.is_file())
        return next(there, next((path for path in paths if is_folder(path.parent.parent)), paths[0]))

    @cached_property
    def match(self) -> Match:
        """The table from frames to raw scans.

        Raises:
            DataError: no match file, or none of its lines is a match.
        """
        return read_match(self.match_path)

    @property
    def match_path(self) -> Path:
        """The match file: in the truth folder, the root, or their ``preprocess/``."""
        folders = [folder for root in self._truth_roots() for folder in (root, root / "preprocess")]
        paths = [folder / FILE_NAME for folder in folders]
        return next((path for path in paths if path.is_file()), self.root / FILE_NAME)

    def scan_folder(self, sequence: str) -> Path:
        """Where the raw scans of a sequence are."""
        return self.root / "data_3d_raw" / sequence / "velodyne_points" / "data"

    def label_folders(self, *roots: Path) -> list[Path]:
        """Folders on disk with a folder of voxel labels per sequence: of some roots, or the truth folder's first."""
        folders = [root / name for root in roots or self._truth_roots() for name in _LABEL_FOLDERS]
        return [folder for folder in folders if is_folder(folder)]

    def check_label_header(self, path: Path) -> None:
        """A file of voxel labels is a whole ``.npy`` of the right shape; its values are not looked at.

        Raises:
            DataError: it is not.
        """
        self._load(path)

    def scan_path_if_matched(self, frame: Frame) -> Path | None:
        """Where the scan's points are; None where no match file says so."""
        try:
            return self.scan_path(frame)
        except DataError:
            return None

    def numbers_on_disk(self, sequence: str) -> set[int]:
        """Numbers of all frames of which voxel truth or a matched scan is there."""
        try:
            scans = self._scan_numbers(sequence)
        except DataError:  # no match file
            scans = []
        return {*scans, *self._truth_numbers(sequence)}

    def raw_number(self, frame: Frame) -> int:
        """Number of the raw scan that a frame is.

        Raises:
            DataError: the match file is missing or does not name the frame.
        """
        number = self.match.raw_scans.get(frame.sequence, {}).get(frame.index)
        if number is None:
            line = f"'{frame.sequence} <raw>.png {frame.index:06d}.png'"
            raise DataError(f"Expected match file {self.match_path} to have a line {line}, got none")
        return number

    @staticmethod
    def _label_paths(frame: Frame, root: Path) -> list[Path]:
        """Where a frame's voxel labels may be."""
        return [root / folder / frame.sequence / f"{frame.index:06d}{LABEL_ENDING}" for folder in _LABEL_FOLDERS]

    def _truth_roots(self) -> tuple[Path, ...]:
        return (self.truth_root,) if self.truth_root == self.root else (self.truth_root, self.root)

    def _scan_numbers(self, sequence: str) -> list[int]:
        present = set(numbered_files(self.scan_folder(sequence), ".bin", digits=10))
        return sorted(frame for frame, raw in self.match.raw_scans.get(sequence, {}).items() if raw in present)

    def _truth_numbers(self, sequence: str) -> list[int]:
        numbers: set[int] = set()
        for folder in self.label_folders():
            numbers.update(numbered_files(folder / sequence, LABEL_ENDING))
        for root in self._truth_roots():
            numbers.update(numbered_files(root / INSTANCES / sequence, ".npz"))
        return sorted(numbers)

    def _load(self, path: Path) -> np.ndarray:
        """The array, memory-mapped, so that a wrong one is refused by its header."""
        file_size(path, "voxel labels")
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, SyntaxError) as error:
            raise DataError(f"Expected voxel labels {path} to be a whole .npy file of numbers, got: {error}") from error
        rule = f"numbers of shape {self.grid.shape}"
        if not isinstance(array, np.ndarray):  # an .npz under this name
            raise DataError(f"Expected voxel labels {path} to be {rule}, got an archive of arrays")
        if array.shape != self.grid.shape or array.dtype.kind not in "uif":
            raise DataError(f"Expected voxel labels {path} to be {rule}, got {array.dtype} of shape {array.shape}")
        return array


def full_name(short: str) -> str:
    """Folder name of a drive.

    >>> full_name("0009")
    '2013_05_28_drive_0009_sync'
    """
    return f"2013_05_28_drive_{short}_sync"


def same_sequence(name: str, other: str) -> bool:
    """Whether two names mean the same drive; the drive's four digits say it.

    >>> same_sequence("2013_05_28_drive_0009_sync", "0009")
    True
    """
    first, second = _SHORT_NAME.fullmatch(name), _SHORT_NAME.fullmatch(other)
    return name == other or bool(first and second and first[1] == second[1])


def is_kitti_360(root: str | os.PathLike[str]) -> bool:
    """Whether a folder holds raw KITTI-360 scans or SSCBench's labels."""
    root = Path(root)
    if is_folder(root / "data_3d_raw"):
        return True
    folders = (root / name for name in _LABEL_FOLDERS)
    return any(_SHORT_NAME.fullmatch(name) for folder in folders for name in subfolders(folder))
