"""What the decoder does with the clouds a vehicle really sends: the message-shape rows of the fault catalogue."""

from __future__ import annotations

import array
import struct
import tracemalloc

import numpy as np
import pytest
from cloud_stand_in import FLOAT64, Cloud, Field, cloud_of, read_by_struct, xyzi

from pasco_core.data.cloud_message import check_cloud, decode_cloud, spread_subset
from pasco_core.data.intensity import IntensityScale
from pasco_core.errors import CloudError

POINTS = [(1.0, 2.0, 3.0, 0.25), (4.0, -5.0, 0.5, 0.75), (-7.0, 8.0, 1.5, 1.0), (0.5, 0.25, -1.0, 0.0)]


def verdict(cloud: Cloud) -> tuple[str, str]:
    with pytest.raises(CloudError) as caught:
        decode_cloud(cloud, "/lidar/points")
    return caught.value.code, str(caught.value)


def test_a_plain_cloud_gives_its_points_in_order():
    cloud = decode_cloud(cloud_of(POINTS))
    assert cloud.points.dtype == np.float32
    assert cloud.points.tolist() == [list(p) for p in POINTS]
    assert cloud.removed == 0 and cloud.notes == ()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: array.array("B", b),
                                  lambda b: np.frombuffer(b, np.uint8)])
def test_the_data_may_be_any_array_of_bytes(kind):
    cloud = cloud_of(POINTS)
    cloud.data = kind(cloud.data)
    assert decode_cloud(cloud).points.tolist() == [list(p) for p in POINTS]


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (0, 0), (0, 2**32 - 1)])
def test_row_1_a_cloud_without_points_is_empty(width, height):
    cloud = cloud_of(POINTS)
    cloud.width, cloud.height, cloud.data = width, height, b""
    code, message = verdict(cloud)
    assert code == "EMPTY"
    assert "/lidar/points" in message and "'lidar'" in message and f"{width} x {height}" in message


def test_row_1_the_default_message_of_a_driver_with_nothing_to_say_is_empty_not_broken():
    assert verdict(Cloud([], 0, 0, 0, 0, b""))[0] == "EMPTY"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e30, -1e30])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_row_2_a_point_with_an_impossible_coordinate_goes_with_all_its_fields(bad, column):
    points = [list(p) for p in POINTS]
    points[1][column] = bad
    cloud = decode_cloud(cloud_of(points))
    assert cloud.points.tolist() == [list(POINTS[i]) for i in (0, 2, 3)]
    assert cloud.removed == 1


def test_row_2_a_point_whose_intensity_is_not_a_number_goes():
    points = [list(p) for p in POINTS]
    points[2][3] = float("nan")
    assert decode_cloud(cloud_of(points)).points.tolist() == [list(POINTS[i]) for i in (0, 1, 3)]


def test_row_2_a_masked_point_has_no_say_in_how_the_intensities_are_scaled():
    cloud = decode_cloud(cloud_of([(float("nan"), 0.0, 0.0, 1e30), (1.0, 2.0, 3.0, 0.5)]))
    assert cloud.points.tolist() == [[1.0, 2.0, 3.0, 0.5]] and cloud.removed == 1


def test_row_2_a_cloud_of_nothing_but_nan_is_empty():
    code, message = verdict(cloud_of([(float("nan"),) * 4] * 5))
    assert code == "EMPTY" and "5 points" in message


def test_row_2_a_float64_too_large_for_float32_is_masked_without_a_warning():
    fields = xyzi(FLOAT64)
    with np.errstate(all="raise"):
        cloud = decode_cloud(cloud_of([(1e300, 0.0, 0.0, 0.0), (1.0, 2.0, 3.0, 0.5)], fields))
    assert cloud.points.tolist() == [[1.0, 2.0, 3.0, 0.5]]


@pytest.mark.parametrize("is_dense", [True, False])
def test_row_3_the_flag_is_dense_is_not_trusted(is_dense):
    cloud = cloud_of([*POINTS, (float("nan"),) * 4])
    cloud.is_dense = is_dense
    assert len(decode_cloud(cloud)) == len(POINTS)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_row_4_a_missing_coordinate_is_named(axis):
    fields = xyzi()
    removed = fields.pop(axis).name
    code, message = verdict(cloud_of([(1.0, 2.0, 3.0)], fields))
    assert code == "FIELD_MISSING"
    assert f"'{removed}'" not in message.split("got")[1] and "x, y and z" in message


def test_row_4_float64_coordinates_are_taken():
    cloud = decode_cloud(cloud_of([(1.1, -2.2, 3.3, 0.5)], xyzi(FLOAT64)))
    assert cloud.points.tolist() == [[np.float32(1.1), np.float32(-2.2), np.float32(3.3), 0.5]]


@pytest.mark.parametrize(("datatype", "name"), [(1, "INT8"), (3, "INT16"), (4, "UINT16"), (5, "INT32")])
def test_row_4_integer_coordinates_are_refused_by_name(datatype, name):
    code, message = verdict(cloud_of([(1, 2, 3)], xyzi(datatype, None)))
    assert code == "FIELD_MISSING" and "'x'" in message and name in message


@pytest.mark.parametrize("name", ["y", "intensity"])
@pytest.mark.parametrize("count", [0, 2])
def test_row_4_a_wanted_field_with_another_count_than_one_is_refused_by_name(name, count):
    cloud = cloud_of([POINTS[0]], point_padding=16)
    next(f for f in cloud.fields if f.name == name).count = count
    code, message = verdict(cloud)
    assert code == "FIELD_MISSING" and f"'{name}'" in message and message.endswith(str(count))


def test_row_4_a_field_name_twice_is_refused_by_name():
    cloud = cloud_of(POINTS, [*xyzi(intensity=None), Field("x", 12)])
    code, message = verdict(cloud)
    assert code == "FIELD_MISSING" and "'x' twice" in message


def test_row_4_a_field_without_a_name_is_refused_by_its_number():
    cloud = cloud_of(POINTS, [*xyzi(intensity=None), Field("", 12)])
    code, message = verdict(cloud)
    assert code == "FIELD_MISSING" and "field 3" in message


def test_row_4_fields_that_lie_on_each_other_are_refused():
    cloud = cloud_of(POINTS)
    cloud.fields[2].offset = 6
    code, message = verdict(cloud)
    assert code == "LAYOUT" and "'y'" in message and "'z'" in message


@pytest.mark.parametrize(("datatype", "raw", "expected"), [(2, 51, 0.2), (4, 13107, 0.2), (7, 0.2, 0.2)])
@pytest.mark.parametrize("name", ["intensity", "i", "reflectivity"])
def test_row_5_the_intensity_may_have_another_name_and_type(name, datatype, raw, expected):
    cloud = decode_cloud(cloud_of([(1.0, 2.0, 3.0, raw)], xyzi(intensity=datatype, name=name)))
    assert cloud.points[0, 3] == pytest.approx(expected)
    assert bool(cloud.notes) == (datatype != 7)


def test_row_5_the_clouds_of_a_stream_share_one_scale_that_only_grows():
    scale = IntensityScale()
    clouds = [decode_cloud(cloud_of([(1.0, 2.0, 3.0, peak)]), scale=scale) for peak in (250.0, 260.0, 250.0)]
    values = [cloud.points[0, 3] for cloud in clouds]
    assert values == [np.float32(250 / 255), np.float32(260 / 65535), np.float32(250 / 65535)]
    assert [sum("from now on" in note for note in cloud.notes) for cloud in clouds] == [0, 1, 0]


def test_row_5_a_cloud_without_intensity_gets_zeros_and_a_note():
    cloud = decode_cloud(cloud_of([p[:3] for p in POINTS], xyzi(intensity=None)))
    assert cloud.points[:, 3].tolist() == [0.0] * 4
    assert "no intensity" in cloud.notes[0]


def test_row_6_a_big_endian_cloud_is_decoded_twice_alike_and_left_unchanged():
    cloud = cloud_of(POINTS, big_endian=True)
    cloud.data = bytearray(cloud.data)
    before = bytes(cloud.data)
    for _ in range(2):
        assert decode_cloud(cloud).points.tolist() == [list(p) for p in POINTS]
    assert bytes(cloud.data) == before


def test_row_7_padded_rows_of_an_organised_cloud_are_stepped_over():
    cloud = cloud_of(POINTS, height=2, row_padding=5, point_padding=3)
    assert decode_cloud(cloud).points.tolist() == [list(p) for p in POINTS]


def test_row_7_a_row_step_of_zero_means_rows_without_padding():
    cloud = cloud_of(POINTS, height=2)
    cloud.row_step = 0
    assert decode_cloud(cloud).points.tolist() == [list(p) for p in POINTS]


def test_row_7_a_row_step_shorter_than_the_row_is_a_layout_error():
    cloud = cloud_of(POINTS)
    cloud.row_step = 63
    code, message = verdict(cloud)
    assert code == "LAYOUT" and "row_step" in message and "4 * 16 = 64" in message and message.endswith("63")


def test_row_7_a_field_beyond_the_point_is_a_layout_error():
    cloud = cloud_of(POINTS)
    cloud.fields[3].offset = 13
    code, message = verdict(cloud)
    assert code == "LAYOUT" and "'intensity'" in message and "16 bytes" in message


@pytest.mark.parametrize("change", [-1, 1, -64, 64])
def test_row_8_data_of_another_size_than_declared_is_a_layout_error(change):
    cloud = cloud_of(POINTS)
    cloud.data = cloud.data[:change] if change < 0 else cloud.data + bytes(change)
    code, message = verdict(cloud)
    assert code == "LAYOUT" and message.endswith(f"got {64 + change}")


HOSTILE = {
    "width times height beyond 2^32": {"width": 2**31, "height": 2**31},
    "width beyond the data": {"width": 2**32 - 1, "row_step": 0},
    "point_step 0": {"point_step": 0, "width": 2**31, "row_step": 0},
    "point_step 0 and no data": {"point_step": 0, "width": 2**31, "height": 2**31, "row_step": 0, "data": b""},
    "a row_step of 4 GB": {"row_step": 2**32 - 1},
    "a wide point": {"point_step": 2**32 - 1},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_row_8_hostile_sizes_are_refused_before_anything_is_allocated(name):
    cloud = cloud_of(POINTS)
    for key, value in HOSTILE[name].items():
        setattr(cloud, key, value)
    tracemalloc.start()
    code, _ = verdict(cloud)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == "LAYOUT" and peak < 100_000


@pytest.mark.parametrize("count", [2**31, 2**32 - 1])
def test_row_8_a_field_with_a_count_of_two_billion_is_refused_at_once(count):
    cloud = cloud_of(POINTS, [*xyzi(), Field("extra", 16, 7, 1)][:4])
    cloud.fields.append(Field("extra", 0, 2, count))
    code, message = verdict(cloud)
    assert code == "LAYOUT" and "'extra'" in message


@pytest.mark.parametrize("datatype", [0, 9, 255])
def test_row_8_an_unknown_datatype_is_a_layout_error(datatype):
    cloud = cloud_of(POINTS)
    cloud.fields[1].datatype = datatype
    code, message = verdict(cloud)
    assert code == "LAYOUT" and "'y'" in message and str(datatype) in message


def test_row_8_data_that_is_no_array_of_bytes_is_a_layout_error():
    cloud = cloud_of(POINTS)
    for data in ([1] * 64, None, np.zeros(64, np.int32), np.zeros(128, np.uint8)[::2]):
        cloud.data = data
        assert verdict(cloud)[0] == "LAYOUT"


def test_row_8_more_fields_than_any_sensor_has_are_refused():
    cloud = cloud_of(POINTS)
    cloud.fields = [Field(f"f{number}", 0) for number in range(5000)]
    assert verdict(cloud)[0] == "LAYOUT"


def test_row_9_a_cloud_beyond_capacity_is_thinned_alike_every_time_and_says_so():
    points = np.random.default_rng(0).random((20_000, 4)).astype("<f4")
    cloud = Cloud(xyzi(), 20_000, 1, 16, 0, points.tobytes())
    first, second = (decode_cloud(cloud, max_points=3000) for _ in range(2))
    assert len(first) == 3000 and (first.points == second.points).all()
    assert "20000 points" in first.notes[0] and "3000" in first.notes[0]
    rows = {row.tobytes(): number for number, row in enumerate(points)}
    places = np.array([rows[row.tobytes()] for row in first.points])
    assert (np.diff(places) > 0).all()
    assert np.bincount(places * 10 // 20_000).tolist() == [300] * 10


def test_row_9_thinning_does_not_prefer_some_rings_of_a_scan():
    rings = np.arange(64_000) % 64
    kept = np.bincount(rings[spread_subset(64_000, 32_000)], minlength=64)
    assert kept.min() > 400 and kept.max() < 600


@pytest.mark.parametrize("size", [1, 7, 999, 1000])
def test_row_9_the_subset_is_ascending_without_repetition(size):
    subset = spread_subset(1000, size)
    assert len(set(subset.tolist())) == size and (np.diff(subset) > 0).all()
    assert subset.min() >= 0 and subset.max() < 1000


def test_row_10_identical_points_are_all_kept():
    assert len(decode_cloud(cloud_of([(5.0, 0.0, 0.0, 0.1)] * 50))) == 50


def test_missing_returns_written_as_zeros_are_left_out_on_request():
    cloud = cloud_of([(0.0, 0.0, 0.0, 0.0), *POINTS])
    assert len(decode_cloud(cloud)) == 5
    near = decode_cloud(cloud, min_range=0.1)
    assert len(near) == 4 and near.removed == 1
    with pytest.raises(CloudError, match=r"0\.1 m or more") as caught:
        decode_cloud(cloud_of([(0.0, 0.0, 0.0, 0.0)] * 3), min_range=0.1)
    assert caught.value.code == "EMPTY"


def test_a_message_from_the_wire_cannot_flood_the_log():
    cloud = cloud_of(POINTS)
    cloud.header.frame_id = "f" * 100_000
    cloud.fields[0].name = "n" * 100_000
    assert len(verdict(cloud)[1]) < 400


def test_checking_alone_gives_the_same_verdicts():
    cloud = cloud_of(POINTS)
    assert check_cloud(cloud).n_points == 4
    cloud.fields = cloud.fields[1:]
    with pytest.raises(CloudError, match="x, y and z"):
        check_cloud(cloud)


def test_the_reference_reader_agrees_on_a_hand_written_message():
    data = struct.pack("<4f", 1.0, 2.0, 3.0, 0.5)
    cloud = Cloud(xyzi(), 1, 1, 16, 16, data)
    assert read_by_struct(cloud).tolist() == decode_cloud(cloud).points.tolist() == [[1.0, 2.0, 3.0, 0.5]]
