"""Clouds as broken drivers send them: each way of being broken, and what the node may make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from pasco_core.stream.outcomes import Outcome

COMPUTED = frozenset({
    Outcome.PUBLISHED, Outcome.DROPPED_OVERLOAD, Outcome.DROPPED_STALE, Outcome.FLUSHED, Outcome.TF_UNAVAILABLE,
    Outcome.INFERENCE_FAILED,
})
"""What can become of a cloud with which nothing is wrong, as long as somebody listens."""
_EMPTY = COMPUTED - {Outcome.PUBLISHED} | {Outcome.EMPTY}
_REJECTED = frozenset({Outcome.REJECTED})

Change = Callable[[PointCloud2, np.random.Generator], None]


@dataclass(frozen=True)
class Kind:
    """One way in which a cloud can be.

    Args:
        change: what is done to a good cloud, whose fields are float32 but for the ring.
        allowed: the outcomes it may have.
    """

    change: Change
    allowed: frozenset[Outcome]


def _columns(message: PointCloud2) -> np.ndarray:
    """Bytes of the points, (N, point_step), to be changed."""
    return np.frombuffer(bytes(message.data), np.uint8).reshape(-1, message.point_step).copy()


def _put(message: PointCloud2, rows: np.ndarray) -> None:
    message.width, message.point_step = len(rows), rows.shape[1]
    message.row_step, message.data = rows.size, rows.tobytes()


def _coordinates(message: PointCloud2, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change x y z (N, 3), the first twelve bytes of each point."""
    rows = _columns(message)
    rows[:, :12] = np.ascontiguousarray(change(rows[:, :12].copy().view("<f4")), "<f4").view(np.uint8)
    _put(message, rows)


def _subset(message: PointCloud2, rng: np.random.Generator) -> None:
    bad = rng.random(message.width) < 0.3
    value = rng.choice([np.nan, np.inf, -np.inf, 1e30])
    _coordinates(message, lambda xyz: np.where(bad[:, None], np.float32(value), xyz))


def _without(message: PointCloud2, name: str) -> None:
    message.fields = [field for field in message.fields if field.name != name]


def _field(message: PointCloud2, number: int, **changes: int | str) -> None:
    for name, value in changes.items():
        setattr(message.fields[number], name, value)


def _swap(message: PointCloud2) -> None:
    rows = _columns(message)
    for field in message.fields:
        size = {PointField.UINT16: 2, PointField.FLOAT32: 4}[field.datatype]
        rows[:, field.offset:field.offset + size] = rows[:, field.offset:field.offset + size][:, ::-1]
    message.is_bigendian = True
    _put(message, rows)


def _pad_rows(message: PointCloud2) -> None:
    message.row_step += 24
    message.data = bytes(message.data) + b"\xff" * 24


def _resize(message: PointCloud2, by: int) -> None:
    data = bytes(message.data)
    message.data = data[:by] if by < 0 else data + b"\0" * by


def _repeat(message: PointCloud2, times: int) -> None:
    _put(message, np.tile(_columns(message), (times, 1)))


def _stamp(message: PointCloud2, **values: int) -> None:
    for name, value in values.items():
        setattr(message.header.stamp, name, value)


KINDS: dict[str, Kind] = {
    "good": Kind(lambda m, r: None, COMPUTED),
    "no points": Kind(lambda m, r: _put(m, _columns(m)[:0]), _EMPTY),
    "some not finite": Kind(_subset, COMPUTED),
    "none finite": Kind(lambda m, r: _coordinates(m, lambda xyz: np.full_like(xyz, np.nan)), _EMPTY),
    "no x": Kind(lambda m, r: _without(m, "x"), _REJECTED),
    "x of int16": Kind(lambda m, r: _field(m, 0, datatype=PointField.INT16), _REJECTED),
    "x of several": Kind(lambda m, r: _field(m, 0, count=3), _REJECTED),
    "x twice": Kind(lambda m, r: _field(m, 1, name="x"), _REJECTED),
    "unnamed field": Kind(lambda m, r: _field(m, 3, name=""), _REJECTED),
    "no intensity": Kind(lambda m, r: _without(m, "intensity"), COMPUTED),
    "intensity named i": Kind(lambda m, r: _field(m, 3, name="i"), COMPUTED),
    "big-endian": Kind(lambda m, r: _swap(m), COMPUTED),
    "padded row": Kind(lambda m, r: _pad_rows(m), COMPUTED),
    "row_step 0": Kind(lambda m, r: setattr(m, "row_step", 0), COMPUTED),
    "row_step short": Kind(lambda m, r: setattr(m, "row_step", m.row_step - 1), _REJECTED),
    "field beyond the point": Kind(lambda m, r: _field(m, 3, offset=m.point_step), _REJECTED),
    "data short": Kind(lambda m, r: _resize(m, -int(r.integers(1, 1000))), _REJECTED),
    "data long": Kind(lambda m, r: _resize(m, int(r.integers(1, 1000))), _REJECTED),
    "width beyond 2^31": Kind(lambda m, r: setattr(m, "width", 2**31 + int(r.integers(1000))), _REJECTED),
    "point_step 0": Kind(lambda m, r: setattr(m, "point_step", 0), _REJECTED),
    "count of 2^31": Kind(lambda m, r: _field(m, 0, count=2**31), _REJECTED),
    "too many points": Kind(lambda m, r: _repeat(m, 1 + 350_000 // max(m.width, 1)), COMPUTED),
    "outside the grid": Kind(lambda m, r: _coordinates(m, lambda xyz: xyz + 1000), _EMPTY),
    "one place": Kind(lambda m, r: _coordinates(m, lambda xyz: np.full_like(xyz, 5.0) * [1, 0, 0]), COMPUTED),
    "no frame": Kind(lambda m, r: setattr(m.header, "frame_id", ""), _REJECTED),
    "stamp 0": Kind(lambda m, r: _stamp(m, sec=0, nanosec=0), _REJECTED),
    "nanosec of 1e9": Kind(lambda m, r: _stamp(m, nanosec=1_000_000_000), _REJECTED),
    "from the future": Kind(lambda m, r: _stamp(m, sec=m.header.stamp.sec + 100_000), _REJECTED),
}
"""Name -> kind, after rows 1 to 12 of what can be wrong with a cloud."""
