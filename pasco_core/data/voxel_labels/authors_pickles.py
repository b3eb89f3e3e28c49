"""Reads the instance labels that PaSCo's authors keep in pickles, without running what a pickle names.

Each file is ``<sequence>/<frame>_1_1.pkl``: a dictionary with ``instance_labels`` (float64) and ``semantic_labels``
(float32), both of the grid's shape. The few names that the pickle of a NumPy array needs stand for classes that
only keep what they are given; any other name is refused, and so is every opcode that such a file does not
need. The arrays are made afterwards, from checked values.
"""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.data.datasets.instance_files import check_classes
from pasco_core.data.datasets.raw_bytes import file_size
from pasco_core.data.frame import Frame, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.data.voxel_labels.instances import MAX_INSTANCES
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID
from pasco_core.pickled_arrays import Array, DType, reconstruct

_MAX_BYTES = 2**27
_MAX_OPCODES = 1000
_NAME = re.compile(r"(\d{1,9})_1_1\.pkl", re.ASCII)
_OPCODE_NAMES = """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINUNICODE
    SHORT_BINUNICODE BINUNICODE8 BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_TUPLE
    TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS BINPUT LONG_BINPUT BINGET LONG_BINGET MEMOIZE
    GLOBAL STACK_GLOBAL REDUCE BUILD INT LONG STRING UNICODE PUT GET
"""
_OPCODES = frozenset(_OPCODE_NAMES.split())  # what dictionaries of arrays are made of, in every protocol


def find_pickles(folder: str | os.PathLike[str]) -> list[tuple[Frame, Path]]:
    """Every ``<sequence>/<frame>_1_1.pkl`` in a folder, by frame.

    Raises:
        DataError: there is none.
    """
    found = [
        (Frame(path.parent.name, int(match[1])), path)
        for path in Path(folder).glob("*/*.pkl")
        if (match := _NAME.fullmatch(path.name))
    ]
    if not found:
        raise DataError(f"Expected {folder} to hold <sequence>/<frame>_1_1.pkl, got no such file")
    return sorted(found)


def read_authors_pickle(
    path: str | os.PathLike[str], labels: LabelSet, shape: tuple[int, int, int] = KITTI_GRID.shape
) -> VoxelTruth:
    """Classes and instances from one of the authors' files.

    Raises:
        DataError: no such file, larger than 128 MiB, damaged, naming anything beyond NumPy arrays, or arrays that are
            not whole numbers of the right shape and range.
    """
    path = Path(path)
    size = file_size(path, "instance pickle")
    if size > _MAX_BYTES:
        raise DataError(f"Expected instance pickle {path} to be at most {_MAX_BYTES} bytes, got {size}")
    content = _unpickle(path.read_bytes(), path)
    if not isinstance(content, dict):
        raise DataError(f"Expected {path} to hold a dictionary, got {type(content).__name__.strip('_').lower()}")
    semantics = _numbers(content, "semantic_labels", 255, shape, path).astype(np.uint8)
    instances = _numbers(content, "instance_labels", MAX_INSTANCES, shape, path).astype(np.uint16)
    check_classes(semantics, labels, path)
    return VoxelTruth(semantics, instances)


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> Array:
    return Array((shape, dtype, order == "F", data))


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """``_codecs.encode``, with which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError(f"bytes written as {encoding!r}")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): DType,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    """Finds nothing but the stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"a reference to '{module}.{name}', which could run code")
        return found


def _unpickle(data: bytes, path: Path) -> Any:
    """The pickle's one object; whatever a hostile or damaged file leads to means that it cannot be read."""
    try:
        for count, name in enumerate(_opcode_names(data)):
            if name not in _OPCODES or count >= _MAX_OPCODES:
                got = f"opcode {name}" if name not in _OPCODES else f"more than {_MAX_OPCODES} opcodes"
                raise pickle.UnpicklingError(got)
        return _Unpickler(io.BytesIO(data)).load()
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(
            f"Expected {path} to be a pickle of NumPy arrays alone, got {reason}; nothing it names was run"
        ) from error


def _opcode_names(data: bytes) -> Iterator[str]:
    """Names of the opcodes in order, from reading alone; a memo of many slots is refused, for it costs memory."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and int(str(argument)) > _MAX_OPCODES:
            raise pickle.UnpicklingError(f"memo slot {argument}")
        yield opcode.name


def _numbers(content: dict, name: str, most: int, shape: tuple[int, int, int], path: Path) -> np.ndarray:
    """One of the arrays, checked."""
    value = content.get(name)
    if not isinstance(value, Array):
        keys = ", ".join(sorted(str(key)[:40] for key in content)[:5]) or "nothing"
        raise DataError(f"Expected {path} to hold an array '{name}', got {keys}")
    try:
        array = np.asarray(value.resolved())
        if array.dtype.kind not in "biuf":
            raise ValueError(f"an array of type '{array.dtype.str[1:]}'")
    except ValueError as error:
        raise DataError(f"Expected '{name}' in {path} to be an array of numbers, got {error}") from error
    if array.shape != tuple(shape):
        raise DataError(f"Expected '{name}' in {path} to have shape {tuple(shape)}, got {array.shape}")
    wrong = ~((array >= 0) & (array <= most) & (array == np.floor(array)))  # also catches NaN
    if wrong.any():
        raise DataError(f"Expected '{name}' in {path} to be whole numbers 0 to {most}, got {array[wrong][0]}")
    return array
