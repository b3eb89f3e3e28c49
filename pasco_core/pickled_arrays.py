"""Stand-ins for NumPy's types in pickles: they keep what they are given, and arrays are made from checked values.

NumPy's own types trust their input while they are unpickled; these do not, and run nothing.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

_NUMBER_OR_TEXT = re.compile(r"[biufc](1|2|4|8|16)|[SU]\d{1,4}")


class DType:
    """``numpy.dtype`` as its pickle spells it: a type code, then the byte order."""

    def __init__(self, code: Any = "", *_: Any):
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            self.order = ">"

    def dtype(self) -> np.dtype:
        """The type, where it is a number or text.

        Raises:
            ValueError: any other, such as objects or records.
        """
        if not isinstance(self.code, str) or not _NUMBER_OR_TEXT.fullmatch(self.code):
            raise ValueError(f"an array of type {self.code!r}")
        return np.dtype(self.order + self.code)

    def resolved(self) -> str:
        """Its name."""
        return str(self.dtype())


class Array:
    """``numpy.ndarray`` as its pickle spells it: shape, type, column order, bytes or a list of objects."""

    def __init__(self, content: tuple = ()) -> None:
        self.content = content

    def __setstate__(self, state: Any) -> None:
        self.content = tuple(state[1:]) if isinstance(state, tuple) else ()  # without the version

    def resolved(self) -> Any:
        """The array; an array of objects becomes the list of them.

        Raises:
            ValueError: shape, type and bytes do not fit together.
        """
        if len(self.content) != 4 or not isinstance(self.content[1], DType):
            raise ValueError("an array without shape, type and bytes")
        shape, kind, fortran, data = self.content
        if isinstance(data, list):
            return data
        dtype = kind.dtype()
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
            raise ValueError(f"an array of shape {shape!r}")
        if not isinstance(data, (bytes, bytearray)) or len(data) != math.prod(shape) * dtype.itemsize:
            raise ValueError("an array whose bytes do not fill its shape")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").copy()


def reconstruct(*_: Any) -> Array:
    """NumPy's ``_reconstruct``: an empty array, whose content follows."""
    return Array()
