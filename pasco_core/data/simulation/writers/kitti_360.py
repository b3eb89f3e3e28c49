"""SSCBench-KITTI-360's layout: scans, voxel labels, match file, calibration, poses; and exact instances beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.instance_files import instance_path, write_instances
from pasco_core.data.datasets.kitti_360 import LABEL_ENDING, full_name
from pasco_core.data.datasets.kitti_360_match import FILE_NAME
from pasco_core.data.datasets.kitti_360_motion import POSES
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.writers.files import read_lines, write_array, write_lines, write_npy, write_png
from pasco_core.data.simulation.writers.kitti_360_motion import (
    CAMERA_POSES,
    camera_pose_lines,
    unit_pose_lines,
    write_calibration,
)
from pasco_core.errors import ConfigError

IMAGE_SIZE = (1408, 376)
_OTHERWISE = {"bicyclist": "person", "motorcyclist": "person", "trunk": "vegetation"}


def _classes() -> np.ndarray:
    """(256,) uint8: SemanticKITTI's class → KITTI-360's, which has neither riders nor trunks of their own."""
    table = np.full(256, UNKNOWN, np.uint8)
    for index, name in enumerate(SEMANTIC_KITTI.class_names):
        table[index] = KITTI_360.class_names.index(_OTHERWISE.get(name, name))
    return table


CLASS_OF = _classes()


def sequence_name(text: str) -> str:
    """Folder name of a sequence, which may be given by its four digits alone.

    Raises:
        ConfigError: anything else.
    """
    digits = re.fullmatch(r"(?:2013_05_28_drive_)?([0-9]{2,4})(?:_sync)?", text)
    if digits is None:
        raise ConfigError(f"Expected a KITTI-360 sequence to be four digits, such as 0009, got {text!r}")
    return full_name(f"{int(digits[1]):04d}")


def files(root: Path, name: str, frame: int, *, voxels: bool, image: bool) -> list[Path]:
    """All files of a frame."""
    paths = [_scan_path(root, name, frame)]
    if voxels:
        paths += [_label_path(root, name, frame), instance_path(root, Frame(name, frame))]
    if image:
        paths.append(_image_path(root, name, frame))
    return paths


def write_match(root: Path, n_frames: dict[str, int]) -> None:
    """kitti_360_match.txt for sequences with so many frames; frame and raw scan have the same number."""
    lines = [f"{name} {i:010d}.png {i:06d}.png\n" for name, count in n_frames.items() for i in range(count)]
    write_lines(root / FILE_NAME, lines)


def write_tables(root: Path, name: str, n_frames: int, drive: SimulatedDrive) -> None:
    """The calibration, and the poses of a sequence in ``data_poses/``; lines that are there already are kept."""
    write_calibration(root / "calibration", IMAGE_SIZE)
    folder = root / "data_poses" / name
    for file, lines_of in ((POSES, unit_pose_lines), (CAMERA_POSES, camera_pose_lines)):
        lines = read_lines(folder / file)
        numbers = range(len(lines), n_frames)
        if numbers:
            write_lines(folder / file, lines + lines_of(numbers, np.stack([drive.pose(i) for i in numbers])))


def write_frame(
    root: Path, name: str, frame: int, drive: SimulatedDrive, *, voxels: bool, image: bool
) -> None:
    """All files of a frame."""
    write_array(_scan_path(root, name, frame), drive.scan(frame).points.astype("<f4"))
    if voxels:
        truth = drive.truth(frame)
        truth = VoxelTruth(CLASS_OF[truth.semantics], truth.instances)
        write_npy(_label_path(root, name, frame), truth.semantics)
        write_instances(instance_path(root, Frame(name, frame)), truth)
    if image:
        write_png(_image_path(root, name, frame), drive.image(frame, IMAGE_SIZE).rgb)


def _scan_path(root: Path, name: str, frame: int) -> Path:
    return root / "data_3d_raw" / name / "velodyne_points" / "data" / f"{frame:010d}.bin"


def _label_path(root: Path, name: str, frame: int) -> Path:
    return root / "labels" / name / f"{frame:06d}{LABEL_ENDING}"


def _image_path(root: Path, name: str, frame: int) -> Path:
    return root / "data_2d_raw" / name / "image_00" / "data_rect" / f"{frame:010d}.png"
