"""The simulated car's calibration and poses in KITTI-360's official files, with the geometry of KITTI's car."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.calibration import number_text
from pasco_core.data.datasets.calibration_table import square
from pasco_core.data.datasets.kitti_360_motion import CAMERA_TO_LIDAR, CAMERA_TO_POSE, PERSPECTIVE
from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION
from pasco_core.data.simulation.writers.files import write_lines

CAMERA_POSES = "cam0_to_world.txt"
LIDAR_IN_UNIT = np.array([[1.0, 0, 0, 0.81], [0, -1, 0, 0.32], [0, 0, -1, -0.8], [0, 0, 0, 1]])
"""LiDAR frame → frame of the inertial unit (x forward, y right, z down), which sits behind, left of and below it."""

_INTRINSICS = KITTI_CALIBRATION.p2[:, :3]


def _lidar_to_camera(projection: np.ndarray) -> np.ndarray:
    """(4, 4) LiDAR frame → a camera's own frame, by its projection (3, 4) from the frame of KITTI's camera 0."""
    return square(np.linalg.inv(_INTRINSICS) @ projection) @ KITTI_CALIBRATION.tr


_CAMERAS = tuple(_lidar_to_camera(p) for p in (KITTI_CALIBRATION.p2, KITTI_CALIBRATION.p3) if p is not None)
"""image_00 and image_01 are the colour cameras of KITTI's car."""


def write_calibration(folder: Path, size: tuple[int, int]) -> None:
    """``perspective.txt``, ``calib_cam_to_pose.txt`` and ``calib_cam_to_velo.txt``; cameras are mounted rectified.

    Args:
        folder: ``calibration/``.
        size: width and height of the images in pixels.

    Raises:
        OSError: the folder cannot be made, is not writable or full.
    """
    lines, placed = ["calib_time: simulated\n"], []
    for camera, to_camera in enumerate(_CAMERAS):
        away = to_camera @ np.linalg.inv(_CAMERAS[0])  # the left camera's frame → this one's
        values = {
            "S": np.array(size), "K": _INTRINSICS, "D": np.zeros(5), "R": away[:3, :3], "T": away[:3, 3],
            "S_rect": np.array(size), "R_rect": np.eye(3), "P_rect": _INTRINSICS @ away[:3],
        }
        lines += [f"{name}_{camera:02d}: {number_text(value)}\n" for name, value in values.items()]
        placed.append(f"image_{camera:02d}: {number_text((LIDAR_IN_UNIT @ np.linalg.inv(to_camera))[:3])}\n")
    write_lines(folder / PERSPECTIVE, lines)
    write_lines(folder / CAMERA_TO_POSE, placed)
    write_lines(folder / CAMERA_TO_LIDAR, [number_text(np.linalg.inv(_CAMERAS[0])[:3]) + "\n"])


def unit_pose_lines(numbers: Sequence[int], poses: np.ndarray) -> list[str]:
    """The lines of a ``poses.txt`` for LiDAR poses (N, 4, 4): a number, and the inertial unit's pose (3, 4)."""
    units = poses @ np.linalg.inv(LIDAR_IN_UNIT)
    return [f"{number} {number_text(pose[:3])}\n" for number, pose in zip(numbers, units, strict=True)]


def camera_pose_lines(numbers: Sequence[int], poses: np.ndarray) -> list[str]:
    """The lines of a ``cam0_to_world.txt``: a number, and the left camera's pose (4, 4)."""
    cameras = poses @ np.linalg.inv(_CAMERAS[0])
    return [f"{number} {number_text(pose)}\n" for number, pose in zip(numbers, cameras, strict=True)]
