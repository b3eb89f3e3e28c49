"""Text and legends on a Pillow picture, with Pillow's built-in font: no font files, no system packages."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pasco_core.viz.palette import scale_colours

Colour = tuple[int, ...]

INK = (28, 32, 38)
FAINT_INK = (104, 112, 122)
# Minus sign, dashes, multiplication sign, arrow, comparisons, ellipsis.
_TYPOGRAPHY = str.maketrans(
    {0x2212: "-", 0x2013: "-", 0x2014: "-", 0xD7: "x", 0x2192: "->", 0x2265: ">=", 0x2264: "<=", 0x2026: "..."}
)


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The built-in font at ``size`` pixels."""
    return ImageFont.load_default(size=size)


def plain_text(text: str) -> str:
    """``text`` in the characters the built-in font has: accents dropped, anything else foreign as "?"."""
    text = unicodedata.normalize("NFKD", " ".join(text.split()).translate(_TYPOGRAPHY))
    bare = "".join(c for c in text if not unicodedata.combining(c))
    return "".join(c if c.isascii() or c == "·" else "?" for c in bare)


def text_width(text: str, size: int) -> float:
    """Width in pixels of ``text`` at font size ``size``."""
    return font(size).getlength(plain_text(text))


def draw_text(
    draw: ImageDraw.ImageDraw,
    position: tuple[float, float],
    text: str,
    size: int,
    fill: Colour = INK,
    anchor: str = "ls",
    halo: Colour | None = None,
) -> None:
    """One line of text; ``anchor`` is Pillow's (default: left end of the baseline), ``halo`` the letters' rim."""
    rim = 0 if halo is None else max(2, size // 6)
    draw.text(position, plain_text(text), fill=fill, font=font(size), anchor=anchor, stroke_width=rim, stroke_fill=halo)


def shorten(text: str, size: int, width: float) -> str:
    """``text`` if it fits ``width`` pixels, else as much of it as fits with "..." at the end."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "...", size) > width:
        text = text[:-1]
    return text + "..."


def wrap(text: str, size: int, width: float) -> list[str]:
    """``text`` in lines of at most ``width`` pixels, broken between words; a word too long alone is shortened."""
    lines: list[str] = []
    for word in plain_text(text).split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(shorten(word, size, width))
    return lines


def draw_swatches(
    draw: ImageDraw.ImageDraw,
    entries: Sequence[tuple[str, str, Colour]],
    corner: tuple[float, float],
    width: float,
    size: int = 17,
) -> None:
    """A legend: colour, if any, name and a faint remark per entry, in as many columns as fit ``width``, row by row."""
    columns, widest = _columns(entries, width, size)
    for i, (name, remark, colour) in enumerate(entries):
        x = corner[0] + (i % columns) * widest
        base = corner[1] + (i // columns) * 1.5 * size + size
        if colour:
            draw.rectangle((x, base - 0.86 * size, x + 0.92 * size, base + 0.06 * size), fill=colour, outline=FAINT_INK)
        draw_text(draw, (x + 1.35 * size, base), name, size)
        draw_text(draw, (x + 1.7 * size + text_width(name, size), base), remark, size, FAINT_INK)


def fitting_swatches(
    entries: Sequence[tuple[str, str, Colour]], width: float, height: float, size: int = 17
) -> tuple[list[tuple[str, str, Colour]], int]:
    """A legend for ``draw_swatches`` that fits ``width`` and ``height``: entries and font size.

    First the font shrinks a little, then the remarks go, then the font shrinks further; at last what is too much is
    counted.
    """
    plain = [(name, "", colour) for name, _, colour in entries]
    smallest = max(9, size // 2)
    tries = [(list(entries), size - i) for i in range(size // 4 + 1)]
    tries += [(plain, at) for at in range(size, smallest - 1, -1)]
    for chosen, at in tries:
        if len(chosen) <= _room(chosen, width, height, at):
            return chosen, at
    room = max(_room(plain, width, height, smallest), 1)
    return ([*plain[: room - 1], (f"and {len(plain) - room + 1} more", "", ())], smallest)


def _room(entries: Sequence[tuple[str, str, Colour]], width: float, height: float, size: int) -> int:
    """How many swatches fit."""
    return _columns(entries, width, size)[0] * int(height // (1.5 * size))


def _columns(entries: Sequence[tuple[str, str, Colour]], width: float, size: int) -> tuple[int, float]:
    """Number and width of the columns of a legend."""
    widest = max((text_width(name, size) + text_width(remark, size) for name, remark, _ in entries), default=0.0)
    column = widest + 3.2 * size
    return max(1, min(max(len(entries), 1), int(width // column))), column


def spaced(places: Sequence[float], widths: Sequence[float], gap: float) -> list[int]:
    """Which labels in a row to draw so that none touches another: as many as possible, evenly, the first among them.

    Args:
        places: of their middles, ascending, in pixels.
        widths: of their texts.
        gap: least room between two of them.

    >>> spaced([0.0, 10.0, 20.0, 30.0, 40.0], [12.0] * 5, 2.0)
    [0, 2, 4]
    """
    for step in range(1, len(places)):
        chosen = list(range(0, len(places), step))
        if all(places[j] - places[i] >= (widths[i] + widths[j]) / 2 + gap for i, j in pairwise(chosen)):
            return chosen
    return list(range(min(1, len(places))))


def draw_colour_bar(
    image: Image.Image,
    box: tuple[int, int, int, int],
    ticks: Sequence[tuple[float, str]],
    caption: str,
    size: int = 17,
) -> None:
    """A horizontal bar of the uncertainty colours over ``box`` (left, top, right, bottom), ticks (0 to 1) below."""
    left, top, right, bottom = box
    strip = scale_colours(np.linspace(0.0, 1.0, right - left))[None].repeat(bottom - top, axis=0)
    image.paste(Image.fromarray(strip), (left, top))
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, right, bottom), outline=FAINT_INK)
    places = [left + value * (right - left) for value, _ in ticks]
    for x in places:
        draw.line((x, bottom, x, bottom + 5), fill=FAINT_INK)
    for i in spaced(places, [text_width(text, size) for _, text in ticks], 0.5 * size):
        draw_text(draw, (places[i], bottom + 6 + size), ticks[i][1], size, FAINT_INK, anchor="ms")
    draw_text(draw, (right + 2 * size, bottom - 1), caption, size)
