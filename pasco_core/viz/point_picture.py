"""Pictures of point clouds in perspective."""

from __future__ import annotations

import numpy as np

from pasco_core.errors import ConfigError, DataError
from pasco_core.viz.camera import Camera
from pasco_core.viz.voxel_picture import reduce_picture

NIGHT = (22, 26, 33)
_POINT_SIZE = 0.09  # metres: what a point covers where that is more than a pixel
_MAX_PIXELS = 4


def render_points(
    points: np.ndarray,
    colours: np.ndarray,
    camera: Camera,
    backdrop: np.ndarray | None = None,
    supersample: int = 2,
) -> np.ndarray:
    """Points as small squares, the nearer in front.

    Args:
        points: (N, 3 or more) metres in the LiDAR frame; points behind the camera or not finite are not drawn.
        colours: (N, 3) uint8 RGB.
        camera: the point of view.
        backdrop: (H * supersample, W * supersample, 3) uint8 behind the points; plain dark when not given.
        supersample: drawn pixels per pixel along each axis, which are averaged.

    Returns:
        (H, W, 3) uint8.
    """
    points = check_points(points)
    if np.shape(colours) != (len(points), 3):
        raise DataError(f"Expected the colours to be one RGB per point, ({len(points)}, 3), got {np.shape(colours)}")
    if supersample < 1:
        raise ConfigError(f"Expected supersample to be at least 1, got {supersample}")
    fine = camera.scaled(supersample)
    image = np.empty((fine.height, fine.width, 3), np.uint8)
    image[...] = NIGHT if backdrop is None else backdrop
    finite = np.isfinite(points[:, :3]).all(axis=1)
    colours = np.asarray(colours, np.uint8)[finite]
    pixels, depth = fine.project(points[finite, :3])
    with np.errstate(invalid="ignore"):  # pixels of points behind the camera are NaN, which is not inside
        inside = ((pixels >= 0) & (pixels < (fine.width, fine.height))).all(axis=1)
    order = np.flatnonzero(inside)
    order = order[np.argsort(-depth[order], kind="stable")]
    size = np.clip(fine.focal_length * _POINT_SIZE / depth[order], 1, _MAX_PIXELS).round().astype(np.int32)
    _splat(image, pixels[order], size, colours[order])
    return reduce_picture(image, supersample)


def check_points(points: np.ndarray) -> np.ndarray:
    """``points`` itself if it is a table of at least three columns, else a ``DataError``."""
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in "fiu":
        raise DataError(f"Expected the points to be numbers (N, 3 or more), got {points.dtype} {points.shape}")
    return points


def _splat(image: np.ndarray, pixels: np.ndarray, size: np.ndarray, colours: np.ndarray) -> None:
    """Paints squares of ``size`` pixels in the given order; a later one covers an earlier one."""
    height, width = image.shape[:2]
    winner = np.full(height * width, -1, np.int64)
    rank = np.arange(len(pixels))
    for dv in range(_MAX_PIXELS):
        for du in range(_MAX_PIXELS):
            covers = size > max(du, dv)
            corner = pixels[covers] - (size[covers, None] - 1) / 2.0
            u, v = np.floor(corner[:, 0]).astype(np.int64) + du, np.floor(corner[:, 1]).astype(np.int64) + dv
            inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
            np.maximum.at(winner, v[inside] * width + u[inside], rank[covers][inside])
    painted = winner >= 0
    image.reshape(-1, 3)[painted] = colours[winner[painted]]
