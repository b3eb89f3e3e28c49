"""A scan before and after a corruption, side by side."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from pasco_core.data.simulation.corruptions.corrupted import ADDED, Corrupted
from pasco_core.geometry import KITTI_GRID
from pasco_core.viz import Camera, chase_camera, render_points, scale_colours
from pasco_core.viz.canvas import draw_text
from pasco_core.viz.point_picture import NIGHT
from pasco_core.viz.stage import backdrop, draw_marks

_HEIGHTS = (-2.0, 3.0)  # metres above the sensor: the ends of the colour scale
_INTENSITIES = (0.0, 0.6)
_ADDED_COLOUR = (255, 92, 60)
_INK = (226, 230, 236)
_CAPTION = 44
_SUPERSAMPLE = 2


def before_and_after(clean: np.ndarray, result: Corrupted, title: str, camera: Camera | None = None, *,
                     by_intensity: bool = False) -> np.ndarray:
    """(H, W, 3) uint8: the clean scan on the left, the corrupted one on the right.

    Colours are the height above the sensor, or the intensity; returns that were added are orange.

    Args:
        clean: (N, 4) points before.
        result: after.
        title: what is said of the right picture, such as "fog, heavy".
        camera: the point of view; by default behind and above the car.
        by_intensity: colours from intensity 0 to 0.6 instead of height, for corruptions that only dim.
    """
    camera = camera or chase_camera()
    added = int(np.count_nonzero(result.source == ADDED))
    counts = f"{len(result) - added:,} of {len(clean):,} returns left, {added:,} added"
    colour_by = "coloured by intensity" if by_intensity else "coloured by height"
    left = _panel(clean, _colours(clean, by_intensity), camera, "clean", f"{len(clean):,} returns, {colour_by}")
    colours = _colours(result.points, by_intensity)
    colours[result.source == ADDED] = _ADDED_COLOUR
    right = _panel(result.points, colours, camera, title, counts)
    gap = np.full((left.shape[0], 4, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _colours(points: np.ndarray, by_intensity: bool) -> np.ndarray:
    low, high = _INTENSITIES if by_intensity else _HEIGHTS
    return scale_colours((points[:, 3 if by_intensity else 2] - low) / (high - low))


def _panel(points: np.ndarray, colours: np.ndarray, camera: Camera, name: str, remark: str) -> np.ndarray:
    night = backdrop(KITTI_GRID, camera, _SUPERSAMPLE, NIGHT, (150, 160, 172))
    picture = draw_marks(render_points(points, colours, camera, night, _SUPERSAMPLE), KITTI_GRID, camera)
    panel = Image.new("RGB", (camera.width, camera.height + _CAPTION), NIGHT)
    panel.paste(Image.fromarray(picture), (0, _CAPTION))
    draw = ImageDraw.Draw(panel)
    draw_text(draw, (20, 31), name, 24, _INK)
    draw_text(draw, (camera.width - 20, 31), remark, 18, _INK, anchor="rs")
    return np.asarray(panel)
