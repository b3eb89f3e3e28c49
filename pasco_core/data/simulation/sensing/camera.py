"""Pinhole images of the simulated world: colour, depth, class and instance of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pasco_core.data.datasets.calibration import Calibration
from pasco_core.data.simulation.sensing.rays import RayScene, first_hits
from pasco_core.data.simulation.sensing.shading import colours, sky
from pasco_core.errors import ConfigError

WIDTH, HEIGHT = 1241, 376


def _kitti_like() -> Calibration:
    """The geometry of the KITTI car (Geiger et al. 2013): focal length 718.856 pixels, the left colour camera 6 cm left
    of camera 0, the LiDAR 27 cm behind and 8 cm above it; without the small rotations of a real mount."""
    intrinsics = np.array([[718.856, 0.0, 607.1928], [0.0, 718.856, 185.2157], [0.0, 0.0, 1.0]])

    def camera(x: float) -> np.ndarray:
        return intrinsics @ np.column_stack([np.eye(3), [-x, 0.0, 0.0]])

    tr = np.eye(4)
    tr[:3] = [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, -0.08], [1.0, 0.0, 0.0, -0.27]]
    return Calibration(tr=tr, p2=camera(-0.06), p0=camera(0.0), p1=camera(0.54), p3=camera(0.47))


KITTI_CALIBRATION = _kitti_like()


@dataclass(frozen=True)
class CameraImage:
    """What a camera sees.

    Args:
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 metres along the optical axis, infinite where there is only sky.
        semantics: (H, W) uint8, class of ``SEMANTIC_KITTI``, 0 for the sky.
        instances: (H, W) int32, number of the object, 0 = none.
    """

    rgb: np.ndarray
    depth: np.ndarray
    semantics: np.ndarray
    instances: np.ndarray


def pixel_rays(calibration: Calibration, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Where image_2 looks, in the LiDAR frame: its centre (3,) and a direction (height, width, 3) per pixel, float64.

    Whole pixel coordinates are pixel centres; a step of 1 goes 1 m deeper.

    Raises:
        ConfigError: the size is not positive.
    """
    if width < 1 or height < 1:
        raise ConfigError(f"Expected the image size to be at least 1 x 1 pixel, got {width} x {height}")
    to_pixels = calibration.p2 @ calibration.tr
    inverse = np.linalg.inv(to_pixels[:, :3])
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    directions = np.stack([u, v, np.ones_like(u)], axis=-1) @ inverse.T
    return -inverse @ to_pixels[:, 3], directions


def take_image(
    scenes: Sequence[RayScene],
    pose: np.ndarray,
    sun: np.ndarray,
    calibration: Calibration = KITTI_CALIBRATION,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> CameraImage:
    """The view of the left colour camera.

    Args:
        scenes: what is seen, in the world.
        pose: (4, 4) of the LiDAR in the world.
        sun: (3,) unit vector towards the sun, in the world.
        calibration: of camera and LiDAR.
        size: width and height in pixels.
    """
    width, height = size
    centre, directions = pixel_rays(calibration, width, height)
    centre = pose[:3, :3] @ centre + pose[:3, 3]
    rays = (directions.reshape(-1, 3) @ pose[:3, :3].T).astype(np.float32)
    hits = first_hits(scenes, centre, rays)
    rgb = sky(rays, sun)
    met = np.flatnonzero(hits.met)
    points = centre + rays[met] * hits.distance[met, None].astype(np.float64)
    lit = _lit(scenes, points, _towards(hits.normal[met], rays[met]), sun)
    rgb[met] = colours(hits.of(met), points, rays[met], lit, sun)
    shape = (height, width)
    return CameraImage(
        np.clip(np.rint(rgb), 0, 255).astype(np.uint8).reshape(*shape, 3), hits.distance.reshape(shape),
        hits.category.reshape(shape), hits.instance.reshape(shape),
    )


def _towards(normal: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Normals on the side that the rays come from."""
    return np.where(np.einsum("ni,ni->n", normal, rays)[:, None] > 0, -normal, normal)


def _lit(scenes: Sequence[RayScene], points: np.ndarray, normal: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """(N,) float32: cosine of the sun's incidence, 0 in the shade."""
    cosine = np.maximum(normal @ sun.astype(np.float32), 0.0)
    facing = np.flatnonzero(cosine > 0)
    start = points[facing] + 0.02 * normal[facing]
    rays = np.broadcast_to(sun.astype(np.float32), (len(facing), 3))
    free = np.ones(len(facing), bool)
    for scene in scenes:
        free &= ~np.isfinite(scene.distances(start, rays))
    cosine[facing[~free]] = 0.0
    return cosine
