"""PointCloud2 without ROS: a stand-in with the message's attributes, a builder and a reader that shares no code with
the decoder (one ``struct.unpack_from`` per value)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np

from pasco_core.data.intensity import find_intensity, scale_intensity

CODES = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}
FLOAT32, FLOAT64 = 7, 8


@dataclass
class Header:
    frame_id: str = "lidar"


@dataclass
class Field:
    name: str
    offset: int
    datatype: int = FLOAT32
    count: int = 1


@dataclass
class Cloud:
    fields: list[Field]
    width: int
    height: int
    point_step: int
    row_step: int
    data: bytes
    is_bigendian: bool = False
    is_dense: bool = True
    header: Header = field(default_factory=Header)


def xyzi(coordinate: int = FLOAT32, intensity: int | None = FLOAT32, name: str = "intensity") -> list[Field]:
    """x, y, z and an intensity, one after the other."""
    size = struct.calcsize(CODES[coordinate])
    fields = [Field(axis, number * size, coordinate) for number, axis in enumerate("xyz")]
    return fields + ([] if intensity is None else [Field(name, 3 * size, intensity)])


def cloud_of(
    points: list[tuple[float, ...]],
    fields: list[Field] | None = None,
    *,
    height: int = 1,
    point_padding: int = 0,
    row_padding: int = 0,
    big_endian: bool = False,
) -> Cloud:
    """A message of ``points`` (values in the order of ``fields``), written value by value; padding bytes are 0xAB."""
    fields = xyzi() if fields is None else fields
    width = len(points) // height
    step = max(f.offset + f.count * struct.calcsize(CODES[f.datatype]) for f in fields) + point_padding
    row_step = width * step + row_padding
    data = bytearray(b"\xab" * (height * row_step))
    for number, point in enumerate(points[: width * height]):
        start = number // width * row_step + number % width * step
        for f, value in zip(fields, point, strict=True):
            struct.pack_into((">" if big_endian else "<") + CODES[f.datatype], data, start + f.offset, value)
    return Cloud(fields, width, height, step, row_step, bytes(data), big_endian)


def read_by_struct(cloud: Cloud) -> np.ndarray:
    """(N, 4) float32 of the finite points of a well-formed cloud, one value at a time; intensity by the shared rule."""
    by_name = {f.name: f for f in cloud.fields}
    intensity = find_intensity(list(by_name))
    names = ["x", "y", "z"] + ([intensity] if intensity else [])
    row_step = cloud.row_step or cloud.width * cloud.point_step
    rows = []
    for number in range(cloud.width * cloud.height):
        start = number // cloud.width * row_step + number % cloud.width * cloud.point_step
        row = [
            struct.unpack_from(
                (">" if cloud.is_bigendian else "<") + CODES[by_name[name].datatype], cloud.data,
                start + by_name[name].offset,
            )[0]
            for name in names
        ]
        if all(math.isfinite(value) for value in row) and all(abs(value) <= 1e6 for value in row[:3]):
            rows.append(row)
    values = np.array([[np.float32(value) for value in row[:3]] for row in rows], np.float32).reshape(-1, 3)
    last = np.zeros(len(rows), np.float32)
    if intensity and rows:
        kind = np.dtype(CODES[by_name[intensity].datatype])
        last = scale_intensity(np.array([row[3] for row in rows], kind), intensity)[0]
    return np.column_stack([values, last]).astype(np.float32)
