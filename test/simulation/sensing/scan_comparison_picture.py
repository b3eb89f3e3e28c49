"""Simulated scans beside real ones as one picture: points in perspective above, histograms below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from scan_comparison import HEIGHT_EDGES, INTENSITY_EDGES, RANGE_EDGES, ScanStatistics

from pasco_core.viz.camera import Camera
from pasco_core.viz.canvas import FAINT_INK, INK, draw_swatches, draw_text
from pasco_core.viz.point_picture import render_points

_WIDTH, _HEIGHT, _PLOT = 760, 480, 240
_SIMULATED, _REAL = (214, 96, 38), (38, 104, 176)
_DARK, _BRIGHT = np.array([52, 74, 140], np.float32), np.array([255, 238, 176], np.float32)


def comparison_picture(
    simulated: Sequence[np.ndarray], real: Sequence[np.ndarray], statistics: tuple[ScanStatistics, ScanStatistics],
    captions: tuple[str, str] = ("simulated", "real"),
) -> Image.Image:
    """Rows of scans (N, 4), left one of ``simulated``, right one of ``real``, coloured by intensity; and histograms.

    Args:
        simulated, real: as many scans of each as rows are wanted.
        statistics: of the simulated and the real scans.
        captions: above the columns.
    """
    rows = min(len(simulated), len(real))
    image = Image.new("RGB", (2 * _WIDTH + 30, 40 + rows * (_HEIGHT + 10) + _PLOT + 60), (250, 250, 250))
    draw = ImageDraw.Draw(image)
    for column, caption in enumerate(captions):
        draw_text(draw, (10 + column * (_WIDTH + 10), 28), caption, 20)
    for row in range(rows):
        for column, scans in enumerate((simulated, real)):
            corner = (10 + column * (_WIDTH + 10), 40 + row * (_HEIGHT + 10))
            image.paste(Image.fromarray(_scan_picture(scans[row])), corner)
    _plots(image, draw, 40 + rows * (_HEIGHT + 10) + 10, statistics)
    return image


def _scan_picture(points: np.ndarray) -> np.ndarray:
    camera = Camera((-15.0, 0.0, 13.0), (13.0, 0.0, -3.0), _WIDTH, _HEIGHT, vertical_fov=50.0)
    share = np.clip(points[:, 3:4] / 0.6, 0.0, 1.0)
    return render_points(points, (_DARK + (_BRIGHT - _DARK) * share).astype(np.uint8), camera)


def _plots(
    image: Image.Image, draw: ImageDraw.ImageDraw, top: int, statistics: tuple[ScanStatistics, ScanStatistics]
) -> None:
    panels = (
        ("range, 0 to 80 m", [s.ranges for s in statistics], RANGE_EDGES),
        ("height, -4 to 4 m", [s.heights for s in statistics], HEIGHT_EDGES),
        ("intensity, 0 to 1", [s.intensities.sum(axis=0) for s in statistics], INTENSITY_EDGES),
        ("points per beam, top to bottom", [s.beams for s in statistics], np.arange(65)),
    )
    width = (image.width - 20) // len(panels)
    for i, (title, histograms, edges) in enumerate(panels):
        box = (10 + i * width, top, i * width + width - 6, top + _PLOT)
        draw.rectangle(box, outline=FAINT_INK, fill=(255, 255, 255))
        shares = [h / max(h.sum(), 1) for h in histograms]
        highest = max(float(s.max()) for s in shares) or 1.0
        for share, colour in zip(shares, (_SIMULATED, _REAL), strict=True):
            at = np.linspace(box[0] + 4, box[2] - 4, len(edges) - 1)
            line = list(zip(at.tolist(), (box[3] - 4 - share / highest * (_PLOT - 30)).tolist(), strict=True))
            draw.line(line, fill=colour, width=2)
        draw_text(draw, (box[0] + 8, top + 18), title, 14, INK)
    entries = [("simulated", "", _SIMULATED), ("real", "", _REAL)]
    draw_swatches(draw, entries, (14, top + _PLOT + 8), 600)
