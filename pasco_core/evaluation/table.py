"""A table as plain values, to be printed, written as HTML or read by a program."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Columns and rows.

    Args:
        title: what it is.
        header: of the columns.
        rows: cells: text, whole numbers, or floats with the digits they are shown with (``Number``); None: not defined.
        note: how to read it.
        lead: index of the row that matters most.
        published: indices of rows that were not measured here.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    note: str = ""
    lead: int | None = None
    published: tuple[int, ...] = ()

    def numeric_columns(self) -> list[bool]:
        """Which columns hold numbers alone."""
        return [bool(self.rows) and all(is_number(row[i]) for row in self.rows) for i in range(len(self.header))]

    def as_text(self) -> str:
        """Title, columns as wide as needed, and note."""
        cells = [list(self.header), *([cell_text(value) for value in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.header))]
        right = self.numeric_columns()
        lines = [
            "  ".join(f"{c:>{w}}" if r else f"{c:<{w}}" for c, w, r in zip(row, widths, right, strict=True)).rstrip()
            for row in cells
        ]
        note = [f"({self.note})"] if self.note else []
        return "\n".join([self.title, *("  " + line for line in [*lines, *note])])


@dataclass(frozen=True)
class Number:
    """A number and how many decimals it is shown with; nan or None: not defined.

    >>> str(Number(12.3456, 2)), str(Number(None)), str(Number(1234567.0, 0))
    ('12.35', '-', '1,234,567')
    """

    value: float | None
    decimals: int = 2

    def __str__(self) -> str:
        if self.value is None or math.isnan(self.value):
            return "-"
        return f"{self.value:,.{self.decimals}f}"


def percent(value: float | None, decimals: int = 2) -> Number:
    """A share as a percentage.

    >>> str(percent(0.12345))
    '12.35'
    """
    return Number(None if value is None else 100 * value, decimals)


def is_number(value: object) -> bool:
    """Whether a cell goes to the right."""
    return value is None or (isinstance(value, (int, float, Number)) and not isinstance(value, bool))


def cell_text(value: object) -> str:
    """A cell as text.

    >>> cell_text(12345), cell_text(None)
    ('12,345', '-')
    """
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
