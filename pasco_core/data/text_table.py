"""Number tables in the text variants of PCD and PLY."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pasco_core.errors import CloudError


def text_rows(data: bytes, start: int) -> Iterator[list[bytes]]:
    """The words of each line from byte ``start`` on that is not blank."""
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        words = data[start:end].split()
        if words:
            yield words
        start = end + 1


def text_columns(
    rows: Iterable[list[bytes]],
    n_rows: int,
    width: int,
    where: Mapping[str, int],
    dtypes: Mapping[str, np.dtype],
    source: str,
) -> dict[str, np.ndarray]:
    """The columns of ``n_rows`` rows of ``width`` numbers; takes no more rows than that.

    Args:
        where: position of each wanted column in a row.
        dtypes: its type.
        source: the file, for messages.

    Raises:
        CloudError: ``LAYOUT`` where a row is missing, too short or long, a word is no number or does not fit its type.
    """
    values = {name: array("d") for name in where}
    wanted = [(values[name].append, position) for name, position in where.items()]
    rows = iter(rows)
    for index in range(n_rows):
        row = next(rows, None)
        if row is None:
            raise CloudError(f"Expected {source} to hold {n_rows} points, got {index}", "LAYOUT")
        if len(row) != width:
            raise CloudError(f"Expected point {index} of {source} to have {width} numbers, got {len(row)}", "LAYOUT")
        try:
            for append, position in wanted:
                append(float(row[position]))
        except ValueError:
            raise CloudError(
                f"Expected point {index} of {source} to hold numbers, got {row[position][:40]!r}", "LAYOUT"
            ) from None
    return {name: _typed(np.array(column), dtypes[name], f"field '{name}' of {source}")
            for name, column in values.items()}


def _typed(values: np.ndarray, dtype: np.dtype, what: str) -> np.ndarray:
    """Float64 ``values`` as ``dtype``, refused where they do not fit."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        inside = (values >= limits.min) & (values <= limits.max)  # False for NaN
        if not inside.all():
            point = int(np.argmin(inside))
            raise CloudError(f"Expected {what} to fit {dtype.name}, got {values[point]:g} at point {point}", "LAYOUT")
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype)
