"""Writes small datasets byte by byte, without the code under test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SHAPE = (256, 256, 32)
TR = np.array([[0.0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3]])


def scan(seed: int, n: int = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(-50, 50, (n, 3)), rng.random(n)]).astype("<f4")


def raw_voxels() -> np.ndarray:
    """A road, a car of 12 voxels, a person of 8, and a bicycle of 4, which is too small to be an instance."""
    raw = np.zeros(SHAPE, "<u2")
    raw[0:100, 100:150, 5] = 40
    raw[20:23, 110:112, 6:8] = 10
    raw[40:42, 120:122, 6:8] = 254
    raw[60, 130:134, 6] = 11
    return raw


def invalid_voxels() -> np.ndarray:
    invalid = np.zeros(SHAPE, bool)
    invalid[200:, :, :] = True
    return invalid


def write_semantic_kitti(root: Path, sequences: tuple[str, ...] = ("00", "08"), n_scans: int = 6) -> Path:
    for sequence in sequences:
        folder = root / "sequences" / sequence
        for name in ("velodyne", "labels", "voxels"):
            (folder / name).mkdir(parents=True)
        for index in range(n_scans):
            points = scan(index)
            points.tofile(folder / "velodyne" / f"{index:06d}.bin")
            labels = np.full(len(points), 40 | 7 << 16, "<u4")
            labels[:5] = 0
            labels.tofile(folder / "labels" / f"{index:06d}.label")
            if index % 5 == 0:
                write_voxels(folder / "voxels", index)
        write_motion(folder, n_scans)
    return root


def write_voxels(folder: Path, index: int) -> None:
    raw_voxels().tofile(folder / f"{index:06d}.label")
    np.packbits(invalid_voxels()).tofile(folder / f"{index:06d}.invalid")
    np.packbits(raw_voxels() > 0).tofile(folder / f"{index:06d}.bin")
    np.packbits(np.zeros(SHAPE, bool)).tofile(folder / f"{index:06d}.occluded")


def write_motion(folder: Path, n_scans: int) -> None:
    p = " ".join(["700", "0", "600", "45", "0", "700", "180", "0.2", "0", "0", "1", "0.003"])
    tr = " ".join(str(value) for value in TR.ravel())
    lines = [f"P{i}: {p}" for i in range(4)] + [f"Tr: {tr}"]
    (folder / "calib.txt").write_text("\n".join(lines) + "\n")
    # The camera drives forward, along its z axis, one metre per scan.
    poses = [f"1 0 0 0 0 1 0 0 0 0 1 {index}" for index in range(n_scans)]
    (folder / "poses.txt").write_text("\n".join(poses) + "\n")
    (folder / "times.txt").write_text("".join(f"{0.1 * i:e}\n" for i in range(n_scans)))


def write_kitti_360(root: Path, drives: tuple[str, ...] = ("0006", "0009")) -> Path:
    match = ["a line that is no match", ""]
    for drive in drives:
        name = f"2013_05_28_drive_{drive}_sync"
        scans = root / "data_3d_raw" / name / "velodyne_points" / "data"
        labels = root / "labels" / name
        scans.mkdir(parents=True)
        labels.mkdir(parents=True)
        for frame, raw in ((0, 4), (5, 10)):
            match.append(f"{name} {raw:010d}.png {frame:06d}.png")
            scan(raw).tofile(scans / f"{raw:010d}.bin")
            np.save(labels / f"{frame:06d}_1_1.npy", kitti_360_voxels())
    (root / "kitti_360_match.txt").write_text("\n".join(match) + "\n")
    return root


def kitti_360_voxels() -> np.ndarray:
    classes = np.zeros(SHAPE, np.uint8)
    classes[0:100, 100:150, 5] = 7
    classes[20:23, 110:112, 6:8] = 1
    classes[200:] = 255
    return classes
