"""A checked decoder of sensor_msgs/PointCloud2 that never trusts the message.

Every size in the message is checked with Python integers, in time proportional to the number of fields and before
anything is allocated; only then are the bytes viewed through a NumPy structured type. The module needs no ROS: it works
on any object with PointCloud2's attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from pasco_core.data.cloud_fields import cloud_from_fields
from pasco_core.data.intensity import IntensityScale, find_intensity
from pasco_core.data.point_cloud import PointCloud
from pasco_core.data.point_times import PointTimes, find_time
from pasco_core.errors import CloudError

EMPTY = "EMPTY"
FIELD_MISSING = "FIELD_MISSING"
LAYOUT = "LAYOUT"

MAX_FIELDS = 1024
"""Most fields a point may have."""

_MAX_UINT32 = 2**32 - 1
_COORDINATES = ("x", "y", "z")
_COORDINATE_TYPES = (7, 8)
_RING_NAMES = ("ring", "channel", "line", "laser_id", "beam", "scan_line")
# sensor_msgs/PointField: number -> (name, NumPy type).
_DATATYPES = {
    1: ("INT8", "i1"), 2: ("UINT8", "u1"), 3: ("INT16", "i2"), 4: ("UINT16", "u2"),
    5: ("INT32", "i4"), 6: ("UINT32", "u4"), 7: ("FLOAT32", "f4"), 8: ("FLOAT64", "f8"),
}


@dataclass(frozen=True)
class CloudLayout:
    """Where the wanted fields of a checked message lie.

    Args:
        width: points per row, at least 1.
        height: rows, at least 1.
        point_step: bytes from one point to the next.
        row_step: bytes from one row to the next, the padding included.
        dtype: structured type of one point with x, y, z and, where there is one, the intensity.
        intensity: name of the intensity field, or None.
        time: name of the field with the time of each point, or None.
        ring: name of the field with the number of each point's beam, or None.
    """

    width: int
    height: int
    point_step: int
    row_step: int
    dtype: np.dtype
    intensity: str | None
    time: str | None = None
    ring: str | None = None

    @property
    def n_points(self) -> int:
        return self.width * self.height


def check_cloud(message: Any, topic: str = "points") -> CloudLayout:
    """Check a PointCloud2 without touching its points, in time proportional to the number of its fields.

    Args:
        message: an object with the attributes of sensor_msgs/PointCloud2.
        topic: name of the topic, for messages.

    Raises:
        CloudError: code EMPTY (no points), FIELD_MISSING (x, y or z absent or of a wrong type; a field without a name,
            or a name twice), LAYOUT (sizes, steps, offsets and data do not fit together).
    """
    where = describe(message, topic)
    sizes = {name: _uint32(message, name, where) for name in ("width", "height", "point_step", "row_step")}
    n_bytes = _data_size(message, where)
    width, height = sizes["width"], sizes["height"]
    if width == 0 or height == 0:
        expected = f"the data of {where} to be empty for {width} x {height} points"
        _require(n_bytes == 0, LAYOUT, expected, f"{n_bytes} bytes")
        raise CloudError(f"Expected {where} to hold at least one point, got {width} x {height}", EMPTY)
    row_step = _check_steps(where, width, height, sizes["point_step"], sizes["row_step"], n_bytes)
    point = _point_type(message, where, sizes["point_step"])
    return CloudLayout(width, height, sizes["point_step"], row_step, *point)


def decode_cloud(
    message: Any,
    topic: str = "points",
    *,
    max_points: int | None = None,
    min_range: float = 0.0,
    layout: CloudLayout | None = None,
    scale: IntensityScale | None = None,
    times: PointTimes | None = None,
    rings: bool = False,
) -> PointCloud:
    """Decode a PointCloud2 into finite x y z intensity points; the message is not changed.

    A point is left out when a coordinate is NaN, infinite or beyond ``MAX_COORDINATE`` metres, or when its intensity
    or, where times are read, its time is not finite, whatever ``is_dense`` says. Float64 coordinates become float32.
    The intensity is scaled to 0..1 by the rule of ``pasco_core.data.intensity``, and is 0 where the cloud has none; a
    note says so.

    Args:
        message: an object with the attributes of sensor_msgs/PointCloud2.
        topic: name of the topic, for messages and notes.
        max_points: capacity; of more points an evenly spread, always equal subset is kept, and a note says so.
        min_range: points nearer to the sensor than this many metres are left out (many drivers write missing returns
            as 0, 0, 0); 0 keeps all.
        layout: what ``check_cloud`` returned for this message, if it was called already.
        scale: intensity scale of the stream the message is from; by default the message decides alone.
        times: what reads the times of the stream's points, if they are wanted; a note says how they were read.
        rings: whether the numbers of the beams are wanted.

    Raises:
        CloudError: as ``check_cloud``; also EMPTY when no point is left.
    """
    where = describe(message, topic)
    layout = layout or check_cloud(message, topic)
    strides = (layout.row_step, layout.point_step)
    view = np.ndarray((layout.height, layout.width), layout.dtype, message.data, 0, strides)
    columns = {name: view[name].reshape(-1) for name in layout.dtype.names or ()}
    time, ring = layout.time if times is not None else None, layout.ring if rings else None
    cloud = cloud_from_fields(columns, where, scale=scale, time=time, ring=ring)
    cloud = within_capacity(_without_near_points(cloud, min_range, where), max_points, where)
    return cloud if times is None else _with_times(cloud, times, layout, message)


def spread_subset(n: int, size: int) -> np.ndarray:
    """``size`` ascending indices below ``n``, evenly spread and the same at every call.

    One index is taken from each of ``size`` equal intervals, at the golden-ratio sequence's place within it: a constant
    stride would keep only some rings of a scan whose points are ordered by ring.

    >>> spread_subset(10, 4)
    array([1, 2, 6, 8])
    """
    borders = np.arange(size + 1) * n // size
    within = np.modf((np.arange(size) + 1) * 0.6180339887498949)[0]
    return borders[:-1] + (within * np.diff(borders)).astype(np.int64)


def within_capacity(cloud: PointCloud, max_points: int | None, where: str) -> PointCloud:
    """The cloud, or an evenly spread subset of ``max_points`` of it with a note; ``where`` names it in that."""
    n = len(cloud)
    if max_points is None or n <= max_points:
        return cloud
    note = f"{where} holds {n} points, more than the capacity: {max_points} of them kept"
    return replace(cloud.taking(spread_subset(n, max_points)), notes=(*cloud.notes, note))


def describe(message: Any, topic: str) -> str:
    """How error messages call a cloud: by its topic and frame."""
    frame = getattr(getattr(message, "header", None), "frame_id", "")
    return f"the cloud on {topic} (frame {_short(frame)})"


def _require(condition: bool, code: str, expected: str, got: object) -> None:
    if not condition:
        raise CloudError(f"Expected {expected}, got {got}", code)


def _uint32(message: Any, name: str, where: str) -> int:
    value = getattr(message, name)
    valid = isinstance(value, (int, np.integer)) and 0 <= int(value) <= _MAX_UINT32
    _require(valid, LAYOUT, f"{name} of {where} to be an integer of 0 to 2^32 - 1", _short(value))
    return int(value)


def _data_size(message: Any, where: str) -> int:
    expected, got = f"the data of {where} to be an array of bytes", type(message.data).__name__
    try:
        data = memoryview(message.data)
    except TypeError:
        raise CloudError(f"Expected {expected}, got {got}", LAYOUT) from None
    _require(data.itemsize == 1 and data.contiguous, LAYOUT, expected, got)
    return data.nbytes


def _check_steps(where: str, width: int, height: int, point_step: int, row_step: int, n_bytes: int) -> int:
    """The row step in bytes, after checking that steps, sizes and data agree; 0 stands for rows without padding."""
    _require(point_step > 0, LAYOUT, f"point_step of {where} to be positive", point_step)
    row_bytes = width * point_step
    step = row_step or row_bytes
    _require(
        step >= row_bytes, LAYOUT,
        f"row_step of {where} to be 0 or at least width * point_step = {width} * {point_step} = {row_bytes}", row_step,
    )
    _require(
        n_bytes == height * step, LAYOUT,
        f"the data of {where} to be height * row_step = {height} * {step} = {height * step} bytes", n_bytes,
    )
    return step


def _point_type(
    message: Any, where: str, point_step: int
) -> tuple[np.dtype, str | None, str | None, str | None]:
    """Structured type of what is read of a point; names of the fields with intensity, time and ring."""
    by_name = _fields_by_name(message, where)
    for field in by_name.values():
        _check_extent(field, where, point_step)
    present = all(name in by_name for name in _COORDINATES)
    _require(present, FIELD_MISSING, f"{where} to have the fields x, y and z", _names(by_name))
    for name in _COORDINATES:
        kind = _DATATYPES[by_name[name].datatype][0]
        valid = by_name[name].datatype in _COORDINATE_TYPES
        _require(valid, FIELD_MISSING, f"field '{name}' of {where} to be FLOAT32 or FLOAT64", kind)
    intensity = find_intensity(by_name)
    wanted = [by_name[name] for name in (*_COORDINATES, *([intensity] if intensity else []))]
    for field in wanted:
        _require(
            field.count == 1, FIELD_MISSING, f"field {_short(field.name)} of {where} to have count 1", field.count
        )
    _check_overlap(wanted, where)
    time, ring = (_extra(find(by_name), by_name, wanted) for find in (find_time, _find_ring))
    wanted += [by_name[name] for name in (time, ring) if name]
    order = ">" if message.is_bigendian else "<"
    dtype = np.dtype({
        "names": [field.name for field in wanted],
        "formats": [order + _DATATYPES[field.datatype][1] for field in wanted],
        "offsets": [int(field.offset) for field in wanted],
        "itemsize": point_step,
    })
    return dtype, intensity, time, ring


def _find_ring(names: Iterable[str]) -> str | None:
    return next((name for name in names if name.lower() in _RING_NAMES), None)


def _extra(name: str | None, by_name: dict[str, Any], wanted: Sequence[Any]) -> str | None:
    """The name of a field that a cloud can do without, if it can be read: single values, apart from the wanted ones."""
    if name is None or by_name[name].count != 1:
        return None
    begin, end = by_name[name].offset, by_name[name].offset + _width(by_name[name])
    return name if all(end <= f.offset or f.offset + _width(f) <= begin for f in wanted) else None


def _fields_by_name(message: Any, where: str) -> dict[str, Any]:
    n_fields = len(message.fields)
    _require(n_fields <= MAX_FIELDS, LAYOUT, f"{where} to have at most {MAX_FIELDS} fields", n_fields)
    by_name: dict[str, Any] = {}
    for number, field in enumerate(message.fields):
        named = isinstance(field.name, str) and field.name != ""
        _require(named, FIELD_MISSING, f"field {number} of {where} to have a name", _short(field.name))
        unique = field.name not in by_name
        _require(unique, FIELD_MISSING, f"the field names of {where} to be unique", f"{_short(field.name)} twice")
        by_name[field.name] = field
    return by_name


def _check_extent(field: Any, where: str, point_step: int) -> None:
    """A field's type is known and it ends within the point."""
    name = _short(field.name)
    known = field.datatype in _DATATYPES
    _require(known, LAYOUT, f"the datatype of field {name} of {where} to be 1 to 8", _short(field.datatype))
    offset, count = (_uint32(field, key, f"field {name} of {where}") for key in ("offset", "count"))
    end = offset + count * _width(field)
    _require(end <= point_step, LAYOUT, f"field {name} of {where} to end within point_step = {point_step} bytes", end)


def _check_overlap(fields: Sequence[Any], where: str) -> None:
    ordered = sorted(fields, key=lambda field: field.offset)
    for first, second in pairwise(ordered):
        _require(
            first.offset + _width(first) <= second.offset, LAYOUT,
            f"fields {_short(first.name)} and {_short(second.name)} of {where} to lie apart",
            f"offsets {first.offset} and {second.offset}",
        )


def _width(field: Any) -> int:
    return int(_DATATYPES[field.datatype][1][1])


def _without_near_points(cloud: PointCloud, min_range: float, where: str) -> PointCloud:
    if min_range <= 0:
        return cloud
    xyz = cloud.points[:, :3]
    keep = np.einsum("ij,ij->i", xyz, xyz) >= min_range * min_range
    if keep.all():
        return cloud
    expected = f"{where} to hold at least one point {min_range:g} m or more from the sensor"
    _require(bool(keep.any()), EMPTY, expected, f"{len(keep)} nearer points")
    return replace(cloud.taking(keep), removed=cloud.removed + int((~keep).sum()))


def _with_times(cloud: PointCloud, times: PointTimes, layout: CloudLayout, message: Any) -> PointCloud:
    """The cloud with its times in seconds after its stamp, and a note on how they were read."""
    if cloud.times is None or layout.time is None:
        return replace(cloud, notes=(*cloud.notes, "no point time field: all points count as measured at the stamp"))
    stamp = message.header.stamp
    seconds, note = times.apply(cloud.times, layout.time, int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec))
    return replace(cloud, times=seconds, notes=(*cloud.notes, note))


def _names(names: Any) -> str:
    listed = [_short(name) for name in list(names)[:12]]
    return ", ".join(listed) + (f" and {len(names) - 12} more" if len(names) > 12 else "") if listed else "no field"


def _short(value: object) -> str:
    """``repr`` of a value from a message, cut to a length that fits a log line."""
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 64 else text[:61] + "..."
