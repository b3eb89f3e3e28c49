"""SemanticKITTI in its official layout: scans, point and voxel labels, calibration, poses, images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.calibration import Calibration, read_poses, read_times
from pasco_core.data.datasets.folders import is_folder, numbered_files, subfolders
from pasco_core.data.datasets.instance_files import FOLDER as INSTANCES
from pasco_core.data.datasets.instance_files import frame_truth
from pasco_core.data.datasets.raw_bytes import read_exactly
from pasco_core.data.datasets.scans import count_points, read_image, read_kitti_scan
from pasco_core.data.datasets.selection import chosen_sequences, require_frames
from pasco_core.data.datasets.semantic_kitti_ids import point_classes, voxel_classes
from pasco_core.data.datasets.voxel_files import read_bits, read_labels, voxel_path
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID

FRAME_STEP = 5
"""Voxel truth is used for every fifth scan, as published."""


class SemanticKitti:
    """Scans and voxel truth of SemanticKITTI; opening lists no more than the sequences.

    Args:
        root: folder that holds ``sequences/``, or its parent with ``dataset/``.
        truth_root: another such folder, in which voxel and instance labels are looked up first.

    Raises:
        DataError: no ``sequences/`` there.
    """

    labels = SEMANTIC_KITTI
    grid = KITTI_GRID

    def __init__(self, root: str | os.PathLike[str], truth_root: str | os.PathLike[str] | None = None):
        self.root = sequences_root(root)
        if not is_folder(self.root / "sequences"):
            raise DataError(f"Expected {root} to hold sequences/ or dataset/sequences/, got neither")
        self.truth_root = sequences_root(truth_root) if truth_root is not None else self.root
        self.splits: dict[str, tuple[str, ...]] = {
            "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
            "val": ("08",),
            "test": tuple(f"{i:02d}" for i in range(11, 22)),
        }
        self._calibration = lru_cache(maxsize=None)(self._read_calibration)
        self._poses = lru_cache(maxsize=4)(self._read_poses)

    def __reduce__(self) -> tuple:
        return type(self), (self.root, self.truth_root)

    def sequences(self) -> tuple[str, ...]:
        """Sequences that are on disk, ascending."""
        return tuple(subfolders(self.root / "sequences"))

    def frames(
        self, split: str | None = None, sequences: Sequence[str] | None = None, *, with_truth: bool = True
    ) -> list[Frame]:
        """Frames on disk, ascending: of a split, of some sequences, or all.

        Args:
            split: "train", "val" or "test".
            sequences: names such as "08".
            with_truth: every fifth scan with voxel truth (``.label`` or instance labels); otherwise every scan.

        Raises:
            ConfigError: an unknown split or sequence.
            DataError: nothing there.
        """
        numbers = self._truth_numbers if with_truth else self._scan_numbers
        chosen = chosen_sequences(self.sequences(), self.splits, split, sequences, self.root)
        found = [Frame(name, index) for name in chosen for index in numbers(name)]
        what = "voxel labels (voxels/*.label) or instance labels" if with_truth else "scans (velodyne/*.bin)"
        return require_frames(found, what, chosen, self.root, self.truth_root if with_truth else self.root)

    def points(self, frame: Frame) -> np.ndarray:
        """(N, 4) float32 x y z in metres in the LiDAR frame, and intensity 0 to 1.

        Raises:
            DataError: no such file, not a multiple of 16 bytes, or values that are not finite.
        """
        return read_kitti_scan(self.scan_path(frame))

    def point_labels(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Class (N,) uint8, 255 = unlabelled, and instance (N,) uint16, 0 = none, of the points of a scan.

        Raises:
            DataError: no such file, not one label per point, or an id that the learning map does not list.
        """
        raw, instances = self.raw_point_labels(frame)
        return point_classes(raw, self.point_label_path(frame)), instances

    def raw_point_labels(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Raw id (N,) uint16 (it tells moving from parked cars) and instance (N,) uint16 of the points of a scan.

        Raises:
            DataError: no such file or no scan, or not one uint32 for each point of the scan.
        """
        points = count_points(self.scan_path(frame))
        rule = f"uint32 for each of {points} points"
        data = read_exactly(self.point_label_path(frame), "point labels", 4 * points, rule)
        halves = np.frombuffer(data, "<u2").reshape(-1, 2)
        return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])

    def truth(self, frame: Frame) -> VoxelTruth:
        """Classes and thing instances of the frame's voxels.

        From the first folder, the truth folder before the root, that has some: from its instance label file, else from
        its ``.label`` and ``.invalid``, whose instances are then connected components.

        Raises:
            DataError: no truth for this frame, or a file that breaks its format.
        """
        def has_voxels(root: Path) -> bool:
            return self._voxel_path_in(root, frame, ".label").is_file()

        return frame_truth(
            frame, self._truth_roots(), has_voxels, self.voxel_classes, self.labels, self.grid.shape
        )

    def voxel_classes(self, frame: Frame) -> np.ndarray:
        """Classes (X, Y, Z) uint8 from ``.label``, with 255 where the ``.invalid`` beside it says so.

        Raises:
            DataError: a file is missing or breaks its format.
        """
        path = self.voxel_path(frame, ".label")
        classes = voxel_classes(read_labels(path, self.grid.shape), path)
        classes[read_bits(path.with_suffix(".invalid"), self.grid.shape)] = UNKNOWN
        return classes

    def voxel_mask(self, frame: Frame, ending: str) -> np.ndarray:
        """Bool mask (X, Y, Z): ``.bin`` (input voxels), ``.invalid`` (never seen) or ``.occluded``.

        Raises:
            DataError: no such file, or not one bit per voxel.
        """
        return read_bits(self.voxel_path(frame, ending), self.grid.shape)

    def image(self, frame: Frame) -> np.ndarray:
        """(H, W, 3) uint8 RGB of the left colour camera (image_2).

        Raises:
            DataError: no such file, or no image.
        """
        return read_image(self.image_path(frame))

    def calibration(self, sequence: str) -> Calibration:
        """LiDAR and cameras of a sequence.

        Raises:
            DataError: no ``calib.txt``, or one that breaks its format.
        """
        return self._calibration(sequence)

    def poses(self, sequence: str) -> np.ndarray:
        """LiDAR poses (N, 4, 4) float64 of a sequence, in the frame of its first scan; read-only.

        Raises:
            DataError: no ``poses.txt`` or ``calib.txt``, or one that breaks its format.
        """
        return self._poses(sequence)

    def pose(self, frame: Frame) -> np.ndarray:
        """LiDAR pose (4, 4) float64 of a scan, in the frame of the sequence's first scan.

        Raises:
            DataError: no poses, or fewer than the frame's number.
        """
        poses = self.poses(frame.sequence)
        if frame.index >= len(poses):
            path = self.poses_path(frame.sequence)
            raise DataError(f"Expected {path} to have a line for scan {frame.index}, got {len(poses)} lines")
        return poses[frame.index]

    def times(self, sequence: str) -> np.ndarray:
        """Seconds (N,) float64 of each scan since the first.

        Raises:
            DataError: no ``times.txt``, or one that breaks its format.
        """
        return read_times(self._folder(sequence) / "times.txt")

    def scan_path(self, frame: Frame) -> Path:
        """Where the scan's points are."""
        return self._folder(frame.sequence) / "velodyne" / f"{frame.index:06d}.bin"

    def point_label_path(self, frame: Frame) -> Path:
        """Where the scan's point labels are."""
        return self._folder(frame.sequence) / "labels" / f"{frame.index:06d}.label"

    def image_path(self, frame: Frame, camera: int = 2) -> Path:
        """Where a camera's image is: by default that of the left colour camera, 3 is the right one."""
        return self._folder(frame.sequence) / f"image_{camera}" / f"{frame.index:06d}.png"

    def poses_path(self, sequence: str) -> Path:
        """The poses: beside the scans, as SemanticKITTI has them, or in ``poses/`` of the KITTI odometry benchmark."""
        own, benchmark = self._folder(sequence) / "poses.txt", self.root / "poses" / f"{sequence}.txt"
        return benchmark if benchmark.is_file() and not own.is_file() else own

    def voxel_path(self, frame: Frame, ending: str) -> Path:
        """A frame's voxel file: in the truth folder if it is there, else in the root."""
        paths = [self._voxel_path_in(root, frame, ending) for root in self._truth_roots()]
        return next((path for path in paths if path.is_file()), paths[0])

    def numbers_on_disk(self, sequence: str) -> set[int]:
        """Numbers of all frames of which a scan, point labels or any voxel truth is there."""
        labels = numbered_files(self._folder(sequence) / "labels", ".label")
        return {*self._scan_numbers(sequence), *labels, *self._all_truth_numbers(sequence)}

    def _folder(self, sequence: str) -> Path:
        return self.root / "sequences" / sequence

    @staticmethod
    def _voxel_path_in(root: Path, frame: Frame, ending: str) -> Path:
        return voxel_path(root / "sequences" / frame.sequence, frame.index, ending)

    def _truth_roots(self) -> tuple[Path, ...]:
        return (self.truth_root,) if self.truth_root == self.root else (self.truth_root, self.root)

    def _scan_numbers(self, sequence: str) -> list[int]:
        return numbered_files(self._folder(sequence) / "velodyne", ".bin")

    def _truth_numbers(self, sequence: str) -> list[int]:
        return sorted(n for n in self._all_truth_numbers(sequence) if n % FRAME_STEP == 0)

    def _all_truth_numbers(self, sequence: str) -> set[int]:
        numbers: set[int] = set()
        for root in self._truth_roots():
            numbers.update(numbered_files(root / "sequences" / sequence / "voxels", ".label"))
            numbers.update(numbered_files(root / INSTANCES / sequence, ".npz"))
        return numbers

    def _read_calibration(self, sequence: str) -> Calibration:
        return Calibration.read(self._folder(sequence) / "calib.txt")

    def _read_poses(self, sequence: str) -> np.ndarray:
        poses = read_poses(self.poses_path(sequence), self.calibration(sequence))
        poses.setflags(write=False)
        return poses


def sequences_root(root: str | os.PathLike[str]) -> Path:
    """The folder that holds, or would hold, ``sequences/``: ``root`` itself or its ``dataset/``."""
    root = Path(root)
    inner = root / "dataset"
    return inner if not is_folder(root / "sequences") and is_folder(inner / "sequences") else root
