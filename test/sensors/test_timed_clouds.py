"""Times and beam numbers beside the points of a decoded cloud: one mask for all columns, and what cannot be read."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pasco_core.data.cloud_message import check_cloud, decode_cloud
from pasco_core.data.intensity import IntensityScale
from pasco_core.data.point_times import PointTimes

NAN = float("nan")


def cloud_message(big=False, kind="u4", overlapping=False, count=1, **columns):
    """A cloud with the given columns beside defaults; every column has as many values."""
    n = len(next(iter(columns.values())))
    values = {"x": np.arange(n) + 1.0, "y": np.zeros(n), "z": np.zeros(n), "intensity": np.full(n, 0.5),
              "t": np.zeros(n), "ring": np.zeros(n), **columns}
    order = ">" if big else "<"
    formats = [order + form for form in ("f4", "f4", "f4", "f4", kind, "u2")]
    record = np.zeros(n, np.dtype(list(zip(values, formats, strict=True))))
    for name, column in values.items():
        record[name] = column
    codes = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
    fields = [SimpleNamespace(name=name, offset=record.dtype.fields[name][1], count=1, datatype=codes[form[1:]])
              for name, form in zip(values, formats, strict=True)]
    fields[4].count = count
    if overlapping:
        fields[4].offset = 12  # where the intensity is
    stamp = SimpleNamespace(sec=100, nanosec=0)
    return SimpleNamespace(
        header=SimpleNamespace(frame_id="lidar", stamp=stamp), height=1, width=n, fields=fields, is_bigendian=big,
        is_dense=True, point_step=record.dtype.itemsize, row_step=0, data=record.tobytes())


def decoded(message, **options):
    return decode_cloud(message, times=PointTimes(), rings=True, **options)


@pytest.mark.parametrize("big", [False, True])
def test_times_and_rings_stand_beside_their_points(big):
    cloud = decoded(cloud_message(big, t=[0, 50_000_000, 100_000_000], ring=[5, 3, 63]))
    np.testing.assert_allclose(cloud.times, [0, 0.05, 0.1])
    assert cloud.rings.tolist() == [5, 3, 63] and len(cloud) == 3


def test_row_02_one_mask_holds_for_coordinates_intensity_times_and_rings():
    cloud = decoded(cloud_message(
        kind="f4", x=[1, NAN, 3, 4, 5, 0.01, 7], intensity=[0.1, 0.2, NAN, 0.4, 0.5, 0.6, 0.7],
        t=[0, 0.01, 0.02, NAN, 0.04, 0.05, 0.06], ring=[0, 1, 2, 3, 4, 5, 6]), min_range=0.1)
    assert cloud.points[:, 0].tolist() == [1, 5, 7] and cloud.rings.tolist() == [0, 4, 6]
    np.testing.assert_allclose(cloud.times, [0, 0.04, 0.06], atol=1e-8)
    assert cloud.removed == 4


def test_a_subset_by_capacity_keeps_times_and_rings_with_their_points():
    n = 1000
    cloud = decoded(cloud_message(t=np.arange(n) * 100_000, ring=np.arange(n) % 64), max_points=100)
    assert len(cloud) == len(cloud.times) == len(cloud.rings) == 100
    np.testing.assert_allclose(cloud.times, (cloud.points[:, 0] - 1) * 1e-4, atol=1e-9)
    np.testing.assert_array_equal(cloud.rings, (cloud.points[:, 0] - 1) % 64)


def test_missing_returns_do_not_decide_about_the_unit_of_the_times():
    stamp = 100_000_000_000
    cloud = decoded(cloud_message(kind="f8", x=[0, 2, 3], t=[0, stamp, stamp + 5e7]), min_range=0.1)
    np.testing.assert_allclose(cloud.times, [0, 0.05])


def test_nothing_is_read_that_was_not_asked_for():
    cloud = decode_cloud(cloud_message(kind="f4", t=[0, NAN, 1]))
    assert cloud.times is None and cloud.rings is None and len(cloud) == 3


@pytest.mark.parametrize("change", [{"overlapping": True}, {"count": 0}])
def test_a_time_field_that_cannot_be_read_is_as_none_and_the_cloud_is_taken(change):
    message = cloud_message(t=[1, 2, 3], **change)
    assert check_cloud(message).time is None
    cloud = decoded(message)
    assert cloud.times is None and "no point time field" in cloud.notes[-1]


def test_row_17_how_the_times_were_read_is_noted():
    assert "'t' uint32 read as ns, counted from the stamp" in decoded(cloud_message(t=[0, 10**8])).notes[-1]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_sensor_whose_full_intensity_is_known_is_scaled_by_it_and_clipped(kind):
    scale = IntensityScale(100.0)
    values, note = scale.apply(np.array([0, 50, 100, 250], kind), "intensity")
    np.testing.assert_allclose(values, [0, 0.5, 1, 1])
    assert "1/100" in note
    np.testing.assert_allclose(scale.apply(np.array([1], kind), "intensity")[0], [0.01])
