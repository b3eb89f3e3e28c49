"""Calibration and poses of KITTI-360 in its official files: where cameras and LiDAR are, and how the car moves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.calibration import Calibration, finite_numbers
from pasco_core.data.datasets.calibration_table import CalibrationTable, square
from pasco_core.data.datasets.raw_bytes import read_text
from pasco_core.errors import DataError

PERSPECTIVE, CAMERA_TO_POSE, CAMERA_TO_LIDAR = "perspective.txt", "calib_cam_to_pose.txt", "calib_cam_to_velo.txt"
POSES = "poses.txt"


@dataclass(frozen=True)
class Kitti360Calibration:
    """Where the sensors of KITTI-360's car are.

    Args:
        cameras: LiDAR and the two perspective cameras as KITTI's: ``p2`` is image_00, ``p3`` image_01.
        lidar_in_pose: (4, 4) float64, LiDAR frame → frame of the GPS and inertial unit, whose poses are known.
    """

    cameras: Calibration
    lidar_in_pose: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> Kitti360Calibration:
        """From ``calibration/``: ``perspective.txt``, ``calib_cam_to_pose.txt`` and ``calib_cam_to_velo.txt``.

        Raises:
            DataError: one of the files is missing or breaks its format.
        """
        table = CalibrationTable(folder / PERSPECTIVE, "cameras and poses")
        in_pose = CalibrationTable(folder / CAMERA_TO_POSE, "poses").matrix("image_00", 3, 4)
        path = folder / CAMERA_TO_LIDAR
        text = read_text(path, "the calibration for cameras and poses")
        in_lidar = square(finite_numbers(text, 12, str(path)).reshape(3, 4))
        if abs(np.linalg.det(in_lidar)) < 1e-6:
            raise DataError(f"Expected the matrix in {path} to be invertible, got {in_lidar[:3].tolist()}")
        to_camera = np.linalg.inv(in_lidar)
        rectified = square(table.matrix("R_rect_00", 3, 3)) @ to_camera
        p2, p3 = (table.matrix(f"P_rect_{camera:02d}", 3, 4) for camera in range(2))
        return cls(Calibration(rectified, p2, p3=p3), square(in_pose) @ to_camera)


def read_poses(path: Path, calibration: Kitti360Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (M,) int64 of raw scans, ascending, and poses (M, 4, 4) float64 of the LiDAR in KITTI-360's world.

    Of ``poses.txt`` in the drive's folder of ``data_poses/``: a number and the 12 of a pose of the inertial unit in
    each line. Not every scan has one: there is none where the car stands.

    Raises:
        DataError: no such file, no line, a line that breaks its format, or numbers that do not ascend.
    """
    lines = [line for line in read_text(path, "poses").splitlines() if line.strip()]
    if not lines:
        raise DataError(f"Expected poses {path} to have lines of a frame's number and its pose, got none")
    rows = np.stack([finite_numbers(line, 13, f"line {i} of {path}") for i, line in enumerate(lines, 1)])
    numbers = rows[:, 0].astype(np.int64)
    wrong = (numbers != rows[:, 0]) | (np.diff(numbers, prepend=-1) <= 0)
    if wrong.any():
        line = int(np.argmax(wrong))
        raise DataError(f"Expected the first numbers in {path} to be frames, ascending, got {rows[line, 0]:g} in line "
                        f"{line + 1}")
    units = np.stack([square(row.reshape(3, 4)) for row in rows[:, 1:]])
    return numbers, units @ calibration.lidar_in_pose
