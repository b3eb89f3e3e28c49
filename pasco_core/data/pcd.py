"""The Point Cloud Library's .pcd files, version 0.6 and 0.7: ascii, binary and binary_compressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from pasco_core.data.cloud_fields import check_field_names, cloud_from_fields, quoted, wanted_fields
from pasco_core.data.lzf import lzf_decompress
from pasco_core.data.point_cloud import PointCloud
from pasco_core.data.text_table import text_columns, text_rows
from pasco_core.errors import CloudError

_TYPES = {
    ("F", 4): "<f4", ("F", 8): "<f8", ("U", 1): "<u1", ("U", 2): "<u2", ("U", 4): "<u4", ("U", 8): "<u8",
    ("I", 1): "<i1", ("I", 2): "<i2", ("I", 4): "<i4", ("I", 8): "<i8",
}
_REQUIRED = ("FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT", "DATA")
_KNOWN = (*_REQUIRED, "VERSION", "COUNT", "VIEWPOINT", "POINTS")
_MAX_HEADER_LINES = 256
_MAX_LINE = 65536
_IDENTITY_VIEWPOINT = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class _Header:
    """The checked header: one entry per field in every tuple; ``start`` is where the points begin."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    n_points: int
    encoding: str
    start: int
    notes: tuple[str, ...]

    @property
    def widths(self) -> list[int]:
        """Bytes of each field in a point."""
        return [size * count for size, count in zip(self.sizes, self.counts, strict=True)]

    @property
    def step(self) -> int:
        """Bytes per point."""
        return sum(self.widths)

    def dtype_of(self, name: str, source: str) -> np.dtype:
        """NumPy type of a field that is used."""
        index = self.names.index(name)
        key = (self.types[index], self.sizes[index])
        if key not in _TYPES or self.counts[index] != 1:
            raise CloudError(
                f"Expected field '{name}' of {source} to be one number of type F 4, F 8 or U, I 1, 2, 4, 8, "
                f"got type {quoted(key[0])}, size {key[1]}, count {self.counts[index]}",
                "LAYOUT",
            )
        return np.dtype(_TYPES[key])


def parse_pcd(data: bytes, source: str) -> PointCloud:
    """Points of a whole .pcd file; ``source`` names it in messages. Organised clouds are flattened row by row.

    Raises:
        CloudError: ``LAYOUT``, ``FIELD_MISSING`` or ``EMPTY``.
    """
    header = _parse_header(data, source)
    check_field_names(header.names, source)
    dtypes = {name: header.dtype_of(name, source) for name in wanted_fields(header.names)}
    if header.n_points == 0:
        raise CloudError(f"Expected {source} to have at least one finite point, got POINTS 0", "EMPTY")
    reader = {"ascii": _read_ascii, "binary": _read_binary, "binary_compressed": _read_compressed}[header.encoding]
    columns, notes = reader(data, header, dtypes, source)
    return cloud_from_fields(columns, source, (*header.notes, *notes))


def _parse_header(data: bytes, source: str) -> _Header:
    """Read up to DATA and check every entry against the others."""
    entries, start = _header_entries(data, source)
    missing = [key for key in _REQUIRED if key not in entries]
    if missing:
        raise CloudError(f"Expected the header of {source} to have {', '.join(missing)}, got none", "LAYOUT")
    names = tuple(entries["FIELDS"])
    sizes = _integers(entries, "SIZE", source)
    counts = _integers(entries, "COUNT", source) if "COUNT" in entries else (1,) * len(names)
    types = tuple(entries["TYPE"])
    for key, values in (("SIZE", sizes), ("TYPE", types), ("COUNT", counts)):
        if len(values) != len(names):
            raise CloudError(f"Expected {key} of {source} to have {len(names)} entries, got {len(values)}", "LAYOUT")
    if min((*sizes, *counts), default=1) < 1:
        raise CloudError(f"Expected SIZE and COUNT of {source} to be at least 1, got {sizes} and {counts}", "LAYOUT")
    n_points = _n_points(entries, source)
    encoding = " ".join(entries["DATA"]).lower()
    if encoding not in ("ascii", "binary", "binary_compressed"):
        raise CloudError(
            f"Expected DATA of {source} to be ascii, binary or binary_compressed, got {quoted(encoding)}", "LAYOUT"
        )
    return _Header(names, types, sizes, counts, n_points, encoding, start, _viewpoint_note(entries))


def _header_entries(data: bytes, source: str) -> tuple[dict[str, list[str]], int]:
    """The words after each keyword, and where the points begin."""
    entries: dict[str, list[str]] = {}
    start = 0
    for _ in range(_MAX_HEADER_LINES):
        end = data.find(b"\n", start, start + _MAX_LINE)
        if end < 0:
            break
        words = data[start:end].decode("latin1").split("#", 1)[0].split()
        start = end + 1
        if not words:
            continue
        key = "FIELDS" if words[0].upper() == "COLUMNS" else words[0].upper()
        if key not in _KNOWN:
            raise CloudError(f"Expected {source} to begin with a PCD header, got {quoted(words[0])}", "LAYOUT")
        if key in entries:
            raise CloudError(f"Expected the header of {source} to have {key} once, got it twice", "LAYOUT")
        entries[key] = words[1:]
        if key == "DATA":
            return entries, start
    raise CloudError(f"Expected the header of {source} to end with a DATA line, got none", "LAYOUT")


def _integers(entries: dict[str, list[str]], key: str, source: str) -> tuple[int, ...]:
    """The plain decimal numbers after ``key``."""
    words = entries[key]
    bad = next((word for word in words if not (word.isascii() and word.isdigit() and len(word) <= 18)), None)
    if bad is not None or not words:
        got = quoted(bad) if bad else "nothing"
        raise CloudError(f"Expected {key} of {source} to be whole numbers, got {got}", "LAYOUT")
    return tuple(int(word) for word in words)


def _n_points(entries: dict[str, list[str]], source: str) -> int:
    """WIDTH times HEIGHT, which POINTS must repeat."""
    width, height = _integers(entries, "WIDTH", source)[0], _integers(entries, "HEIGHT", source)[0]
    n_points = width * height
    if "POINTS" in entries and _integers(entries, "POINTS", source)[0] != n_points:
        raise CloudError(
            f"Expected POINTS of {source} to be WIDTH x HEIGHT = {n_points}, got {entries['POINTS'][0]}", "LAYOUT"
        )
    return n_points


def _viewpoint_note(entries: dict[str, list[str]]) -> tuple[str, ...]:
    """PCL keeps the points as stored and the sensor's pose beside them; so do we, but a reader should know."""
    try:
        viewpoint = tuple(float(word) for word in entries.get("VIEWPOINT", ()))
    except ValueError:
        viewpoint = ()
    if not viewpoint or viewpoint == _IDENTITY_VIEWPOINT:
        return ()
    return (f"VIEWPOINT {' '.join(f'{v:g}' for v in viewpoint)} is not applied to the points",)


Columns = dict[str, np.ndarray]


def _starts(header: _Header, lengths: Sequence[int]) -> dict[str, int]:
    """Where each field begins when every one is as long as ``lengths`` says."""
    return dict(zip(header.names, accumulate(lengths, initial=0), strict=False))


def _read_ascii(
    data: bytes, header: _Header, dtypes: dict[str, np.dtype], source: str
) -> tuple[Columns, tuple[str, ...]]:
    """One point per line; only the columns of ``dtypes`` are turned into numbers."""
    width = sum(header.counts)
    if 2 * width * header.n_points > len(data) - header.start + 1:
        raise CloudError(
            f"Expected {source} to hold {header.n_points} points of {width} numbers, "
            f"got {len(data) - header.start} bytes of text",
            "LAYOUT",
        )
    first = _starts(header, header.counts)
    rows = text_rows(data, header.start)
    columns = text_columns(rows, header.n_points, width, {name: first[name] for name in dtypes}, dtypes, source)
    return columns, ("text after the last point ignored",) if next(rows, None) else ()


def _read_binary(
    data: bytes, header: _Header, dtypes: dict[str, np.dtype], source: str
) -> tuple[Columns, tuple[str, ...]]:
    """Packed points, one after the other, little-endian."""
    needed, given = header.step * header.n_points, len(data) - header.start
    if given < needed:
        raise CloudError(
            f"Expected {source} to hold {needed} bytes for {header.n_points} points of {header.step} bytes, "
            f"got {given}",
            "LAYOUT",
        )
    offsets = _starts(header, header.widths)
    layout = np.dtype({
        "names": list(dtypes), "formats": list(dtypes.values()), "offsets": [offsets[name] for name in dtypes],
        "itemsize": header.step,
    })
    table = np.frombuffer(data, layout, header.n_points, header.start)
    notes = (f"{given - needed} bytes after the last point ignored",) if given > needed else ()
    return {name: table[name] for name in dtypes}, notes


def _read_compressed(
    data: bytes, header: _Header, dtypes: dict[str, np.dtype], source: str
) -> tuple[Columns, tuple[str, ...]]:
    """Two sizes, then LZF of the fields one after the other, each over all points."""
    needed = header.step * header.n_points
    packed = int.from_bytes(data[header.start : header.start + 4], "little")
    unpacked = int.from_bytes(data[header.start + 4 : header.start + 8], "little")
    body = data[header.start + 8 : header.start + 8 + packed]
    if len(body) != packed or unpacked != needed:
        raise CloudError(
            f"Expected {source} to hold {packed} compressed bytes that unpack to {needed}, "
            f"got {len(body)} that unpack to {unpacked}",
            "LAYOUT",
        )
    try:
        plain = lzf_decompress(body, unpacked)
    except ValueError as error:
        raise CloudError(f"Expected {source} to be LZF-compressed, got a damaged stream: {error}", "LAYOUT") from error
    starts = _starts(header, [width * header.n_points for width in header.widths])
    columns = {name: np.frombuffer(plain, dtype, header.n_points, starts[name]) for name, dtype in dtypes.items()}
    return columns, ()
