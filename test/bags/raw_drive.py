"""Writes a small drive of KITTI's raw recordings in the official layout, file by file, without the code under test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from dataset_trees import scan
from PIL import Image

DATE, DRIVE = "2011_09_26", "2011_09_26_drive_0001_sync"
START = datetime(2011, 9, 26, 13, 2, 25)
LATITUDE, LONGITUDE, HEIGHT = 49.0, 8.4, 115.0
METRE = 180 / (np.pi * 6378137.0)
"""Degrees of latitude that are a metre."""

R_RECT = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
VELO_TO_CAM = np.array([[0.0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3]])
IMU_TO_VELO = np.array([[1.0, 0, 0, -0.8], [0, 1, 0, 0.3], [0, 0, 1, 0.8]])
P_RECT = [np.array([[700.0, 0, 600, 10 * i], [0, 700, 180, i], [0, 0, 1, 0.001 * i]]) for i in range(4)]
DISTORTION = (-0.37, 0.2, 0.001, 0.002, -0.07)


def pixels_of(index: int, camera: int) -> np.ndarray:
    return np.random.default_rng([index, camera]).integers(0, 256, (6, 10, 3), np.uint8)


def row(name: str, values: Sequence[float] | np.ndarray) -> str:
    return f"{name}: " + " ".join(f"{value:e}" for value in np.asarray(values).reshape(-1)) + "\n"


def times(seconds: Sequence[float]) -> str:
    """Lines with nanoseconds, and the empty one at the end that the published files have."""
    stamps = [START + timedelta(seconds=s) for s in seconds]
    return "".join(stamp.strftime("%Y-%m-%d %H:%M:%S.%f") + "123\n" for stamp in stamps) + "\n"


def oxts(east: float, north: float, yaw: float, height: float = HEIGHT) -> str:
    """A place some metres from the start, where a metre is ``METRE`` to the north and more degrees to the east."""
    place = [LATITUDE + north * METRE, LONGITUDE + east * METRE / np.cos(np.radians(LATITUDE)), height, 0.0, 0.0, yaw]
    return " ".join(repr(float(value)) for value in place + [0.0] * 19) + " 4 11 6 4 0\n"


def write_drive(root: Path, way: Sequence[tuple[float, float, float]], *, images: bool = True) -> Path:
    """A drive with a scan, images and a place (east, north, yaw) per tenth of a second; returns its folder."""
    date = root / DATE
    drive = date / DRIVE
    seconds = np.arange(len(way)) / 10
    for sensor, delay in (("velodyne_points", 0.0), ("oxts", 0.004), ("image_02", 0.002), ("image_03", 0.002)):
        if sensor.startswith("image") and not images:
            continue
        (drive / sensor / "data").mkdir(parents=True)
        (drive / sensor / "timestamps.txt").write_text(times(seconds + delay))
    for i, place in enumerate(way):
        scan(i).tofile(drive / "velodyne_points" / "data" / f"{i:010d}.bin")
        (drive / "oxts" / "data" / f"{i:010d}.txt").write_text(oxts(*place))
        for camera in (2, 3) if images else ():
            picture = drive / f"image_{camera:02d}" / "data" / f"{i:010d}.png"
            Image.fromarray(pixels_of(i, camera)).save(picture)
    head = "calib_time: 15-Mar-2012 11:37:16\n"
    (date / "calib_velo_to_cam.txt").write_text(
        head + row("R", VELO_TO_CAM[:, :3]) + row("T", VELO_TO_CAM[:, 3]) + row("delta_f", [0, 0])
    )
    (date / "calib_imu_to_velo.txt").write_text(head + row("R", IMU_TO_VELO[:, :3]) + row("T", IMU_TO_VELO[:, 3]))
    lines = [head, row("corner_dist", [0.0995])]
    for i in range(4):
        lines += [row(f"S_{i:02d}", [1392, 512]), row(f"K_{i:02d}", np.eye(3)), row(f"D_{i:02d}", DISTORTION),
                  row(f"S_rect_{i:02d}", [10, 6]), row(f"R_rect_{i:02d}", R_RECT), row(f"P_rect_{i:02d}", P_RECT[i])]
    (date / "calib_cam_to_cam.txt").write_text("".join(lines))
    return drive
