"""KITTI's raw recordings in their official layout: synced drives in the folder of their date, without labels."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from pasco_core.data.datasets.calibration import Calibration, finite_numbers
from pasco_core.data.datasets.calibration_table import CalibrationTable, square
from pasco_core.data.datasets.folders import numbered_files, subfolders
from pasco_core.data.datasets.raw_bytes import read_text
from pasco_core.data.datasets.scans import read_kitti_scan
from pasco_core.data.datasets.selection import chosen_sequences, require_frames
from pasco_core.data.datasets.timestamps import read_timestamps
from pasco_core.data.frame import Frame
from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry.poses import pose_matrix

_DRIVE = re.compile(r"(?!2013_05_28)\d{4}_\d{2}_\d{2}_drive_\d{4}_(sync|extract)")  # that date's are KITTI-360's
_DATE = re.compile(r"\d{4}_\d{2}_\d{2}")
_EARTH_RADIUS = 6378137.0  # metres, WGS 84 at the equator
_OXTS_VALUES = 30


class KittiRaw:
    """Drives of KITTI's raw recordings (Geiger et al. 2013), as ``*_sync``: files of one number belong together.

    Args:
        root: a drive's folder, the folder of a date, or the folder that holds these.

    Raises:
        DataError: no drive there, or only ones that are not synced.
    """

    def __init__(self, root: str | os.PathLike[str]):
        self.root = Path(root)
        drives = _drives(self.root)
        self._stamps = lru_cache(maxsize=None)(self._read_stamps)
        self._folders = {path.name: path for path in drives if path.name.endswith("_sync")}
        if not self._folders:
            got = f"only {drives[0].name}" if drives else "no drive"
            rule = "synced drives, such as 2011_09_26/2011_09_26_drive_0001_sync"
            raise DataError(f"Expected {root} to hold {rule}, got {got}")

    def sequences(self) -> tuple[str, ...]:
        """Drives on disk, ascending."""
        return tuple(sorted(self._folders))

    def frames(
        self, split: str | None = None, sequences: Sequence[str] | None = None, *, with_truth: bool = False
    ) -> list[Frame]:
        """Scans on disk, ascending: of some drives, or all.

        Args:
            split: None: these recordings have no splits.
            sequences: names such as "2011_09_26_drive_0001_sync", or "0001" for short.
            with_truth: False: there is none.

        Raises:
            ConfigError: an unknown drive, a split, or truth.
            DataError: no scan there.
        """
        if split is not None or with_truth:
            raise ConfigError(f"Expected KITTI's raw recordings in {self.root} to be read without splits and truth, "
                              f"which they do not have, got {split or 'truth'}")
        chosen = chosen_sequences(self.sequences(), {}, None, sequences, self.root, same=_is_meant)
        found = [Frame(name, number) for name in chosen for number in self._numbers(name, "velodyne_points", ".bin")]
        return require_frames(found, "scans (velodyne_points/data/*.bin)", chosen, self.root)

    def points(self, frame: Frame) -> np.ndarray:
        """(N, 4) float32 x y z in metres in the LiDAR frame, and intensity 0 to 1.

        Raises:
            DataError: no such file, not a multiple of 16 bytes, or values that are not finite.
        """
        return read_kitti_scan(self._data(frame.sequence, "velodyne_points") / f"{frame.index:010d}.bin")

    def image_path(self, frame: Frame, camera: int = 2) -> Path:
        """Where a camera's image is: 0 and 1 are grey, 2 and 3 the left and the right colour camera."""
        return self._data(frame.sequence, f"image_{camera:02d}") / f"{frame.index:010d}.png"

    def scan_stamps(self, drive: str) -> dict[int, int]:
        """Scan's number → when the LiDAR looked forward, in ns since 1970, the time of day taken for UTC.

        Raises:
            DataError: no ``velodyne_points/timestamps.txt``, or one that breaks its format or has no line for a scan.
        """
        return self._stamps(drive, "velodyne_points", ".bin")

    def image_stamps(self, drive: str, camera: int) -> dict[int, int]:
        """Image's number → when it was taken, as ``scan_stamps``; empty where there are no images.

        Raises:
            DataError: images, and no ``timestamps.txt`` beside them or one that breaks its format.
        """
        return self._stamps(drive, f"image_{camera:02d}", ".png")

    def has_images(self, drive: str) -> bool:
        """Whether some camera of a drive has images."""
        return any(self._numbers(drive, f"image_{camera:02d}", ".png") for camera in range(4))

    def calibration(self, drive: str) -> Calibration:
        """LiDAR and rectified cameras of a drive.

        Raises:
            DataError: no ``calib_velo_to_cam.txt`` or ``calib_cam_to_cam.txt`` in the date's folder, or one that breaks
                its format.
        """
        date = self._folders[drive].parent
        mounted = CalibrationTable(date / "calib_velo_to_cam.txt", "the images' cameras").rigid()
        table = CalibrationTable(date / "calib_cam_to_cam.txt", "the images' cameras")
        rectified = square(table.matrix("R_rect_00", 3, 3)) @ mounted
        p0, p1, p2, p3 = (table.matrix(f"P_rect_{camera:02d}", 3, 4) for camera in range(4))
        return Calibration(rectified, p2, p0, p1, p3)

    def poses(self, drive: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Times (M,) int64 in ns and poses (M, 4, 4) float64 of the LiDAR in a world with x east, y north, z up.

        From the OXTS inertial and GPS unit; None where the drive has none of its files.

        Raises:
            DataError: ``oxts/timestamps.txt`` or ``calib_imu_to_velo.txt`` is missing, or a file breaks its format.
        """
        stamps = self._stamps(drive, "oxts", ".txt")
        if not stamps:
            return None
        mounted = CalibrationTable(self._folders[drive].parent / "calib_imu_to_velo.txt", "poses from oxts").rigid()
        rows = [_oxts(self._data(drive, "oxts") / f"{number:010d}.txt") for number in stamps]
        scale = float(np.cos(np.radians(rows[0][0])))
        unit = np.stack([_unit_pose(row, scale) for row in rows])
        return np.array(list(stamps.values()), np.int64), unit @ np.linalg.inv(mounted)

    def _read_stamps(self, drive: str, sensor: str, ending: str) -> dict[int, int]:
        numbers = self._numbers(drive, sensor, ending)
        path = self._folders[drive] / sensor / "timestamps.txt"
        times = read_timestamps(path, numbers, sensor).tolist() if numbers else []
        return dict(zip(numbers, times, strict=True))

    def _numbers(self, drive: str, sensor: str, ending: str) -> list[int]:
        return numbered_files(self._data(drive, sensor), ending, digits=10)

    def _data(self, drive: str, sensor: str) -> Path:
        return self._folders[drive] / sensor / "data"


def is_kitti_raw(root: str | os.PathLike[str]) -> bool:
    """Whether a folder is or holds a drive of KITTI's raw recordings."""
    return bool(_drives(Path(root)))


def _is_meant(name: str, wanted: str) -> bool:
    """Whether a drive is called by its name or by its four digits."""
    return wanted in (name, name.split("_")[4])


def _drives(root: Path) -> list[Path]:
    """Drives at most two levels down."""
    root = root.absolute()  # "." has no name
    if _DRIVE.fullmatch(root.name):
        return [root] if subfolders(root) else []
    dates = [root / name for name in subfolders(root) if _DATE.fullmatch(name)]
    return [folder / name for folder in (root, *dates) for name in subfolders(folder) if _DRIVE.fullmatch(name)]


def _oxts(path: Path) -> np.ndarray:
    """(6,) latitude and longitude in degrees, height in metres, roll, pitch and yaw in radians."""
    values = finite_numbers(read_text(path, "oxts"), _OXTS_VALUES, str(path))
    if not abs(values[0]) < 89.0:
        raise DataError(f"Expected the latitude in {path} to be within 89 degrees of the equator, got {values[0]:g}")
    return values[:6]


def _unit_pose(values: np.ndarray, scale: float) -> np.ndarray:
    """Pose (4, 4) of the unit: Mercator's projection, true to scale at the latitude whose cosine is ``scale``.

    Source: the text of KITTI's raw development kit, and Geiger et al., "Vision meets Robotics", IJRR 2013.
    """
    latitude, longitude, height = values[:3]
    east = scale * _EARTH_RADIUS * np.radians(longitude)
    north = scale * _EARTH_RADIUS * np.log(np.tan(np.radians(90.0 + latitude) / 2.0))
    return pose_matrix([east, north, height, *values[3:]])
