"""From named columns of any scan format to a checked PointCloud: one rule for missing, non-finite and scaled values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pasco_core.data.intensity import IntensityScale, find_intensity
from pasco_core.data.point_cloud import PointCloud
from pasco_core.errors import CloudError

MAX_COORDINATE = 1e6
"""Metres; a coordinate beyond it is a marker for "no return", not a place a LiDAR can see."""


def quoted(text: object) -> str:
    """Text from a file as a message may show it: quoted, short, nothing a terminal would act on."""
    text = str(text)
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def check_field_names(names: Sequence[str], source: str) -> None:
    """Refuse a field list without x, y, z or with the same name twice; ``_`` marks padding and may repeat."""
    for axis in "xyz":
        if axis not in names:
            got = quoted(", ".join(names)) if names else "none"
            raise CloudError(f"Expected {source} to have the fields x, y, z, got {got}", "FIELD_MISSING")
    repeated = sorted({name for name in names if name != "_" and names.count(name) > 1})
    if repeated:
        got = quoted(repeated[0])
        raise CloudError(f"Expected the field names of {source} to be unique, got {got} twice", "LAYOUT")


def wanted_fields(names: Sequence[str]) -> list[str]:
    """Of ``names``, those a PointCloud is made from: x, y, z and, where there is one, the intensity."""
    intensity = find_intensity(names)
    return ["x", "y", "z"] + ([intensity] if intensity else [])


def cloud_from_fields(
    fields: Mapping[str, np.ndarray],
    source: str,
    notes: Sequence[str] = (),
    scale: IntensityScale | None = None,
    time: str | None = None,
    ring: str | None = None,
) -> PointCloud:
    """Points of the columns x, y, z and the intensity's alias; every column is (N,).

    Points with a coordinate, intensity or time that is not finite, or a coordinate beyond ``MAX_COORDINATE``, are left
    out of every column and counted.

    Args:
        fields: values by field name; fields without a meaning here are ignored.
        source: what is read, for messages (``"scan.pcd"``).
        notes: what the caller had to guess already.
        scale: that of the stream the cloud is from; by default the cloud decides alone.
        time, ring: names of the fields that become ``times`` and ``rings``, values as they are; None where not wanted.

    Raises:
        CloudError: ``FIELD_MISSING`` for an absent coordinate or one that is not float, ``EMPTY`` without any point.
    """
    names = list(fields)
    check_field_names(names, source)
    for axis in "xyz":
        if fields[axis].dtype.kind != "f":
            raise CloudError(
                f"Expected field '{axis}' of {source} to be float32 or float64 in metres, got {fields[axis].dtype}",
                "FIELD_MISSING",
            )
    # Points without a place are left out first: they must not decide how the intensities are scaled.
    keep = _has_place([fields[axis] for axis in "xyz"])
    if not keep.all():
        fields = {name: column[keep] for name, column in fields.items()}
    notes, name = list(notes), find_intensity(names)
    if name is None:
        intensity = np.zeros(len(fields["x"]), np.float32)
        notes.append("no intensity field: intensity set to 0")
    else:
        intensity, note = (scale or IntensityScale()).apply(fields[name], name)
        notes += [note] if note else []
    finite = np.isfinite(intensity) if time is None else np.isfinite(intensity) & np.isfinite(fields[time])
    removed = len(keep) - int(finite.sum())
    if removed == len(keep):
        reason = "no points" if not removed else f"{removed} points, none with finite x, y, z and intensity"
        raise CloudError(f"Expected {source} to have at least one finite point, got {reason}", "EMPTY")
    columns = (fields["x"], fields["y"], fields["z"], intensity)
    points = np.stack([column[finite].astype(np.float32) for column in columns], axis=1)
    extras = (None if name is None else fields[name][finite] for name in (time, ring))
    return PointCloud(points, removed, tuple(notes), *extras)


def _has_place(xyz: Sequence[np.ndarray]) -> np.ndarray:
    """Mask (N,) of the points whose coordinates are finite and at most ``MAX_COORDINATE``."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.logical_and.reduce([np.abs(column) <= MAX_COORDINATE for column in xyz])  # False for NaN too
