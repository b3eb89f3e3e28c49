"""SemanticKITTI's layout: scans, point labels, voxels, poses, calibration, images; and exact instances beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.calibration import pose_lines, time_lines
from pasco_core.data.datasets.instance_files import instance_path, write_instances
from pasco_core.data.datasets.semantic_kitti_ids import RAW_OF_CLASS
from pasco_core.data.datasets.voxel_files import BIT_ENDINGS, voxel_path, write_bits, write_labels
from pasco_core.data.frame import Frame
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.drive import FRAME_RATE, SimulatedDrive
from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION
from pasco_core.data.simulation.sensing.lidar import LabelledScan
from pasco_core.data.simulation.writers.files import read_lines, write_array, write_lines, write_png
from pasco_core.errors import ConfigError

_LARGEST_INSTANCE = 2**15 - 1
_MOVING = {
    "car": 252, "bicyclist": 253, "person": 254, "motorcyclist": 255, "truck": 258, "other-vehicle": 259
}
_RAW_OF_MOVING = RAW_OF_CLASS.copy()
for _name, _raw in _MOVING.items():
    _RAW_OF_MOVING[SEMANTIC_KITTI.class_names.index(_name)] = _raw


def sequence_name(text: str) -> str:
    """Folder name of a sequence: two digits.

    Raises:
        ConfigError: anything else.
    """
    if not re.fullmatch(r"[0-9]{2}", text):
        raise ConfigError(f"Expected a SemanticKITTI sequence to be two digits, such as 00, got {text!r}")
    return text


def files(root: Path, name: str, frame: int, *, voxels: bool, image: bool) -> list[Path]:
    """All files of a frame."""
    folder = root / "sequences" / name
    paths = [folder / "velodyne" / f"{frame:06d}.bin", folder / "labels" / f"{frame:06d}.label"]
    if voxels:
        paths += [voxel_path(folder, frame, ending) for ending in (*BIT_ENDINGS, ".label")]
        paths.append(instance_path(root, Frame(name, frame)))
    if image:
        paths.append(folder / "image_2" / f"{frame:06d}.png")
    return paths


def write_tables(root: Path, name: str, n_frames: int, drive: SimulatedDrive) -> None:
    """calib.txt, poses.txt and times.txt of a sequence; lines that are there already are kept."""
    folder = root / "sequences" / name
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "calib.txt").is_file():
        KITTI_CALIBRATION.write(folder / "calib.txt")
    poses, times = read_lines(folder / "poses.txt"), read_lines(folder / "times.txt")
    if len(poses) < n_frames:
        start = np.linalg.inv(drive.pose(0))
        new = np.stack([start @ drive.pose(i) for i in range(len(poses), n_frames)])
        write_lines(folder / "poses.txt", poses + pose_lines(new, KITTI_CALIBRATION))
    if len(times) < n_frames:
        write_lines(folder / "times.txt", times + time_lines(np.arange(len(times), n_frames) / FRAME_RATE))


def write_frame(
    root: Path, name: str, frame: int, drive: SimulatedDrive, *, voxels: bool, image: bool
) -> None:
    """All files of a frame."""
    folder = root / "sequences" / name
    scan = drive.scan(frame)
    write_array(folder / "velodyne" / f"{frame:06d}.bin", scan.points.astype("<f4"))
    write_array(folder / "labels" / f"{frame:06d}.label", point_labels(scan))
    if voxels:
        _write_voxels(root, name, frame, drive)
    if image:
        write_png(folder / "image_2" / f"{frame:06d}.png", drive.image(frame).rgb)


def point_labels(scan: LabelledScan) -> np.ndarray:
    """(N,) little-endian uint32: raw id of the class, with its own ids for things that move, and instance << 16.

    Instances are the world's numbers in 15 bits; numbers beyond start again from 1. The 16th bit stays free, because
    the official panoptic evaluation multiplies labels in int64, which overflows with it.
    """
    raw = np.where(scan.moving, _RAW_OF_MOVING[scan.semantics], RAW_OF_CLASS[scan.semantics]).astype(np.uint32)
    instances = np.where(scan.instances > 0, (scan.instances - 1) % _LARGEST_INSTANCE + 1, 0).astype(np.uint32)
    return (raw | (instances << np.uint32(16))).astype("<u4")


def _write_voxels(root: Path, name: str, frame: int, drive: SimulatedDrive) -> None:
    """What a measured point lies in is never invalid, and what is invalid is occluded."""
    folder = root / "sequences" / name
    (folder / "voxels").mkdir(parents=True, exist_ok=True)
    complete = drive.voxels(frame)
    write_bits(voxel_path(folder, frame, ".bin"), drive.measured(frame))
    write_bits(voxel_path(folder, frame, ".invalid"), complete.unknown)
    write_bits(voxel_path(folder, frame, ".occluded"), drive.hidden(frame) | complete.unknown)
    write_labels(voxel_path(folder, frame, ".label"), RAW_OF_CLASS[complete.semantics])
    write_instances(instance_path(root, Frame(name, frame)), complete.truth())
