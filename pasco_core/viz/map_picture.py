"""The map: the scene from straight above, forward up, with distances and the own car."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pasco_core.geometry import VoxelGrid
from pasco_core.viz.canvas import FAINT_INK, Colour, draw_text, text_width
from pasco_core.viz.point_picture import NIGHT
from pasco_core.viz.stage import FRONT, HALF_WIDTH, NIGHT_INK, REAR, distances, hatch
from pasco_core.viz.voxel_picture import BACKGROUND, birds_eye

_FINE = 2  # drawn pixels per pixel
_AROUND = (3.0, 1.5)  # metres shown behind and beside the grid, and ahead of it
_TEXT_ROOM = 3.6  # heights of the text that the distances take at the left


class CityMap:
    """A map of one moment, as large as fits.

    Args:
        grid: what is completed.
        width, height: of the pictures.
        unknown: bool (X, Y), columns of which nothing is known; they are hatched.
    """

    def __init__(self, grid: VoxelGrid, width: int, height: int, unknown: np.ndarray | None = None) -> None:
        self._grid, self._unknown = grid, unknown
        self._size = (width, height)
        self._text = max(10, round(height / 42))
        (x0, y0, _), (x1, y1, _) = grid.origin, grid.upper
        behind, ahead = _AROUND
        room = _TEXT_ROOM * self._text
        self._scale = max(
            min((width - 2 * room) / (y1 - y0), height / (x1 - x0 + behind + ahead)), 0.1
        )  # pixels per metre
        self._centre = width / 2 + self._scale * (y0 + y1) / 2
        self._top = (height - self._scale * (x1 - x0 + behind + ahead)) / 2 + self._scale * (x1 + ahead)

    def scene(
        self, occupied: np.ndarray, colours: np.ndarray, shading: float, shown: np.ndarray | None = None
    ) -> np.ndarray:
        """The highest voxels, as ``View.scene``."""
        seen = birds_eye(occupied, colours, 1, shading)
        if self._unknown is not None:
            blind = self._unknown[::-1, ::-1]
            i, j = np.nonzero(blind)
            seen[i, j] = hatch((len(blind) - i) * self._grid.voxel_size, j * self._grid.voxel_size)
        canvas = self._sheet(BACKGROUND, FAINT_INK)
        left, top = self._pixel(self._grid.upper[0], self._grid.upper[1])
        right, bottom = self._pixel(self._grid.origin[0], self._grid.origin[1])
        size = (max(1, round((right - left) * _FINE)), max(1, round((bottom - top) * _FINE)))
        fine = Image.fromarray(seen).resize(size, Image.Resampling.NEAREST)
        canvas.paste(fine, (round(left * _FINE), round(top * _FINE)))
        return self._finished(canvas, FAINT_INK, (250, 250, 252))

    def cloud(self, points: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """The points, the higher in front, as ``View.cloud``."""
        canvas = np.array(self._sheet(NIGHT, NIGHT_INK))
        points, colours = (values[np.isfinite(points[:, :3]).all(axis=1)] for values in (points, colours))
        order = np.argsort(points[:, 2], kind="stable")
        across, down = (np.floor(value * _FINE) for value in self._pixel(points[order, 0], points[order, 1]))
        inside = (across >= 0) & (across < canvas.shape[1] - 1) & (down >= 0) & (down < canvas.shape[0] - 1)
        column, row, colours = across[inside].astype(np.int64), down[inside].astype(np.int64), colours[order][inside]
        for step in (0, 1):
            canvas[row + step, column] = colours
            canvas[row, column + step] = colours
        return self._finished(Image.fromarray(canvas), NIGHT_INK, NIGHT)

    def _pixel(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Pixels to the right and down of places in metres."""
        return self._centre - self._scale * y, self._top - self._scale * x

    def _sheet(self, colour: Colour, ink: Colour) -> Image.Image:
        """The empty map with a line per 10 m, twice as fine."""
        canvas = Image.new("RGB", (self._size[0] * _FINE, self._size[1] * _FINE), colour)
        draw = ImageDraw.Draw(canvas)
        faint = tuple(round(0.72 * c + 0.28 * i) for c, i in zip(colour, ink, strict=True))
        for x in distances(self._grid):
            ends = [self._pixel(x, y) for y in (self._grid.upper[1], self._grid.origin[1])]
            draw.line([(u * _FINE, v * _FINE) for u, v in ends], fill=faint, width=_FINE)
        return canvas

    def _finished(self, canvas: Image.Image, ink: Colour, halo: Colour) -> np.ndarray:
        """Outline, own car and distances on the map, in its final size."""
        draw = ImageDraw.Draw(canvas)
        grid = self._grid
        corners = [self._pixel(*corner) for corner in (grid.upper[:2], grid.origin[:2])]
        draw.rectangle([round(value * _FINE) for corner in corners for value in corner], outline=ink, width=_FINE)
        self._car(draw)
        canvas = canvas.resize(self._size, Image.Resampling.BOX)
        draw = ImageDraw.Draw(canvas)
        for x in distances(grid):
            u, v = self._pixel(x, grid.upper[1])
            draw_text(draw, (u - self._text / 2, v), f"{x:.0f} m", self._text, ink, "rm", halo)
        ten = abs(self._pixel(0.0, 10.0)[0] - self._pixel(0.0, 0.0)[0])
        step = 10.0 if text_width("20 m right", self._text) + 0.5 * self._text <= ten else 20.0
        for y in (-20.0, -10.0, 10.0, 20.0):
            u, v = self._pixel(grid.origin[0], y)
            if grid.origin[1] < y < grid.upper[1] and y % step == 0:
                side = "left" if y > 0 else "right"
                draw_text(draw, (u, v + self._text), f"{abs(y):.0f} m {side}", self._text, ink, "mm", halo)
        return np.asarray(canvas)

    def _car(self, draw: ImageDraw.ImageDraw) -> None:
        """The car that carries the sensor: body, windscreen, sensor."""
        parts = (
            ((FRONT, HALF_WIDTH), (REAR, -HALF_WIDTH), (250, 250, 252)),
            ((FRONT - 1.1, HALF_WIDTH - 0.15), (FRONT - 1.9, 0.15 - HALF_WIDTH), (120, 134, 150)),
            ((0.2, 0.2), (-0.2, -0.2), (40, 44, 52)),
        )
        for first, second, colour in parts:
            box = [value * _FINE for corner in (first, second) for value in self._pixel(*corner)]
            draw.rectangle(box, fill=colour, outline=(70, 76, 86), width=_FINE)
