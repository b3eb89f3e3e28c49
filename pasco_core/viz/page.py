"""A page of panels: each with a caption above and a legend below its picture, and a header over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pasco_core.errors import ConfigError
from pasco_core.viz.canvas import (
    FAINT_INK,
    INK,
    Colour,
    draw_colour_bar,
    draw_swatches,
    draw_text,
    fitting_swatches,
    shorten,
    text_width,
    wrap,
)

PANEL_WIDTH = 960
"""Width of a panel's picture for which the sizes of text and rims are given."""

WARNING = (255, 214, 102)
_CAPTION, _LEGEND, _BAR, _MARGIN = 34, 106, 62, 20
_PANEL_ROOM = 720  # pixels a panel of that width takes from top to bottom
_SMALLEST, _LARGEST = 0.7, 1.5
_LEAST_PICTURE = (120, 60)
_MOST_NOTE_LINES = 8
_PAGE = (255, 255, 255)
_LOUD = ("untrained", "not trained", "random weights")


@dataclass(frozen=True)
class Panel:
    """One picture and what is written around it.

    Args:
        picture: (height, width, 3) uint8.
        caption: what it shows.
        remark: a number about it, at the right.
        message: across a picture in which there is nothing.
        swatches: a legend of colours: name, remark, colour.
        ticks: of a bar of the scale's colours: where on it (0 to 1), and the text.
        scale: what the bar means.
    """

    picture: np.ndarray
    caption: str
    remark: str = ""
    message: str = ""
    swatches: tuple[tuple[str, str, Colour], ...] = ()
    ticks: tuple[tuple[float, str], ...] = ()
    scale: str = ""


@dataclass(frozen=True)
class Layout:
    """Where the panels of a page are.

    Args:
        columns, rows: of panels.
        width, height: of a panel's picture, pixels.
        text: size of text and rims; 1 suits a panel of ``PANEL_WIDTH``.
        with_swatches: whether a legend of colours must find room below the pictures, not only a bar.
        spare: pixels that a legend of colours may take beyond that, because nothing else is there.
    """

    columns: int
    rows: int
    width: int
    height: int
    text: float = 1.0
    with_swatches: bool = True
    spare: int = 0

    @property
    def caption(self) -> int:
        return round(_CAPTION * self.text)

    @property
    def legend(self) -> int:
        return round((_LEGEND if self.with_swatches else _BAR) * self.text) + self.spare

    @property
    def margin(self) -> int:
        return round(_MARGIN * self.text)

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height of a panel with its caption, its legend and the margin behind it."""
        return self.width + self.margin, self.caption + self.height + self.legend + self.margin


def fit_layout(count: int, size: tuple[int, int], aspect: float, with_swatches: bool, header: int = 0) -> Layout:
    """The layout of panels that shows most of their pictures.

    Args:
        count: how many panels.
        size: width and height of the page.
        aspect: width over height of the pictures, at least.
        with_swatches: as ``Layout``.
        header: rows of the page above the panels.

    Raises:
        ConfigError: the page is too small.
    """
    best: tuple[float, Layout] | None = None
    below = size[1] - header
    for columns in range(1, count + 1):
        rows = math.ceil(count / columns)
        room = min(size[0] / columns / PANEL_WIDTH, below / rows / _PANEL_ROOM)
        text = min(max(room, _SMALLEST), _LARGEST)
        guess = Layout(columns, rows, 1, 1, text, with_swatches)
        width = (size[0] - (columns + 1) * guess.margin) // columns
        most = below // rows - guess.tile[1] + 1
        height = min(most, round(width / aspect))
        if width >= _LEAST_PICTURE[0] and height >= _LEAST_PICTURE[1]:
            shown = height * math.sqrt(count / (columns * rows))  # empty places look unfinished
            if best is None or shown > best[0]:
                spare = min(most - height, guess.legend) if with_swatches else 0
                best = shown, Layout(columns, rows, width, height, text, with_swatches, spare)
    if best is None:
        panels = "a panel" if count == 1 else f"{count} panels"
        raise ConfigError(f"Expected the picture to be large enough for {panels}, got {size[0]}x{size[1]}")
    return best[1]


def draw_page(panels: Sequence[Panel], layout: Layout, header: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """The page (height, width, 3) uint8 of a size (width, height), its header above the panels."""
    page = Image.new("RGB", size, _PAGE)
    page.paste(header, (layout.margin, 0))
    spare = max(size[1] - header.height - layout.rows * layout.tile[1], 0) // 2
    for number, panel in enumerate(panels):
        column, row = number % layout.columns, number // layout.columns
        corner = (layout.margin + column * layout.tile[0], header.height + spare + row * layout.tile[1])
        page.paste(_framed(panel, layout), corner)
    return np.asarray(page)


def draw_header(title: str, notes: Sequence[str], width: int, scale: float = 1.0) -> Image.Image:
    """A title and sentences below it; those that say that weights are untrained or random are set off as warnings."""
    size, step = round(20 * scale), round(32 * scale)
    lines = [(line, is_loud(note)) for note in notes for line in wrap(note, size, width - 24)]
    lines.sort(key=lambda line: not line[1])
    if len(lines) > _MOST_NOTE_LINES:
        hidden = len(lines) - _MOST_NOTE_LINES + 1
        lines[_MOST_NOTE_LINES - 1 :] = [(f"... and {hidden} more lines", False)]
    title_height = round(40 * scale) if title else 0
    header = Image.new("RGB", (width, round(24 * scale) + title_height + step * len(lines)), _PAGE)
    draw = ImageDraw.Draw(header)
    y = round(12 * scale)
    if title:
        large = round(30 * scale)
        draw_text(draw, (0, y + large), shorten(title, large, width), large)
        y += title_height
    for line, loud in lines:
        if loud:
            draw.rectangle((0, y + 2, width, y + step - 2), fill=WARNING)
        draw_text(draw, (10 if loud else 0, y + round(23 * scale)), line, size, INK if loud else FAINT_INK)
        y += step
    return header


def is_loud(note: str) -> bool:
    """Whether a note must not be overlooked."""
    return any(word in note.lower() for word in _LOUD)


def _framed(panel: Panel, layout: Layout) -> Image.Image:
    """A panel: caption above the picture, which is centred, and the legend below."""
    text, width = layout.text, layout.width
    image = Image.new("RGB", (width, layout.caption + layout.height + layout.legend), _PAGE)
    draw = ImageDraw.Draw(image)
    base = layout.caption - round(10 * text)
    large, small = round(22 * text), round(18 * text)
    draw_text(draw, (2, base), panel.caption, large)
    room = width - text_width(panel.caption, large) - 2 * small
    draw_text(draw, (width - 2, base), shorten(panel.remark, small, room), small, FAINT_INK, anchor="rs")
    rows, columns = panel.picture.shape[:2]
    image.paste(Image.fromarray(panel.picture), ((width - columns) // 2, layout.caption + (layout.height - rows) // 2))
    if panel.message:
        ink = (235, 238, 242) if panel.picture[0, 0].sum() < 384 else INK
        centre = (width / 2, layout.caption + layout.height / 2)
        draw_text(draw, centre, panel.message, round(34 * text), ink, anchor="mm")
    _draw_legend(image, panel, layout)
    return image


def _draw_legend(image: Image.Image, panel: Panel, layout: Layout) -> None:
    text, top = layout.text, layout.caption + layout.height
    if panel.swatches:
        rim = round(8 * text)
        room = (layout.width - rim, layout.legend - round(14 * text))
        entries, font_size = fitting_swatches(panel.swatches, *room, round(16 * text))
        draw_swatches(ImageDraw.Draw(image), entries, (rim, top + round(10 * text)), room[0], font_size)
    if panel.ticks:
        y = top + round(14 * text)
        size, left = round(17 * text), round(30 * text)
        beside = text_width(panel.scale, size) + 3 * size
        right = round(max(min(430 * text, layout.width - beside), layout.width / 3))
        draw_colour_bar(image, (left, y, right, y + round(16 * text)), panel.ticks, panel.scale, size)
