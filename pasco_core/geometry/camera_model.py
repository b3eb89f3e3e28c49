"""A calibrated camera: where points land in its image, and where its pixels look, with lens distortion.

Frames are those of sensor_msgs/CameraInfo: the optical frame has x right, y down, z forward; whole pixel coordinates
are pixel centres. The distortion models are those that ROS names in ``sensor_msgs/distortion_models.hpp``, with the
formulas that OpenCV documents for its calibration.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pasco_core.errors import ImageError

RAY_STRIDE = 2
"""Of so many rows and columns ``ray_table`` has one: a voxel of 0.2 m covers 3 pixels of KITTI's camera at 50 m."""

CALIBRATION, DISTORTION = "CALIBRATION", "DISTORTION"
PLUMB_BOB, RATIONAL, EQUIDISTANT = "plumb_bob", "rational_polynomial", "equidistant"
_COEFFICIENTS = {PLUMB_BOB: (4, 5), RATIONAL: (8,), EQUIDISTANT: (4,)}
_WIDEST = 10.0  # tangent of the widest angle to the optical axis that is looked at
_STEPS = 4000
_NEWTON = 20


@dataclass(frozen=True)
class CameraModel:
    """Intrinsics of a camera.

    Args:
        width, height: of its images, pixels.
        matrix: (3, 3) float64 camera matrix: focal lengths and principal point.
        model: "plumb_bob", "rational_polynomial" or "equidistant".
        distortion: its coefficients in CameraInfo's order; all 0 for none.
        turn: (3, 3) float64, from the optical frame into that of the image's rays: CameraInfo's R for rectified images.
        shift: (3,) float64, added after ``turn``: a stereo camera's baseline in metres.
    """

    width: int
    height: int
    matrix: np.ndarray
    model: str = PLUMB_BOB
    distortion: tuple[float, ...] = (0.0,) * 5
    turn: np.ndarray | None = None
    shift: np.ndarray | None = None

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 2) and depths (N,) in metres of points (N, 3) in the optical frame.

        A point behind the camera, or so far aside that the distortion formula turns back, has no pixel (NaN).
        """
        points = self._turned(np.asarray(points, np.float64))
        depth = points[:, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            plane = points[:, :2] / np.where(depth > 1e-9, depth, np.nan)[:, None]
            plane[~(np.hypot(*plane.T) <= self.reach)] = np.nan
            bent = self._distorted(plane)
        return bent @ self.matrix[:2, :2].T + self.matrix[:2, 2], depth

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Directions (N, 3) in the optical frame of pixels (N, 2); a step of 1 goes 1 m deeper; NaN beyond the lens.

        The distortion is undone by Newton's method.
        """
        bent = (np.asarray(pixels, np.float64) - self.matrix[:2, 2]) @ np.linalg.inv(self.matrix[:2, :2]).T
        plane = bent.copy()
        for _ in range(_NEWTON if any(self.distortion) else 0):
            off = self._distorted(plane) - bent
            plane -= np.einsum("nij,nj->ni", np.linalg.pinv(self._slope(plane)), off)
            far = np.hypot(*plane.T) > self.reach
            plane[far] *= (self.reach / np.hypot(*plane[far].T))[:, None]
        if any(self.distortion):
            plane[np.abs(self._distorted(plane) - bent).max(axis=1) > 1e-6] = np.nan
        rays = np.column_stack([plane, np.ones(len(plane))])
        return rays if self.turn is None else rays @ self.turn

    @cached_property
    def ray_table(self) -> np.ndarray:
        """``rays`` (rows, columns, 3) of every ``RAY_STRIDE``-th pixel, from the first; made once, read-only."""
        v, u = np.mgrid[0 : self.height : RAY_STRIDE, 0 : self.width : RAY_STRIDE]
        table = self.rays(np.column_stack([u.ravel(), v.ravel()])).reshape(*u.shape, 3)
        table.setflags(write=False)
        return table

    @cached_property
    def reach(self) -> float:
        """Tangent of the widest angle to the optical axis up to which the distorted radius grows."""
        if not any(self.distortion):
            return np.inf
        radius = np.linspace(0.0, _WIDEST, _STEPS)
        plane = np.column_stack([radius, np.zeros(_STEPS)])
        with np.errstate(all="ignore"):
            grows = np.diff(self._radial(plane) * radius) > 0
        return float(radius[int(grows.argmin())] if not grows.all() else _WIDEST)

    def _turned(self, points: np.ndarray) -> np.ndarray:
        points = points if self.turn is None else points @ self.turn.T
        return points if self.shift is None else points + self.shift

    def _radial(self, plane: np.ndarray) -> np.ndarray:
        """Factor (N,) by which the lens moves points (N, 2) of the plane at depth 1 along their radius."""
        square = (plane * plane).sum(axis=1)
        k = self.distortion
        if self.model == EQUIDISTANT:
            radius = np.sqrt(square)
            angle = np.arctan(radius)
            bent = angle * (1 + sum(k[i] * angle ** (2 * i + 2) for i in range(4)))
            return np.where(radius > 1e-9, bent / np.where(radius > 1e-9, radius, 1.0), 1.0)
        k3 = k[4] if len(k) > 4 else 0.0
        factor = 1 + square * (k[0] + square * (k[1] + square * k3))
        if self.model == RATIONAL:
            factor = factor / (1 + square * (k[5] + square * (k[6] + square * k[7])))
        return factor

    def _distorted(self, plane: np.ndarray) -> np.ndarray:
        bent = plane * self._radial(plane)[:, None]
        if self.model == EQUIDISTANT:
            return bent
        p1, p2 = self.distortion[2:4]
        x, y = plane.T
        square = x * x + y * y
        bent[:, 0] += 2 * p1 * x * y + p2 * (square + 2 * x * x)
        bent[:, 1] += p1 * (square + 2 * y * y) + 2 * p2 * x * y
        return bent

    def _slope(self, plane: np.ndarray) -> np.ndarray:
        """(N, 2, 2) how the distorted point moves with the undistorted one, by central differences."""
        h = 1e-6
        columns = [(self._distorted(plane + h * e) - self._distorted(plane - h * e)) / (2 * h) for e in np.eye(2)]
        return np.stack(columns, axis=-1)


def camera_model(info: Any, rectified: bool = False, topic: str = "camera_info") -> CameraModel:
    """The model that a sensor_msgs/CameraInfo describes.

    Args:
        info: an object with the attributes of the message.
        rectified: whether the images are rectified, so that P and R hold and nothing is distorted.
        topic: name of the topic, for messages.

    Raises:
        ImageError: code CALIBRATION (no size, K or P all zero or not finite) or DISTORTION (unknown model or number of
            coefficients).
    """
    name = "P" if rectified else "K"
    values = np.asarray(info.p if rectified else info.k, np.float64)
    matrix = values.reshape(3, -1)[:, :3].copy() if len(values) in (9, 12) else np.zeros((3, 3))
    width, height = int(info.width), int(info.height)
    if not (np.isfinite(values).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0 and width > 0 and height > 0):
        got = "all zero, so the camera is not calibrated" if not values.any() else f"{values.tolist()}"
        raise ImageError(
            f"Expected {name} on {topic} to be a camera matrix of {width} x {height} pixels, got {got}", CALIBRATION
        )
    shift = np.linalg.solve(matrix, values.reshape(3, 4)[:, 3]) if rectified else None
    width, height = _cut_out(info, matrix, width, height)
    if rectified:
        turn = np.asarray(info.r, np.float64).reshape(3, 3)
        return CameraModel(width, height, matrix, turn=turn if turn.any() else None, shift=shift)
    return CameraModel(width, height, matrix, *_distortion(info, topic))


def _cut_out(info: Any, matrix: np.ndarray, width: int, height: int) -> tuple[int, int]:
    """Size of the images after the region of interest and binning, which also move ``matrix``."""
    roi = getattr(info, "roi", None)
    if roi is not None and roi.width and roi.height:
        matrix[0, 2] -= roi.x_offset
        matrix[1, 2] -= roi.y_offset
        width, height = int(roi.width), int(roi.height)
    across, down = (max(int(getattr(info, name, 0)), 1) for name in ("binning_x", "binning_y"))
    matrix[0] /= across
    matrix[1] /= down
    return width // across, height // down


def _distortion(info: Any, topic: str) -> tuple[str, tuple[float, ...]]:
    model = "equidistant" if info.distortion_model == "fisheye" else str(info.distortion_model)
    values = tuple(float(value) for value in info.d)
    if not any(values) and model in ("", *_COEFFICIENTS):
        return PLUMB_BOB, (0.0,) * 5
    if len(values) not in _COEFFICIENTS.get(model, ()) or not np.isfinite(values).all():
        rules = ", ".join(f"{name} ({' or '.join(map(str, n))} numbers)" for name, n in _COEFFICIENTS.items())
        raise ImageError(
            f"Expected the distortion on {topic} to be {rules}, got {model[:60]!r} with {len(values)}", DISTORTION
        )
    return model, values
