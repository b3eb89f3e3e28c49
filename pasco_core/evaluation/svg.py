"""Lines, text and pictures as inline SVG in the colours of the report's page, which follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK, FAINT, GRID, MAIN, SECOND = "var(--ink)", "var(--faint)", "var(--line)", "var(--main)", "var(--second)"


def svg_line(x1: float, y1: float, x2: float, y2: float, stroke: str = FAINT) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"/>'


def svg_text(
    x: float, y: float, text: str, *, fill: str = INK, size: int = 13, anchor: str = "start", weight: int = 400
) -> str:
    """Text with its base line at y."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def svg_picture(width: float, height: float, parts: Sequence[str], label: str) -> str:
    """A picture of parts; ``label`` is what screen readers say."""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
