"""The report's diagrams as inline SVG: colours come from the page's style, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from pasco_core.evaluation.svg import FAINT, GRID, INK, MAIN, SECOND, svg_line, svg_picture, svg_text

_DIAGRAM, _BARS_WIDTH, _CELL = 300, 560, 27  # pixels


def reliability_diagram(title: str, bins: Mapping[str, Sequence[float]], remark: str = "") -> str:
    """Accuracy over confidence, with the ideal as a diagonal and the number of predictions per bin below.

    Args:
        title: of the diagram.
        bins: ``counts``, ``confidences`` and ``accuracies`` of equal bins on [0, 1] and one more for exactly 1.
        remark: below the title, such as the error.
    """
    left, top, width, height, share_height = 44, 44, _DIAGRAM - 60, _DIAGRAM - 60, 46
    counts = np.asarray(bins["counts"], np.float64)
    used = [i for i in range(len(counts)) if counts[i] > 0]
    n_bins = len(counts) - 1
    parts = [
        svg_text(left, 18, title, weight=600), svg_text(left, 35, remark, fill=FAINT, size=12),
        *_frame(left, top, width, height, "confidence", "accuracy"),
        f'<line x1="{left}" y1="{top + height}" x2="{left + width}" y2="{top}" stroke="{FAINT}" '
        'stroke-dasharray="4 4"/>',
    ]
    for i in used:
        x, bar = _bin_place(i, n_bins, left, width)
        accuracy, confidence = float(bins["accuracies"][i]), float(bins["confidences"][i])
        low, high = sorted((accuracy, confidence))
        label = f"{counts[i]:,.0f} predictions, confidence {confidence:.3f}, right {accuracy:.3f}"
        parts.append(
            f"<g><title>{escape(label)}</title>"
            f'<rect x="{x:.1f}" y="{top + height * (1 - accuracy):.1f}" width="{bar:.1f}" '
            f'height="{height * accuracy:.1f}" fill="{MAIN}" opacity=".8"/>'
            f'<rect x="{x:.1f}" y="{top + height * (1 - high):.1f}" width="{bar:.1f}" '
            f'height="{height * (high - low):.1f}" fill="{SECOND}" opacity=".35"/>'
            f'<circle cx="{left + width * confidence:.1f}" cy="{top + height * (1 - accuracy):.1f}" r="2.5" '
            f'fill="{INK}"/></g>'
        )
    parts += _shares(counts, used, left, top + height + 42, width, share_height, n_bins)
    if not used:
        parts.append(svg_text(left + width / 2, top + height / 2, "no predictions", fill=FAINT, anchor="middle"))
    return svg_picture(_DIAGRAM, _DIAGRAM + share_height + 50, parts, title)


def _bin_place(i: int, n_bins: int, left: float, width: float) -> tuple[float, float]:
    """Left edge and width of a bar; the bin of confidence exactly 1 stands as a thin bar behind the last one."""
    if i < n_bins:
        return left + width * i / n_bins + 1, width / n_bins - 2
    return left + width + 1, 5


def _shares(
    counts: np.ndarray, used: Sequence[int], left: float, top: float, width: float, height: float, n_bins: int
) -> list[str]:
    """How many predictions each bin has, on a logarithmic scale."""
    parts = [svg_text(left, top + height + 14, "predictions per bin, logarithmic", fill=FAINT, size=11)]
    most = math.log10(max(counts.max(initial=0.0), 1.0) + 1)
    for i in used:
        x, bar = _bin_place(i, n_bins, left, width)
        tall = height * math.log10(counts[i] + 1) / most
        parts.append(
            f'<rect x="{x:.1f}" y="{top + height - tall:.1f}" width="{bar:.1f}" height="{tall:.1f}" fill="{FAINT}">'
            f"<title>{counts[i]:,.0f}</title></rect>"
        )
    parts.append(svg_line(left, top + height, left + width, top + height))
    return parts


def class_bars(
    names: Sequence[str], colours: np.ndarray, series: Sequence[tuple[str, Sequence[float | None]]]
) -> str:
    """Horizontal bars, 0 to 100, one group per class and one bar per series.

    Args:
        names: of the classes.
        colours: (classes, 3) uint8 RGB.
        series: name and values in percent; None: not defined.
    """
    bar, gap, left, top = 12, 8, 110, 30
    group = bar * len(series) + gap
    scale = (_BARS_WIDTH - left - 70) / 100
    bottom = top + group * len(names)
    parts = []
    for tick in range(0, 101, 20):
        x = left + tick * scale
        parts.append(svg_line(x, top - 4, x, bottom, GRID))
        parts.append(svg_text(x, top - 10, str(tick), fill=FAINT, size=11, anchor="middle"))
    for row, name in enumerate(names):
        y = top + row * group
        red, green, blue = (int(value) for value in colours[row])
        parts.append(svg_text(left - 8, y + bar * len(series) / 2 + 4, name, anchor="end", size=12))
        for i, (title, values) in enumerate(series):
            value = values[row]
            drawn = 0.0 if value is None else max(float(value), 0.0)
            shown = "-" if value is None else f"{value:.1f}"
            parts.append(
                f'<rect x="{left}" y="{y + i * bar}" width="{drawn * scale:.1f}" height="{bar - 2}" rx="2" '
                f'fill="rgb({red},{green},{blue})" opacity="{1 - 0.3 * i:.1f}" stroke="{FAINT}" stroke-width=".5">'
                f"<title>{escape(f'{name}: {title} {shown}')}</title></rect>"
                + svg_text(left + drawn * scale + 5, y + i * bar + 8, f"{title} {shown}", size=9, fill=FAINT)
            )
    return svg_picture(_BARS_WIDTH, bottom + 8, parts, "per class")


def confusion_map(names: Sequence[str], confusion: np.ndarray) -> str:
    """Heat map of a confusion matrix: rows are the truth and sum to 100 %, columns the prediction.

    Args:
        names: of the classes.
        confusion: (classes, classes) counts.
    """
    left, top = 120, 96
    total = confusion.sum(axis=1, keepdims=True)
    share = np.divide(confusion, total, out=np.zeros(confusion.shape), where=total > 0)
    size = _CELL * len(names)
    parts = []
    for i, truth in enumerate(names):
        y = top + i * _CELL
        parts.append(svg_text(left - 6, y + _CELL / 2 + 4, truth, anchor="end", size=11))
        x = left + i * _CELL + _CELL / 2 + 4
        parts.append(
            f'<text x="{x:.1f}" y="{top - 6}" font-size="11" fill="{INK}" '
            f'transform="rotate(-60 {x:.1f} {top - 6})">{escape(truth)}</text>'
        )
        parts += [_cell(names, confusion, share, i, j, left, top) for j in range(len(names))]
    parts.append(
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{GRID}"/>'
    )
    return svg_picture(left + size + 50, top + size + 8, parts, "confusion matrix")


def _cell(
    names: Sequence[str], confusion: np.ndarray, share: np.ndarray, i: int, j: int, left: int, top: int
) -> str:
    value, count = float(share[i, j]), int(confusion[i, j])
    x, y = left + j * _CELL, top + i * _CELL
    label = f"truth {names[i]}, predicted {names[j]}: {100 * value:.2f} % ({count:,} voxels)"
    colour = MAIN if i == j else SECOND
    # A square root, because most of what goes wrong is a few per cent of a class.
    text = f"{100 * value:.0f}" if value >= 0.005 else ""
    ink = "var(--page)" if value > 0.45 else INK
    return (
        f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="{colour}" '
        f'fill-opacity="{math.sqrt(value):.3f}" stroke="{GRID}" stroke-width=".5">'
        f"<title>{escape(label)}</title></rect>"
        + (svg_text(x + _CELL / 2, y + _CELL / 2 + 4, text, fill=ink, size=10, anchor="middle") if text else "")
    )


def _frame(left: float, top: float, width: float, height: float, below: str, beside: str) -> list[str]:
    """Axes from 0 to 1 with ticks."""
    parts = []
    for i in range(6):
        x, y = left + width * i / 5, top + height * (1 - i / 5)
        parts += [svg_line(left, y, left + width, y, GRID), svg_line(x, top, x, top + height, GRID)]
        parts.append(svg_text(x, top + height + 14, f"{i / 5:g}", fill=FAINT, size=10, anchor="middle"))
        parts.append(svg_text(left - 6, y + 4, f"{i / 5:g}", fill=FAINT, size=10, anchor="end"))
    parts.append(svg_text(left + width / 2, top + height + 29, below, fill=FAINT, size=11, anchor="middle"))
    middle = top + height / 2
    parts.append(
        f'<text x="14" y="{middle:.1f}" font-size="11" fill="{FAINT}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle:.1f})">{escape(beside)}</text>'
    )
    return parts
