"""What every metric asks of its inputs, checked once at the boundary."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.errors import ConfigError, DataError

PROTOCOLS = ("standard", "paper")


def checked_protocol(protocol: str) -> str:
    """``protocol`` itself.

    Raises:
        ConfigError: neither "standard" nor "paper".
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f'Expected protocol to be "standard" or "paper", got {protocol!r}')
    return protocol


def checked_class_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple.

    Raises:
        ConfigError: not between 2 and 255 names, one twice, or one that is not text.
    """
    names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
    if not 2 <= len(names) <= UNKNOWN:
        raise ConfigError(f"Expected class_names to be 2 to {UNKNOWN} names, the first for empty, got {names!r}")
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ConfigError(f"Expected class_names to be different names, got {names!r}")
    return names


def checked_thing_ids(thing_ids: Collection[int], class_names: Sequence[str]) -> frozenset[int]:
    """The thing classes as a set.

    Raises:
        ConfigError: one is not a class, or is class 0, which is empty.
    """
    for category in thing_ids:
        if not isinstance(category, (int, np.integer)) or not 1 <= category < len(class_names):
            raise ConfigError(f"Expected thing_ids to be classes from 1 to {len(class_names) - 1}, got {category!r}")
    return frozenset(int(category) for category in thing_ids)


def checked_grid(name: str, values: Any, kind: type, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The array itself, if its dtype is of ``kind`` (a NumPy type or an abstract one) and its shape as expected.

    Raises:
        DataError: not an array, of another dtype, not (X, Y, Z), or of another shape.
    """
    if not isinstance(values, np.ndarray):
        raise DataError(f"Expected {name} to be a NumPy array, got {type(values).__name__}")
    if not np.issubdtype(values.dtype, kind):
        wanted = "an integer" if kind is np.integer else "a float" if kind is np.floating else np.dtype(kind).name
        raise DataError(f"Expected the dtype of {name} to be {wanted}, got {values.dtype}")
    if values.ndim != 3:
        raise DataError(f"Expected {name} to have the shape (X, Y, Z), got {values.shape}")
    if shape is not None and values.shape != shape:
        raise DataError(f"Expected {name} to have the shape {shape}, as the truth has, got {values.shape}")
    return values


def require_classes(name: str, values: np.ndarray, n_classes: int, unknown: bool = False) -> None:
    """Checks that class indices are below ``n_classes``, or 255 where ``unknown`` may be.

    Raises:
        DataError: naming the value.
    """
    bad = values[(values >= n_classes) & (values != UNKNOWN)] if unknown else values[values >= n_classes]
    if bad.size:
        rule = f"0 to {n_classes - 1}" + (f", or {UNKNOWN} for unknown" if unknown else "")
        raise DataError(f"Expected {name} to be classes {rule}, got {int(bad.flat[0])}")


def require_unit_interval(name: str, values: np.ndarray, slack: float = 0.0) -> None:
    """Checks that values are from 0 to 1, ``slack`` more at either end; not a number is refused too.

    Raises:
        DataError: naming the value.
    """
    if not values.size:
        return
    low, high = values.min(), values.max()
    if not (low >= -slack and high <= 1 + slack):
        raise DataError(f"Expected {name} to be from 0 to 1, got {low if not low >= -slack else high}")
