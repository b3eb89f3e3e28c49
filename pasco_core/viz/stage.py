"""What stands around the data in a perspective picture: the completed area's outline, distances, the own car."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from pasco_core.data.frame import UNKNOWN
from pasco_core.geometry import VoxelGrid
from pasco_core.viz.camera import Camera
from pasco_core.viz.canvas import Colour, draw_text

SENSOR_HEIGHT = 1.73  # metres of the LiDAR above the road on the KITTI car
# The KITTI car around its sensor: x from bumper to bumper, half width, z of wheel line, shoulder and roof.
REAR, FRONT, HALF_WIDTH = -1.9, 2.6, 0.9
_BELLY, _SHOULDER, _ROOF = -1.5, -0.85, -0.28
_TICK_METRES = 10.0
NIGHT_INK = (150, 160, 172)
UNKNOWN_COLOURS = np.array([(226, 228, 232), (205, 209, 215)], np.uint8)
"""The stripes of ground of which nothing is known."""


def backdrop(
    grid: VoxelGrid, camera: Camera, supersample: int, colour: Colour, ink: Colour, unknown: np.ndarray | None = None
) -> np.ndarray:
    """The ground before anything stands on it: the grid's outline on the road, a line per 10 m ahead.

    Args:
        grid: what is completed.
        camera: the point of view.
        supersample: drawn pixels per pixel along each axis.
        colour: of the ground.
        ink: of the outline.
        unknown: bool (X, Y), the columns of which nothing is known; they are hatched.

    Returns:
        (H * supersample, W * supersample, 3) uint8.
    """
    fine = camera.scaled(supersample)
    image = Image.new("RGB", (fine.width, fine.height), colour)
    if unknown is not None and unknown.any():
        image = Image.fromarray(_hatched_ground(np.array(image), unknown, grid, fine))
    draw = ImageDraw.Draw(image)
    (x0, y0, _), (x1, y1, _) = grid.origin, grid.upper
    z = -SENSOR_HEIGHT
    faint = tuple(round(0.72 * c + 0.28 * i) for c, i in zip(colour, ink, strict=True))
    for x in distances(grid):
        _line(draw, fine, [(x, y0, z), (x, y1, z)], faint, supersample)
    _line(draw, fine, [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z), (x0, y0, z)], ink, supersample)
    return np.asarray(image)


def draw_marks(image: np.ndarray, grid: VoxelGrid, camera: Camera) -> np.ndarray:
    """``image`` (H, W, 3) with what must not be covered: the distances at the right border, and the own car."""
    dark = bool(image[0, 0].sum() < 384)
    ink, halo = (NIGHT_INK, (22, 26, 33)) if dark else ((70, 76, 86), (250, 250, 252))
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    size = max(11, round(camera.height / 37))
    for x in distances(grid):
        along = np.linspace(grid.origin[1] - 0.4, grid.upper[1], 80)
        pixels, _ = camera.project(np.column_stack([np.full(80, x), along, np.full(80, -SENSOR_HEIGHT)]))
        inside = (pixels[:, 0] < camera.width - 3.2 * size) & (pixels[:, 1] > size)
        inside &= pixels[:, 1] < camera.height - size
        if inside.any():
            at = pixels[inside][0]
            draw_text(draw, (at[0], at[1]), f"{x:.0f} m", size, ink, "lm", halo)
    return draw_own_car(np.asarray(canvas), camera)


def distances(grid: VoxelGrid) -> list[float]:
    """Metres ahead, and behind, at which a line is drawn."""
    low, high = grid.origin[0] / _TICK_METRES, grid.upper[0] / _TICK_METRES
    return [float(x) * _TICK_METRES for x in np.arange(np.ceil(low), high) if x > low]


def unknown_columns(semantics: np.ndarray) -> np.ndarray | None:
    """Bool (X, Y): columns without anything in them of which most is unknown; None where everything is known."""
    unknown = semantics == UNKNOWN
    if not unknown.any():
        return None
    return ~((semantics != 0) & ~unknown).any(axis=2) & (2 * unknown.sum(axis=2) > semantics.shape[2])


def hatch(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours (..., 3) uint8 of unknown ground at places (...) in metres: stripes one metre wide."""
    return UNKNOWN_COLOURS[np.floor((x + y) / 1.4).astype(np.int64) % 2]


def _hatched_ground(image: np.ndarray, unknown: np.ndarray, grid: VoxelGrid, camera: Camera) -> np.ndarray:
    """The picture with the unknown columns hatched where its pixels look at the road."""
    rays = camera.ray_directions()
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(rays[..., 2] < 0, (-SENSOR_HEIGHT - camera.position[2]) / rays[..., 2], np.nan)
        x, y = (camera.position[axis] + reach * rays[..., axis] for axis in (0, 1))
        i, j = ((value - low) / grid.voxel_size for value, low in ((x, grid.origin[0]), (y, grid.origin[1])))
        inside = (i >= 0) & (i < grid.shape[0]) & (j >= 0) & (j < grid.shape[1])
    rows, columns = np.nonzero(inside)
    blind = unknown[i[rows, columns].astype(np.int64), j[rows, columns].astype(np.int64)]
    rows, columns = rows[blind], columns[blind]
    image[rows, columns] = hatch(x[rows, columns], y[rows, columns])
    return image


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
    body = _tapered_box((REAR, FRONT), HALF_WIDTH, (_BELLY, _SHOULDER), (0.05, 0.25), 0.04)
    cabin = _tapered_box((REAR + 0.25, FRONT - 1.0), HALF_WIDTH - 0.06, (_SHOULDER, _ROOF), (0.45, 0.8), 0.2)
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
