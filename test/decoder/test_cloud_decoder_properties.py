"""Whatever the bytes and sizes: every good cloud is read right, every other ends in a named verdict, fast and small."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
from cloud_stand_in import CODES, Cloud, Field, cloud_of, read_by_struct
from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.data.cloud_message import decode_cloud
from pasco_core.errors import CloudError

INTERESTING = st.one_of(
    st.integers(0, 40), st.sampled_from([2**16, 2**31 - 1, 2**31, 2**32 - 1, 12, 16, 48]), st.integers(0, 2**32 - 1)
)


@st.composite
def good_clouds(draw) -> Cloud:
    coordinate = draw(st.sampled_from([7, 8]))
    size = 4 if coordinate == 7 else 8
    fields, offset = [], draw(st.integers(0, 3))
    fourth = draw(st.sampled_from(["intensity", "i", "Reflectivity", "ring"]))
    for name in draw(st.permutations(["x", "y", "z", fourth, "t"])):
        kind = coordinate if name in "xyz" else draw(st.sampled_from(sorted(CODES)))
        fields.append(Field(name, offset, kind))
        offset += (size if name in "xyz" else 8) + draw(st.integers(0, 3))
    height = draw(st.integers(1, 3))
    width = draw(st.integers(1, 6))

    def values(field: Field):
        if field.datatype >= 7:
            return st.one_of(st.floats(-100, 100, width=32), st.sampled_from([float("nan"), float("inf"), 1e30]))
        return st.integers(0, 100)

    point = st.tuples(*[values(f) for f in fields])
    points = draw(st.lists(point, min_size=width * height, max_size=width * height))
    cloud = cloud_of(
        points, fields, height=height, point_padding=draw(st.integers(0, 9)), row_padding=draw(st.integers(0, 9)),
        big_endian=draw(st.booleans()),
    )
    if cloud.row_step == cloud.width * cloud.point_step and draw(st.booleans()):
        cloud.row_step = 0
    return cloud


@settings(max_examples=150, deadline=None)
@given(good_clouds())
def test_a_good_cloud_is_read_as_one_value_at_a_time_would_be(cloud):
    expected = read_by_struct(cloud)
    try:
        points = decode_cloud(cloud).points
    except CloudError as error:
        assert error.code == "EMPTY" and len(expected) == 0
        return
    np.testing.assert_array_equal(points, expected)


@st.composite
def broken_clouds(draw) -> Cloud:
    cloud = draw(good_clouds())
    for _ in range(draw(st.integers(1, 4))):
        target = draw(st.sampled_from(["size", "field", "fields", "data", "endian"]))
        if target == "size":
            setattr(cloud, draw(st.sampled_from(["width", "height", "point_step", "row_step"])), draw(INTERESTING))
        elif target == "field" and cloud.fields:
            field = draw(st.sampled_from(cloud.fields))
            key = draw(st.sampled_from(["offset", "count", "datatype", "name"]))
            if key == "name":
                field.name = draw(st.one_of(st.sampled_from(["x", "y", "z", "", "intensity"]), st.text(max_size=5)))
            else:
                setattr(field, key, draw(st.integers(0, 255)) if key == "datatype" else draw(INTERESTING))
        elif target == "fields":
            cloud.fields = draw(st.lists(st.sampled_from(cloud.fields), max_size=6)) if cloud.fields else []
        elif target == "data":
            cloud.data = draw(st.one_of(st.binary(max_size=200), st.just(cloud.data[:-1]), st.just(cloud.data + b"0")))
        else:
            cloud.is_bigendian = not cloud.is_bigendian
    return cloud


@settings(max_examples=400, deadline=None)
@given(broken_clouds())
def test_any_message_ends_in_a_verdict_or_in_finite_points_in_little_time_and_memory(cloud):
    tracemalloc.start()
    started = time.perf_counter()
    try:
        points = decode_cloud(cloud, max_points=10, min_range=0.01).points
    except CloudError as error:
        assert error.code in ("EMPTY", "FIELD_MISSING", "LAYOUT")
        assert "the cloud on points" in str(error) and "got" in str(error)
    else:
        assert points.dtype == np.float32 and points.shape[1] == 4
        assert 1 <= len(points) <= min(10, cloud.width * cloud.height)
        assert np.isfinite(points).all()
    finally:
        seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 200_000 + 100 * len(cloud.data)
    assert seconds < 1.0
