"""Calibration files of KITTI's raw recordings and of KITTI-360: lines of a name, a colon and numbers."""

from __future__ import annotations

import os

import numpy as np

from pasco_core.data.datasets.calibration import finite_numbers
from pasco_core.data.datasets.raw_bytes import read_text
from pasco_core.errors import DataError


class CalibrationTable:
    """The lines of one file; their numbers are looked at when they are asked for, since some are dates.

    Args:
        path: the file.
        what: what it is needed for, for messages.

    Raises:
        DataError: no such file, or not text.
    """

    def __init__(self, path: str | os.PathLike[str], what: str):
        self.path = path
        lines = read_text(path, f"the calibration for {what}").splitlines()
        self._texts = {name.strip(): numbers for name, _, numbers in (line.partition(":") for line in lines)}

    def matrix(self, name: str, rows: int, columns: int) -> np.ndarray:
        """(rows, columns) float64.

        Raises:
            DataError: no such line, or not so many finite numbers in it.
        """
        count = rows * columns
        if name not in self._texts:
            raise DataError(f"Expected {self.path} to have a line '{name}:' with {count} numbers, got none")
        return finite_numbers(self._texts[name], count, f"{name} in {self.path}").reshape(rows, columns)

    def rigid(self) -> np.ndarray:
        """The transform (4, 4) of the lines ``R:`` and ``T:``.

        Raises:
            DataError: a line is missing or has not 9 and 3 finite numbers.
        """
        return square(np.hstack([self.matrix("R", 3, 3), self.matrix("T", 3, 1)]))


def square(matrix: np.ndarray) -> np.ndarray:
    """A transform (4, 4) of its upper rows (3, 3) or (3, 4)."""
    whole = np.eye(4)
    whole[:3, : matrix.shape[1]] = matrix
    return whole
