"""What stands around the data in a perspective picture: the completed area's outline, distances, the own car."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from pasco_core.geometry import VoxelGrid
from pasco_core.viz.camera import Camera
from pasco_core.viz.canvas import Colour, draw_text

SENSOR_HEIGHT = 1.73  # metres of the LiDAR above the road on the KITTI car
# The KITTI car around its sensor: x from bumper to bumper, half width, z of wheel line, shoulder and roof.
_REAR, _FRONT, _HALF_WIDTH = -1.9, 2.6, 0.9
_BELLY, _SHOULDER, _ROOF = -1.5, -0.85, -0.28
_TICK_METRES = 10.0


def backdrop(grid: VoxelGrid, camera: Camera, supersample: int, colour: Colour, ink: Colour) -> np.ndarray:
    """(H * supersample, W * supersample, 3) uint8: the grid's outline on the road, a line and number per 10 m ahead."""
    fine = camera.scaled(supersample)
    image = Image.new("RGB", (fine.width, fine.height), colour)
    draw = ImageDraw.Draw(image)
    (x0, y0, _), (x1, y1, _) = grid.origin, grid.upper
    z = -SENSOR_HEIGHT
    faint = tuple(round(0.72 * c + 0.28 * i) for c, i in zip(colour, ink, strict=True))
    ticks = [x for x in np.arange(np.ceil(x0 / _TICK_METRES), x1 / _TICK_METRES) * _TICK_METRES if x > x0]
    for x in ticks:
        _line(draw, fine, [(x, y0, z), (x, y1, z)], faint, supersample)
    _line(draw, fine, [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z), (x0, y0, z)], ink, supersample)
    for x in ticks:
        pixel = fine.project(np.array([[x, y0 - 0.6, z]]))[0][0]
        if np.isfinite(pixel).all():
            draw_text(draw, tuple(pixel), f"{x:.0f} m", 15 * supersample, ink, anchor="lm")
    return np.asarray(image)


def draw_own_car(image: np.ndarray, camera: Camera) -> np.ndarray:
    """``image`` (H, W, 3) with the car that carries the sensor drawn on it in white, sensor included."""
    canvas = Image.fromarray(image).convert("RGBA")
    canvas.alpha_composite(_own_car(camera))
    return np.asarray(canvas.convert("RGB"))


@lru_cache(maxsize=4)
def _own_car(camera: Camera) -> Image.Image:
    """The car alone on a transparent picture of the camera's size."""
    supersample = 3
    fine = camera.scaled(supersample)
    layer = Image.new("RGBA", (fine.width, fine.height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    body = _tapered_box((_REAR, _FRONT), _HALF_WIDTH, (_BELLY, _SHOULDER), (0.05, 0.25), 0.04)
    cabin = _tapered_box((_REAR + 0.25, _FRONT - 1.0), _HALF_WIDTH - 0.06, (_SHOULDER, _ROOF), (0.45, 0.8), 0.2)
    sensor = _tapered_box((-0.16, 0.16), 0.16, (_ROOF, 0.12), (0.0, 0.0), 0.0)
    for solid, colour in ((body, (250, 250, 252)), (cabin, (196, 208, 222)), (sensor, (40, 44, 52))):
        _solid(draw, fine, solid, colour, supersample)
    return layer.convert("RGBa").resize((camera.width, camera.height), Image.Resampling.BOX).convert("RGBA")


def _line(draw: ImageDraw.ImageDraw, camera: Camera, path: list, colour: Colour, width: int) -> None:
    pixels, depth = camera.project(np.array(path, np.float64))
    for i in range(len(path) - 1):
        if min(depth[i], depth[i + 1]) > 0.1:
            draw.line([tuple(pixels[i]), tuple(pixels[i + 1])], fill=colour, width=width)


def _tapered_box(x: tuple, half_width: float, z: tuple, pull: tuple, narrow: float) -> np.ndarray:
    """Eight corners (2, 2, 2, 3) by [x, y, z side] of a box whose top is pulled in behind, in front, sideways."""
    corners = np.empty((2, 2, 2, 3))
    for i, j, k in np.ndindex(2, 2, 2):
        along = x[i] + (pull[0] if i == 0 else -pull[1]) * k
        corners[i, j, k] = along, (2 * j - 1) * (half_width - narrow * k), z[k]
    return corners


def _solid(draw: ImageDraw.ImageDraw, camera: Camera, corners: np.ndarray, colour: Colour, width: int) -> None:
    """The sides of a convex box that face the camera."""
    centre = corners.reshape(-1, 3).mean(axis=0)
    light = {(0, 0): 0.78, (0, 1): 0.6, (1, 0): 0.68, (1, 1): 0.84, (2, 0): 0.4, (2, 1): 1.0}
    for (axis, side), shade in light.items():
        face = np.take(corners, side, axis=axis).reshape(4, 3)[[0, 1, 3, 2]]
        normal = np.cross(face[1] - face[0], face[2] - face[0])
        normal *= np.sign(normal @ (face.mean(axis=0) - centre))
        pixels, depth = camera.project(face)
        if depth.min() > 0.1 and normal @ (np.asarray(camera.position) - face[0]) > 0:
            fill = tuple(round(c * shade) for c in colour)
            draw.polygon([tuple(p) for p in pixels], fill=fill, outline=(70, 76, 86), width=width)
