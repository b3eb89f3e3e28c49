"""Stanford .ply files as scans: ascii and binary of either byte order; only the vertex element is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from pasco_core.data.cloud_fields import check_field_names, cloud_from_fields, quoted, wanted_fields
from pasco_core.data.point_cloud import PointCloud
from pasco_core.data.text_table import text_columns, text_rows
from pasco_core.errors import CloudError

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}
_BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_MAX_HEADER_LINES = 1024
_MAX_LINE = 65536


@dataclass(frozen=True)
class _Property:
    """A number per row, or with ``count_type`` a list of numbers that begins with its length."""

    name: str
    dtype: np.dtype
    count_type: np.dtype | None = None


@dataclass(frozen=True)
class _Element:
    """A table: ``n_rows`` rows of the properties in order."""

    name: str
    n_rows: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def scalars(self) -> list[_Property]:
        return [p for p in self.properties if p.count_type is None]

    @property
    def has_lists(self) -> bool:
        return len(self.scalars) < len(self.properties)


def parse_ply(data: bytes, source: str) -> PointCloud:
    """Points of the vertex element; ``source`` names the file in messages. Faces and other elements are ignored.

    Raises:
        CloudError: ``LAYOUT``, ``FIELD_MISSING`` or ``EMPTY``.
    """
    encoding, elements, start = _parse_header(data, source)
    index = next((i for i, element in enumerate(elements) if element.name == "vertex"), None)
    if index is None:
        raise CloudError(f"Expected {source} to have an element vertex, got none", "FIELD_MISSING")
    vertex = elements[index]
    check_field_names([p.name for p in vertex.properties], source)
    wanted = wanted_fields([p.name for p in vertex.scalars])
    missing = [axis for axis in "xyz" if axis not in {p.name for p in vertex.scalars}]
    if missing:
        raise CloudError(f"Expected property '{missing[0]}' of {source} to be one number, got a list", "LAYOUT")
    if vertex.n_rows == 0:
        raise CloudError(f"Expected {source} to have at least one finite point, got element vertex 0", "EMPTY")
    read = _read_ascii if encoding == "ascii" else _read_binary
    return cloud_from_fields(read(data, start, elements[: index + 1], wanted, source), source)


def _parse_header(data: bytes, source: str) -> tuple[str, list[_Element], int]:
    """Encoding, elements in file order, and where the first one begins."""
    encoding, elements = None, []
    for number, (words, start) in enumerate(islice(_header_lines(data), _MAX_HEADER_LINES)):
        if number == 0:
            if words != ["ply"]:
                raise CloudError(f"Expected {source} to begin with 'ply', got {data[:12]!r}", "LAYOUT")
        elif words == ["end_header"]:
            if encoding is None:
                raise CloudError(f"Expected the header of {source} to have a format line, got none", "LAYOUT")
            return encoding, elements, start
        elif words[:1] == ["format"] and len(words) == 3 and words[1] in _BYTE_ORDERS and words[2] == "1.0":
            encoding = words[1]
        elif words[:1] == ["element"] and len(words) == 3 and _is_count(words[2]):
            elements.append(_Element(words[1], int(words[2])))
        elif words[:1] == ["property"] and elements and encoding is not None:
            elements[-1].properties.append(_property(words, _BYTE_ORDERS[encoding], source))
        elif words[:1] not in ([], ["comment"], ["obj_info"]):
            got = quoted(" ".join(words))
            raise CloudError(f"Expected line {number + 1} of {source} to be a PLY header line, got {got}", "LAYOUT")
    raise CloudError(f"Expected the header of {source} to end with end_header, got none", "LAYOUT")


def _header_lines(data: bytes) -> Iterator[tuple[list[str], int]]:
    """Words of each line and where the next line begins."""
    start = 0
    while (end := data.find(b"\n", start, start + _MAX_LINE)) >= 0:
        yield data[start:end].decode("latin1").split(), end + 1
        start = end + 1


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 18


def _property(words: list[str], order: str, source: str) -> _Property:
    """``property TYPE NAME`` or ``property list TYPE TYPE NAME``."""
    if len(words) == 3 and words[1] in _TYPES:
        return _Property(words[2], np.dtype(order + _TYPES[words[1]]))
    if len(words) == 5 and words[1] == "list" and words[3] in _TYPES and _TYPES.get(words[2], "f")[0] in "iu":
        return _Property(words[4], np.dtype(order + _TYPES[words[3]]), np.dtype(order + _TYPES[words[2]]))
    raise CloudError(f"Expected {source} to have properties of PLY types, got {quoted(' '.join(words))}", "LAYOUT")


def _read_ascii(
    data: bytes, start: int, elements: list[_Element], wanted: list[str], source: str
) -> dict[str, np.ndarray]:
    """One row per line; the vertex element is the last of ``elements``."""
    vertex = elements[-1]
    if sum(e.n_rows * max(1, len(e.properties)) for e in elements if e.properties) > len(data) - start:
        raise _too_short(vertex, len(data) - start, source)
    rows = text_rows(data, start)
    for element in elements[:-1]:
        for _ in islice(rows, element.n_rows if element.properties else 0):
            pass
    where = {p.name: i for i, p in enumerate(vertex.scalars) if p.name in wanted}
    dtypes = {p.name: p.dtype for p in vertex.scalars}
    if vertex.has_lists:
        rows = _without_lists(rows, vertex, source)
    return text_columns(rows, vertex.n_rows, len(vertex.scalars), where, dtypes, source)


def _without_lists(rows: Iterable[list[bytes]], element: _Element, source: str) -> Iterator[list[bytes]]:
    """Each row with its lists cut out."""
    for row in rows:
        kept, position = [], 0
        for prop in element.properties:
            if prop.count_type is None:
                kept += row[position : position + 1]
                position += 1
                continue
            word = row[position] if position < len(row) else b""
            if not (word.isdigit() and len(word) <= 10):
                raise CloudError(
                    f"Expected list '{prop.name}' of {source} to begin with its length, got {word[:40]!r}", "LAYOUT"
                )
            position += 1 + int(word)
        yield kept + row[position:]


def _read_binary(
    data: bytes, start: int, elements: list[_Element], wanted: list[str], source: str
) -> dict[str, np.ndarray]:
    """Packed rows; the vertex element is the last of ``elements``."""
    for element in elements[:-1]:
        start = _row_starts(data, start, element, source)[1]
    vertex = elements[-1]
    if vertex.has_lists:
        return _read_rows_with_lists(data, start, vertex, wanted, source)
    layout = np.dtype([(f"{i}", p.dtype) for i, p in enumerate(vertex.properties)])
    if layout.itemsize * vertex.n_rows > len(data) - start:
        raise _too_short(vertex, len(data) - start, source)
    table = np.frombuffer(data, layout, vertex.n_rows, start)
    return {p.name: table[f"{i}"] for i, p in enumerate(vertex.properties) if p.name in wanted}


def _read_rows_with_lists(
    data: bytes, start: int, vertex: _Element, wanted: list[str], source: str
) -> dict[str, np.ndarray]:
    """Rows of unequal length: find where each wanted number lies, then gather its bytes."""
    places, _ = _row_starts(data, start, vertex, source, wanted)
    content = np.frombuffer(data, np.uint8)
    columns = {}
    for prop in vertex.scalars:
        if prop.name in wanted:
            first = np.array(places[prop.name], np.int64)
            columns[prop.name] = content[first[:, None] + np.arange(prop.dtype.itemsize)].view(prop.dtype)[:, 0]
    return columns


def _row_starts(
    data: bytes, start: int, element: _Element, source: str, wanted: Iterable[str] = ()
) -> tuple[dict[str, list[int]], int]:
    """Byte positions of the ``wanted`` numbers of every row, and where the element ends."""
    fixed = sum(p.dtype.itemsize if p.count_type is None else p.count_type.itemsize for p in element.properties)
    end = start + fixed * element.n_rows
    if end > len(data):
        raise _too_short(element, len(data) - start, source)
    places: dict[str, list[int]] = {name: [] for name in wanted}
    if not element.has_lists:
        return places, end
    for _ in range(element.n_rows):
        for prop in element.properties:
            if prop.name in places:
                places[prop.name].append(start)
            start = _after(data, start, prop, element, source)
    if start > len(data):
        raise _too_short(element, len(data) - start, source)
    return places, start


def _after(data: bytes, start: int, prop: _Property, element: _Element, source: str) -> int:
    """Where the value that begins at ``start`` ends."""
    if prop.count_type is None:
        return start + prop.dtype.itemsize
    values = start + prop.count_type.itemsize
    if values > len(data):
        raise _too_short(element, len(data), source)
    length = int(np.frombuffer(data, prop.count_type, 1, start)[0])
    if length < 0 or values + length * prop.dtype.itemsize > len(data):
        raise CloudError(
            f"Expected list '{prop.name}' of {source} to fit the file, got a length of {length}", "LAYOUT"
        )
    return values + length * prop.dtype.itemsize


def _too_short(element: _Element, given: int, source: str) -> CloudError:
    return CloudError(
        f"Expected {source} to hold {element.n_rows} rows of element {element.name}, got only {max(given, 0)} bytes",
        "LAYOUT",
    )
