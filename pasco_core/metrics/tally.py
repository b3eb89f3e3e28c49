"""What metrics accumulate: integer counts and exact sums, so that frames may come in any order and grouping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from pasco_core.errors import ConfigError, DataError

Shape = tuple[int, ...]


class ExactSums:
    """A vector of sums of float64 values without any rounding until they are read.

    Float addition depends on order and grouping; rational numbers do not. Every finite float64 is a fraction with a
    power of two below, so that the denominators stay small.

    >>> sums = ExactSums(2)
    >>> for value in (1e16, 1.0, -1e16):
    ...     sums.add([0], [value])
    >>> sums.values().tolist()
    [1.0, 0.0]
    """

    def __init__(self, length: int):
        self._sums = [Fraction(0)] * length

    def __len__(self) -> int:
        return len(self._sums)

    def add(self, indices: Iterable[int], values: Iterable[float]) -> None:
        """Adds each value to the sum of its index.

        Raises:
            DataError: a value is not finite.
        """
        for index, value in zip(indices, values, strict=True):
            if not math.isfinite(value):
                raise DataError(f"Expected the values of a metric to be finite, got {value}")
            if value:
                self._sums[index] += Fraction(float(value))

    def merge(self, other: ExactSums) -> None:
        """Adds the sums of ``other``."""
        self._sums = [mine + yours for mine, yours in zip(self._sums, other._sums, strict=True)]

    def values(self) -> np.ndarray:
        """(length,) float64, each the float nearest to the exact sum."""
        return np.array([float(value) for value in self._sums], np.float64)

    def to_list(self) -> list[list[Any]]:
        """[index, "numerator/denominator"] of the sums that are not 0."""
        return [[index, str(value)] for index, value in enumerate(self._sums) if value]

    @classmethod
    def from_list(cls, entries: Sequence[Sequence[Any]], length: int) -> ExactSums:
        """What ``to_list`` wrote."""
        sums = cls(length)
        for index, text in entries:
            sums._sums[_index(index, length)] = Fraction(text)
        return sums


class Tally:
    """Named integer arrays and named vectors of exact sums: all that a metric knows.

    Args:
        setting: what two tallies must agree on to be merged, JSON-able.
        counts: shape of each integer array.
        sums: length of each vector of sums.
    """

    def __init__(self, setting: Mapping[str, Any], counts: Mapping[str, Shape], sums: Mapping[str, int] | None = None):
        self.setting = dict(setting)
        self.counts = {name: np.zeros(shape, np.int64) for name, shape in counts.items()}
        self.sums = {name: ExactSums(length) for name, length in (sums or {}).items()}

    def merge(self, other: Tally) -> None:
        """Adds everything ``other`` counted.

        Raises:
            ConfigError: the settings differ.
        """
        _require_same_setting(self.setting, other.setting, ConfigError)
        for name, counts in self.counts.items():
            counts += other.counts[name]
        for name, sums in self.sums.items():
            sums.merge(other.sums[name])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able and exact: counts by flat index, sums as fractions; zeros are left out."""
        counts = {}
        for name, array in self.counts.items():
            at = np.flatnonzero(array)
            counts[name] = {"at": at.tolist(), "count": array.ravel()[at].tolist()}
        return {
            "setting": self.setting,
            "counts": counts,
            "sums": {name: sums.to_list() for name, sums in self.sums.items()},
        }

    def load_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``to_dict`` wrote, also after a detour through JSON.

        Raises:
            DataError: ``state`` is of other classes or settings, or not what ``to_dict`` writes.
        """
        try:
            _require_same_setting(self.setting, state["setting"], DataError)
            counts = {name: _counts(state["counts"][name], array.shape) for name, array in self.counts.items()}
            sums = {name: ExactSums.from_list(state["sums"][name], len(mine)) for name, mine in self.sums.items()}
        except (KeyError, AttributeError, TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError) as error:
            raise DataError(
                f"Expected the state of a metric to be as to_dict wrote it, got {type(error).__name__}: {error}"
            ) from error
        self.counts, self.sums = counts, sums


class Metric:
    """What all metrics share: they are merged, written and read through their tally."""

    tally: Tally

    def merge(self, other: Metric) -> None:
        """Adds what ``other`` has seen; the result does not depend on how frames were split or ordered.

        Raises:
            ConfigError: another kind of metric, or other classes.
        """
        if type(other) is not type(self):
            raise ConfigError(f"Expected the metric to merge to be {type(self).__name__}, got {type(other).__name__}")
        self.tally.merge(other.tally)

    def to_dict(self) -> dict[str, Any]:
        """Everything counted so far, JSON-able and exact."""
        return self.tally.to_dict()

    def load_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what ``to_dict`` wrote.

        Raises:
            DataError: ``state`` is of other classes, or not what ``to_dict`` writes.
        """
        self.tally.load_dict(state)


def _require_same_setting(mine: Mapping[str, Any], yours: Mapping[str, Any], error: type[Exception]) -> None:
    for name, value in mine.items():
        if yours.get(name) != value:
            raise error(f"Expected the {name.replace('_', ' ')} to be {value}, got {yours.get(name)}")


def _counts(entries: Mapping[str, Sequence[int]], shape: Shape) -> np.ndarray:
    array = np.zeros(shape, np.int64)
    flat = array.reshape(-1)
    for index, count in zip(entries["at"], entries["count"], strict=True):
        if type(count) is not int or count < 0:
            raise ValueError(f"count {count!r}")
        flat[_index(index, flat.size)] = count
    return array


def _index(index: Any, size: int) -> int:
    if type(index) is not int or not 0 <= index < size:
        raise ValueError(f"index {index!r} of {size}")
    return index
