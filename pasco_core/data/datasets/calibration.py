"""Calibration, poses and times of a SemanticKITTI sequence, in the text files of the KITTI odometry benchmark."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from pasco_core.atomic_write import write_text_whole
from pasco_core.data.datasets.raw_bytes import read_text
from pasco_core.errors import DataError


@dataclass(frozen=True)
class Calibration:
    """Where LiDAR and cameras are.

    A point p of the LiDAR (x forward, y left, z up) is at ``p2 @ tr @ (p, 1)`` in the left colour image, in
    homogeneous pixels.

    Args:
        tr: 4×4 float64, LiDAR frame → rectified frame of camera 0 (x right, y down, z forward).
        p2: 3×4 float64, camera-0 frame → pixels of the left colour camera (image_2).
        p0, p1, p3: the same for the other three cameras, where the file has them.
    """

    tr: np.ndarray
    p2: np.ndarray
    p0: np.ndarray | None = None
    p1: np.ndarray | None = None
    p3: np.ndarray | None = None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Calibration:
        """From a ``calib.txt``: lines ``P0:`` … ``P3:`` and ``Tr:``, 12 numbers each; other lines are left alone.

        Raises:
            DataError: no such file, ``P2`` or ``Tr`` missing, or not 12 finite numbers.
        """
        matrices: dict[str, np.ndarray] = {}
        for line in read_text(path, "calibration").splitlines():
            name, colon, numbers = line.partition(":")
            if colon and name.strip() in ("P0", "P1", "P2", "P3", "Tr"):
                matrices[name.strip()] = _matrix(numbers, f"{name.strip()} in {path}")
        for name in ("P2", "Tr"):
            if name not in matrices:
                found = ", ".join(matrices) or "no matrix"
                raise DataError(f"Expected calibration {path} to have a line '{name}:' with 12 numbers, got {found}")
        tr = np.vstack([matrices["Tr"], [0, 0, 0, 1]])
        if abs(np.linalg.det(tr)) < 1e-6:
            raise DataError(f"Expected Tr in {path} to be invertible, got {tr[:3].tolist()}")
        return cls(tr, matrices["P2"], matrices.get("P0"), matrices.get("P1"), matrices.get("P3"))

    def write(self, path: str | os.PathLike[str]) -> None:
        """As ``read`` reads it, atomically.

        Raises:
            OSError: the folder is missing, not writable or full.
        """
        matrices = {"P0": self.p0, "P1": self.p1, "P2": self.p2, "P3": self.p3, "Tr": self.tr}
        lines = [f"{name}: {number_text(m[:3])}\n" for name, m in matrices.items() if m is not None]
        write_text_whole(path, "".join(lines))


def read_poses(path: str | os.PathLike[str], calibration: Calibration) -> np.ndarray:
    """Poses (N, 4, 4) float64 of the LiDAR: its frame at scan n → its frame at scan 0.

    The file has camera-0 poses, one scan per line, 12 numbers each; ``inv(tr) @ pose @ tr`` makes LiDAR poses of them.

    Raises:
        DataError: no such file, a line without 12 finite numbers, or no line at all.
    """
    lines = [line for line in read_text(path, "poses").splitlines() if line.strip()]
    if not lines:
        raise DataError(f"Expected poses {path} to have one line per scan, got none")
    rows = np.stack([_matrix(line, f"line {i} of {path}") for i, line in enumerate(lines, 1)])
    cameras = np.tile(np.eye(4), (len(rows), 1, 1))
    cameras[:, :3] = rows
    return np.linalg.inv(calibration.tr) @ cameras @ calibration.tr


def write_poses(path: str | os.PathLike[str], poses: np.ndarray, calibration: Calibration) -> None:
    """Writes LiDAR poses (N, 4, 4) as ``read_poses`` reads them, atomically.

    Raises:
        DataError: another shape, or values that are not finite.
        OSError: the folder is missing, not writable or full.
    """
    poses = np.asarray(poses, np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not np.isfinite(poses).all():
        raise DataError(f"Expected the poses for {path} to be finite (N, 4, 4), got shape {poses.shape}")
    write_text_whole(path, "".join(pose_lines(poses, calibration)))


def pose_lines(poses: np.ndarray, calibration: Calibration) -> list[str]:
    """The lines of a ``poses.txt`` for LiDAR poses (N, 4, 4): camera-0 poses, 12 numbers each."""
    cameras = calibration.tr @ poses @ np.linalg.inv(calibration.tr)
    return [f"{number_text(camera[:3])}\n" for camera in cameras]


def read_times(path: str | os.PathLike[str]) -> np.ndarray:
    """Seconds (N,) float64 of each scan since the first.

    Raises:
        DataError: no such file, or a line that is no finite number.
    """
    lines = [line for line in read_text(path, "times").splitlines() if line.strip()]
    rows = [finite_numbers(line, 1, f"line {i} of {path}") for i, line in enumerate(lines, 1)]
    return np.array([seconds for seconds, in rows], np.float64)


def write_times(path: str | os.PathLike[str], seconds: np.ndarray) -> None:
    """Writes one time per line, atomically.

    Raises:
        OSError: the folder is missing, not writable or full.
    """
    write_text_whole(path, "".join(time_lines(seconds)))


def time_lines(seconds: np.ndarray) -> list[str]:
    """The lines of a ``times.txt`` for the time of each scan."""
    return [f"{second:.6e}\n" for second in seconds]


def _matrix(text: str, where: str) -> np.ndarray:
    return finite_numbers(text, 12, where).reshape(3, 4)


def finite_numbers(text: str, count: int, where: str) -> np.ndarray:
    """(count,) float64, written apart by blanks.

    Raises:
        DataError: another count, or words that are no finite numbers; the message names ``where``.
    """
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        raise DataError(f"Expected {where} to be {count} numbers, got {text.strip()[:60]!r}") from None
    if len(values) != count or not np.isfinite(values).all():
        raise DataError(f"Expected {where} to be {count} finite numbers, got {text.strip()[:60]!r}")
    return values


def number_text(values: np.ndarray) -> str:
    """Numbers in their order in memory as ``finite_numbers`` reads them, with 13 digits.

    >>> number_text(np.array([1.0, 0.5]))
    '1.000000000000e+00 5.000000000000e-01'
    """
    return " ".join(f"{value:.12e}" for value in np.asarray(values, np.float64).reshape(-1))
