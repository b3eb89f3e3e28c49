"""Stand-ins for the few foreign types in training files, so that no foreign code runs while such a file is read.

PyTorch's restricted unpickler builds what its allow-list names. Instead of NumPy's and Lightning's own types, whose
unpickling trusts its input, the list maps their names to the classes here, which only keep what they are given; NumPy
arrays are made afterwards, from checked values.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from pasco_core.pickled_arrays import Array, DType, reconstruct

_MAX_VALUES = 100_000
_MAX_DEPTH = 50


class Namespace:
    """argparse.Namespace."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def resolved(self) -> dict:
        """Its attributes."""
        return dict(self.state)


class Path:
    """pathlib's paths."""

    def __init__(self, *parts: Any):
        self.parts = parts

    def resolved(self) -> str:
        """As text."""
        return str(PurePosixPath(*(str(part) for part in self.parts)))


class Scalar:
    """One NumPy number: type and bytes."""

    def __init__(self, dtype: Any, content: Any = b""):
        self.type, self.content = dtype, content

    def resolved(self) -> Any:
        """The number as Python's."""
        return np.frombuffer(self.content, self.type.dtype(), 1)[0].item()


def empty_bytes() -> bytes:
    """``bytes`` without an argument, which is how pickle spells ``b""``; with one it could ask for terabytes."""
    return b""


ALLOWED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    # Lightning's dictionary of hyper-parameters; the unpickler fills no other dictionary type than this and dict.
    (OrderedDict, "pytorch_lightning.utilities.parsing.AttributeDict"),
    (OrderedDict, "lightning.pytorch.utilities.parsing.AttributeDict"),
    (OrderedDict, "lightning.fabric.utilities.data.AttributeDict"),
    (OrderedDict, "lightning_fabric.utilities.data.AttributeDict"),
    (OrderedDict, "pytorch_lightning.core.saving.AttributeDict"),
    (Namespace, "argparse.Namespace"),
    *((Path, f"{module}.{kind}{name}") for module in ("pathlib", "pathlib._local")
      for kind in ("", "Pure") for name in ("PosixPath", "WindowsPath", "Path")),
    (empty_bytes, "builtins.bytes"),
    (Array, "numpy.ndarray"),
    (DType, "numpy.dtype"),
    *((reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((Scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
"""What ``torch.serialization.safe_globals`` takes: a class or function here, and the name in the file it answers to."""


def plain_values(value: Any) -> Any:
    """``value`` with every stand-in replaced by what it stands for.

    Raises:
        ValueError: nested more than 50 deep (or within itself), more than 100 000 values, or a damaged array.
    """
    remaining = [_MAX_VALUES]

    def plain(entry: Any, depth: int) -> Any:
        remaining[0] -= 1
        if remaining[0] < 0 or depth > _MAX_DEPTH:
            raise ValueError(f"more than {_MAX_VALUES} values or {_MAX_DEPTH} levels")
        if isinstance(entry, (Array, DType, Namespace, Path, Scalar)):
            return plain(entry.resolved(), depth + 1)
        if isinstance(entry, dict):
            return {plain(key, depth + 1): plain(item, depth + 1) for key, item in entry.items()}
        if type(entry) in (list, tuple, set):
            return type(entry)(plain(item, depth + 1) for item in entry)
        return entry

    try:
        return plain(value, 0)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"damaged settings: {error}") from error
