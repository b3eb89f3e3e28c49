"""Tables and numbers on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as needed; numbers and percentages to the right, text to the left.

    >>> print(table(["class", "voxels"], [["road", 12], ["car", 7]]))
      class  voxels
      road       12
      car         7
    """
    rows = [list(row) for row in rows]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = (
        "  ".join(f"{cell:>{w}}" if r else f"{cell:<{w}}" for cell, w, r in zip(row, widths, right, strict=True))
        for row in cells
    )
    return "\n".join("  " + line.rstrip() for line in lines)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and value.endswith("%"))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def as_json(value: Any) -> str:
    """Indented JSON; NaN, which JSON does not have, is an error here rather than in the program that reads it."""
    return json.dumps(value, indent=2, allow_nan=False)
