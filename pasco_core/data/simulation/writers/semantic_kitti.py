"""SemanticKITTI's layout: scans, point labels, voxels, poses, calibration, images; and exact instances beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.calibration import write_poses, write_times
from pasco_core.data.datasets.instance_files import instance_path, write_instances
from pasco_core.data.datasets.semantic_kitti_ids import RAW_OF_CLASS
from pasco_core.data.datasets.voxel_files import BIT_ENDINGS, voxel_path, write_bits, write_labels
from pasco_core.data.frame import Frame
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.drive import FRAME_RATE, SimulatedDrive
from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION
from pasco_core.data.simulation.sensing.lidar import LabelledScan
from pasco_core.data.simulation.writers.files import write_array, write_png
from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID

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
    """calib.txt, poses.txt and times.txt of a sequence."""
    folder = root / "sequences" / name
    folder.mkdir(parents=True, exist_ok=True)
    KITTI_CALIBRATION.write(folder / "calib.txt")
    start = np.linalg.inv(drive.pose(0))
    write_poses(folder / "poses.txt", np.stack([start @ drive.pose(i) for i in range(n_frames)]), KITTI_CALIBRATION)
    write_times(folder / "times.txt", np.arange(n_frames) / FRAME_RATE)


def write_frame(
    root: Path, name: str, frame: int, drive: SimulatedDrive, *, voxels: bool, image: bool
) -> None:
    """All files of a frame."""
    folder = root / "sequences" / name
    scan = drive.scan(frame)
    write_array(folder / "velodyne" / f"{frame:06d}.bin", scan.points.astype("<f4"))
    write_array(folder / "labels" / f"{frame:06d}.label", point_labels(scan))
    if voxels:
        _write_voxels(root, name, frame, drive, scan)
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


def _write_voxels(root: Path, name: str, frame: int, drive: SimulatedDrive, scan: LabelledScan) -> None:
    folder = root / "sequences" / name
    (folder / "voxels").mkdir(parents=True, exist_ok=True)
    complete = drive.voxels(frame)
    write_bits(voxel_path(folder, frame, ".bin"), scan_voxels(scan.points))
    write_bits(voxel_path(folder, frame, ".invalid"), complete.unknown)
    write_bits(voxel_path(folder, frame, ".occluded"), drive.hidden(frame))
    write_labels(voxel_path(folder, frame, ".label"), RAW_OF_CLASS[complete.semantics])
    write_instances(instance_path(root, Frame(name, frame)), complete.truth())


def scan_voxels(points: np.ndarray) -> np.ndarray:
    """Bool of the KITTI grid's shape: voxels that hold a point of the scan (N, 4)."""
    mask = np.zeros(KITTI_GRID.shape, bool)
    mask[tuple(KITTI_GRID.voxel_of(points[KITTI_GRID.contains(points[:, :3]), :3]).T)] = True
    return mask
