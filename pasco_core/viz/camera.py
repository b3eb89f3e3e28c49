"""A pinhole camera that looks at the scene from outside, in the LiDAR frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID, VoxelGrid

_KITTI_EDGE = KITTI_GRID.shape[0] * KITTI_GRID.voxel_size
_ASPECT = 2.2  # width over height of a picture that the grid fills from the next place, seen from the grid's middle:
_DISTANCE, _RISE = 52.0, 33.0  # metres on KITTI's grid, and degrees above the horizon
_RISE_PER_ASPECT, _RISES = 17.0, (27.0, 48.0)  # degrees more for narrower pictures, and the limits
_BEHIND = 2.5  # metres behind the sensor that the car takes
_RIM = 1.02  # how much wider than what must be in the picture it is


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without roll; its picture's upper edge points away from the ground.

    Pixel coordinates (u, v) grow to the right and down; pixel [row, column] covers u in [column, column + 1) and
    v in [row, row + 1).

    Args:
        position: where it stands, metres in the LiDAR frame (REP-103: x forward, y left, z up).
        target: the point that appears in the centre of the picture, metres.
        width: columns of the picture.
        height: rows of the picture.
        vertical_fov: angle between the upper and the lower edge of the picture, degrees in (0, 180).

    >>> camera = Camera(position=(0.0, 0.0, 10.0), target=(10.0, 0.0, 0.0), width=640, height=480)
    >>> pixels, depth = camera.project(np.array([[10.0, 0.0, 0.0]]))
    >>> pixels.tolist(), round(float(depth[0]), 3)
    ([[320.0, 240.0]], 14.142)
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    width: int = 960
    height: int = 600
    vertical_fov: float = 40.0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ConfigError(f"Expected the picture size to be at least 1 x 1 pixel, got {self.width} x {self.height}")
        if not 0.0 < self.vertical_fov < 180.0:
            raise ConfigError(f"Expected vertical_fov to be between 0 and 180 degrees, got {self.vertical_fov}")
        view = np.subtract(self.target, self.position)
        if not np.isfinite(view).all() or np.hypot(view[0], view[1]) < 1e-9:
            raise ConfigError(
                f"Expected the camera to look neither straight down nor up, got {self.position} -> {self.target}"
            )

    @property
    def focal_length(self) -> float:
        """Focal length in pixels."""
        return self.height / 2.0 / float(np.tan(np.radians(self.vertical_fov) / 2.0))

    def axes(self) -> np.ndarray:
        """Unit vectors right, down, forward as the rows of a (3, 3) float64 matrix, in the LiDAR frame."""
        forward = np.subtract(self.target, self.position).astype(np.float64)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])

    def project(self, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 2) and depths (N,) in metres of points (N, 3); a point with depth <= 0 has no pixel (NaN)."""
        local = (np.asarray(xyz, np.float64) - self.position) @ self.axes().T
        depth = local[:, 2]
        scale = self.focal_length / np.where(depth > 0.0, depth, np.nan)
        return local[:, :2] * scale[:, None] + (self.width / 2.0, self.height / 2.0), depth

    def ray_directions(self) -> np.ndarray:
        """Directions (height, width, 3) float64 through the pixel centres; a step of 1 goes 1 m deeper."""
        right, down, forward = self.axes()
        u = (np.arange(self.width) + 0.5 - self.width / 2.0) / self.focal_length
        v = (np.arange(self.height) + 0.5 - self.height / 2.0) / self.focal_length
        return u[None, :, None] * right + v[:, None, None] * down + forward

    def scaled(self, factor: int) -> Camera:
        """The same view with ``factor`` times as many rows and columns."""
        return Camera(self.position, self.target, self.width * factor, self.height * factor, self.vertical_fov)


def chase_camera(width: int = 960, height: int = 600, grid: VoxelGrid = KITTI_GRID) -> Camera:
    """Behind and above the car, as in the published figures, with the whole grid in the picture.

    The narrower the picture, the steeper the camera looks down, from farther away, so that the grid fills it.
    """
    size = max(grid.shape[0], grid.shape[1]) * grid.voxel_size / _KITTI_EDGE
    low, high = np.array(grid.origin, np.float64), np.array(grid.upper, np.float64)
    rise = np.radians(np.clip(_RISE - _RISE_PER_ASPECT * (width / height - _ASPECT), *_RISES))
    distance = _DISTANCE * size * np.clip(_ASPECT * height / width, 1.0, 2.0)
    middle = (low + high) / 2.0 * (1.0, 1.0, 0.0) + (0.0, 0.0, low[2])
    position = middle + distance * np.array([-np.cos(rise), 0.0, np.sin(rise)])
    # Angles below the horizon of what is lowest and highest in the picture: the car's rear, and the top of the far end.
    near = np.arctan2(position[2] - low[2], low[0] - _BEHIND - position[0])
    far = np.arctan2(position[2] - high[2], high[0] - position[0])
    forward = np.array([np.cos((near + far) / 2.0), 0.0, -np.sin((near + far) / 2.0)])
    nearest = float((np.array([low[0], position[1], high[2]]) - position) @ forward)
    aside = (high[1] - low[1]) / 2.0 / nearest * height / width
    slope = max(np.tan((near - far) / 2.0), aside) * _RIM
    x, y, z = position.tolist()
    return Camera(
        position=(x, y, z), target=tuple((position + forward).tolist()), width=width, height=height,
        vertical_fov=float(np.degrees(2.0 * np.arctan(slope))),
    )
