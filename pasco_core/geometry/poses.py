"""Poses as 4×4 float64 matrices, made from quaternions or from roll, pitch and yaw, and points moved by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rigid_matrix(translation: Sequence[float], quaternion: Sequence[float] | np.ndarray) -> np.ndarray:
    """The transform (4, 4) of a translation (x, y, z) in metres and a unit quaternion (x, y, z, w)."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    matrix[:3, 3] = translation
    return matrix


def slerp(start: Sequence[float], end: Sequence[float], share: float) -> np.ndarray:
    """The unit quaternion (4,) at ``share`` (0 to 1) of the shortest way between two, turning evenly."""
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    first, last = first / np.linalg.norm(first), last / np.linalg.norm(last)
    cosine = float(first @ last)
    if cosine < 0:
        last, cosine = -last, -cosine
    angle = np.arctan2(np.linalg.norm(last - cosine * first), cosine)
    if angle < 1e-9:
        return last if share == 1 else first
    return (np.sin((1 - share) * angle) * first + np.sin(share * angle) * last) / np.sin(angle)


def pose_matrix(pose: Sequence[float]) -> np.ndarray:
    """The pose (4, 4) of x, y, z in metres and roll, pitch, yaw in radians, turned about the fixed axes in this order.

    As in URDF's ``<origin xyz rpy>`` and REP-103: a positive pitch looks down, a positive yaw to the left.

    >>> pose_matrix([0, 0, 2.1, 0, 0, 0])[:3, 3].tolist()
    [0.0, 0.0, 2.1]
    """
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", pose[3:]).as_matrix()
    matrix[:3, 3] = pose[:3]
    return matrix


def quaternion_of(matrix: np.ndarray) -> tuple[float, float, float, float]:
    """The rotation of a rigid transform (4, 4) as a unit quaternion (x, y, z, w) with w >= 0."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat().tolist()
    return (x, y, z, w) if w >= 0 else (-x, -y, -z, -w)


def moved_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The points (N, 3) after the transform (4, 4), float64."""
    return points.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
