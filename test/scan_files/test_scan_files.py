"""What each scan format gives, and how each fault is named."""

from __future__ import annotations

import base64
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from pasco_core.data.scan_files import MAX_SCAN_BYTES, read_scan
from pasco_core.errors import CloudError, DataError

GOLDEN_LZF = (
    "AQAAQAABgD8gBQBAIAIgAwCAIAMAoCADAMAgAwDgIAMEAEEAABAgAwAgIAMAMCADAEAgAwBQIAMAYCADAHAgAwCAIAMAiCADAJAg"
    "AwCYIAMAoCADAKggAwCwIAMAuCADAMAgAwDIIAMA0CADANggAwDgIAMA6CADAPAgAwD4IAMEAEIAAAQgAwAIIAMADCADABAgAwAU"
    "IAMAGCADABwgA0CD4JMDAYC/4JUDAABB2+COAwEAPw=="
)


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(path: Path) -> CloudError:
    with pytest.raises(CloudError) as caught:
        read_scan(path)
    assert str(path) in str(caught.value)
    return caught.value


# Every format

def test_every_format_gives_the_same_points(tmp_path, scan_format, points):
    name, writer = scan_format
    cloud = read_scan(write(tmp_path, name, writer(points)))
    assert cloud.points.dtype == np.float32
    np.testing.assert_array_equal(cloud.points, points)
    assert (cloud.removed, cloud.notes) == (0, ())


def test_points_that_are_not_finite_are_left_out_across_all_fields_and_counted(tmp_path, scan_format, points):
    name, writer = scan_format
    bad = points.copy()
    bad[3, 0], bad[10, 1], bad[20, 2], bad[30, 3], bad[40, 0] = np.nan, np.inf, -np.inf, np.nan, 1e30
    cloud = read_scan(write(tmp_path, name, writer(bad)))
    np.testing.assert_array_equal(cloud.points, np.delete(points, [3, 10, 20, 30, 40], axis=0))
    assert cloud.removed == 5


def test_a_cloud_of_nothing_but_nan_is_empty(tmp_path, scan_format, points):
    name, writer = scan_format
    error = refusal(write(tmp_path, name, writer(np.full_like(points, np.nan))))
    assert error.code == "EMPTY"
    assert "60 points" in str(error)


def test_a_file_of_no_bytes_is_empty(tmp_path, scan_format):
    error = refusal(write(tmp_path, scan_format[0], b""))
    assert error.code == "EMPTY"
    assert "0 bytes" in str(error)


def test_a_file_without_points_is_empty(tmp_path, scan_format, points):
    name, writer = scan_format
    assert refusal(write(tmp_path, name, writer(points[:0]))).code == "EMPTY"


def test_a_truncated_file_is_refused_by_name(tmp_path, scan_format, points):
    name, writer = scan_format
    whole = writer(points)
    cut = whole[:-3] if "ascii" not in name else whole[: whole.rindex(b"\n", 0, -1) + 1]
    assert refusal(write(tmp_path, name, cut)).code == "LAYOUT"


def test_the_source_file_is_not_changed_and_its_bytes_are_not_shared(tmp_path, scan_format, points):
    name, writer = scan_format
    path = write(tmp_path, name, writer(points))
    before = path.read_bytes()
    read_scan(path).points[:] = 0
    assert path.read_bytes() == before


# Paths

def test_a_missing_scan_is_named(tmp_path):
    with pytest.raises(DataError, match=r"Expected scan .*gone\.bin to be an existing file"):
        read_scan(tmp_path / "gone.bin")


def test_a_directory_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="to be a file, got a directory"):
        read_scan(tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.bin")
    with pytest.raises(DataError, match="got a device, pipe or socket"):
        read_scan(tmp_path / "pipe.bin")


def test_an_unknown_ending_lists_the_known_ones(tmp_path):
    with pytest.raises(DataError, match=r"one of \.bin, \.npy, \.pcd, \.ply, got '\.las'"):
        read_scan(write(tmp_path, "scan.las", b"LASF"))


def test_a_file_larger_than_any_scan_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(MAX_SCAN_BYTES + 16)
    with pytest.raises(DataError, match=f"at most {MAX_SCAN_BYTES} bytes, got {MAX_SCAN_BYTES + 16}"):
        read_scan(path)


# .bin

def test_a_bin_file_that_is_no_multiple_of_16_bytes_names_the_rule(tmp_path, points):
    error = refusal(write(tmp_path, "000000.bin", points.tobytes()[:-4]))
    assert "a multiple of 16 bytes" in str(error) and "got 956 bytes" in str(error)


def test_a_nuscenes_sweep_is_recognised_by_its_ring_column(tmp_path, points):
    sweep = np.column_stack([points[:, :3], points[:, 3] * 255, np.arange(60) % 32]).astype("<f4")
    cloud = read_scan(write(tmp_path, "sweep.pcd.bin", sweep.tobytes()))
    np.testing.assert_array_equal(cloud.points[:, :3], points[:, :3])
    np.testing.assert_allclose(cloud.points[:, 3], points[:, 3], atol=1e-6)
    assert "nuScenes" in cloud.notes[0] and "1/255" in cloud.notes[1]


def test_a_kitti_scan_whose_size_also_fits_five_columns_keeps_its_four(tmp_path, points):
    assert points.nbytes % 20 == 0
    assert len(read_scan(write(tmp_path, "000000.bin", points.tobytes()))) == 60


# .npy

def test_a_three_column_array_gets_intensity_zero_and_a_note(tmp_path, points):
    np.save(tmp_path / "scan.npy", points[:, :3])
    cloud = read_scan(tmp_path / "scan.npy")
    np.testing.assert_array_equal(cloud.points, np.column_stack([points[:, :3], np.zeros(60)]))
    assert cloud.notes == ("no intensity field: intensity set to 0",)


@pytest.mark.parametrize("change", [
    lambda a: np.asfortranarray(a), lambda a: a.astype("<f8"), lambda a: a.astype(">f8"), lambda a: a.astype(">f4"),
], ids=["fortran", "float64", "big-endian float64", "big-endian float32"])
def test_order_and_float_type_of_an_array_make_no_difference(tmp_path, points, change):
    np.save(tmp_path / "scan.npy", change(points))
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.npy").points, points)


def test_further_columns_are_ignored_and_noted(tmp_path, points):
    np.save(tmp_path / "scan.npy", np.column_stack([points, points]))
    cloud = read_scan(tmp_path / "scan.npy")
    np.testing.assert_array_equal(cloud.points, points)
    assert cloud.notes == ("columns 5 to 8 ignored",)


def test_a_structured_array_is_read_by_its_field_names(tmp_path, points):
    table = np.zeros((4, 15), [("ring", "u1"), ("z", "<f4"), ("reflectivity", "<u2"), ("y", ">f8"), ("x", "<f4")])
    table["x"], table["y"], table["z"] = (points[:, axis].reshape(4, 15) for axis in range(3))
    table["reflectivity"] = np.arange(60).reshape(4, 15) * 1000
    np.save(tmp_path / "scan.npy", table)
    cloud = read_scan(tmp_path / "scan.npy")
    np.testing.assert_array_equal(cloud.points[:, :3], points[:, :3])
    np.testing.assert_allclose(cloud.points[:, 3], np.arange(60) * 1000 / 65535, rtol=1e-6)
    assert cloud.notes == ("intensity field 'reflectivity' uint16 scaled by 1/65535",)


@pytest.mark.parametrize("array", [
    np.zeros((4, 2), np.float32), np.zeros(8, np.float32), np.zeros((2, 4, 4), np.float32), np.zeros((60, 4), np.int32),
    np.zeros((4, 120), np.float32), np.zeros((60, 4), np.complex64),
], ids=["two columns", "flat", "three axes", "integers", "transposed", "complex"])
def test_an_array_that_is_no_point_table_is_refused_with_its_shape(tmp_path, array):
    np.save(tmp_path / "scan.npy", array)
    assert f"got {array.dtype} {array.shape}" in str(refusal(tmp_path / "scan.npy"))


def test_a_pickled_array_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "trace"

    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(trace),))

    np.save(tmp_path / "scan.npy", np.array([Hostile()] * 4, object), allow_pickle=True)
    assert "pickled objects" in str(refusal(tmp_path / "scan.npy"))
    write(tmp_path, "bare.npy", pickle.dumps(Hostile()))
    refusal(tmp_path / "bare.npy")
    assert not trace.exists()


def test_an_array_header_that_claims_2_to_the_40_points_is_refused_before_anything_is_allocated(tmp_path, points):
    np.save(tmp_path / "scan.npy", points)
    data = (tmp_path / "scan.npy").read_bytes()
    header = data[:128].replace(b"(60, 4), }" + b" " * 14, b"(1099511627776, 4), }".ljust(24))
    assert len(header) == 128 and b"1099511627776" in header
    assert str(2**40 * 16) in str(refusal(write(tmp_path, "claim.npy", header + data[128:])))


# .pcd

def test_a_field_other_than_the_wanted_may_have_any_type_and_count(tmp_path, points, make_pcd_header):
    header = make_pcd_header(60, "binary", "normal x y _ z rgb i", "4 4 8 1 4 4 1", "F F F U F U U", "3 1 1 5 1 1 1")
    rows = b"".join(
        struct.pack("<3f f d 5x f I B", 1, 2, 3, p[0], p[1], p[2], 77, i) for i, p in enumerate(points.tolist())
    )
    cloud = read_scan(write(tmp_path, "scan.pcd", header + rows))
    np.testing.assert_array_equal(cloud.points[:, :3], points[:, :3])
    np.testing.assert_allclose(cloud.points[:, 3], np.arange(60) / 255, rtol=1e-6)
    assert cloud.notes == ("intensity field 'i' uint8 scaled by 1/255",)


def test_an_organised_cloud_with_nan_for_no_return_is_flattened(tmp_path, make_pcd_header):
    header = make_pcd_header(6, "ascii").replace(b"WIDTH 6\nHEIGHT 1", b"WIDTH 3\nHEIGHT 2")
    body = b"1 2 3 0.5\nnan nan nan 0\n4 5 6 0.25\n-NaN nan nan 0\n7 8 9 1\n1e1 1.5 -2 0\n"
    cloud = read_scan(write(tmp_path, "scan.pcd", header + body))
    np.testing.assert_array_equal(cloud.points, [[1, 2, 3, 0.5], [4, 5, 6, 0.25], [7, 8, 9, 1], [10, 1.5, -2, 0]])
    assert cloud.removed == 2


def test_a_pcd_file_compressed_by_liblzf_is_read(tmp_path, make_pcd_header):
    # LibLZF's own output for 40 points: x = 0..39, y = 7, z = -1, intensity = 0.5, each column after the other.
    packed = base64.b64decode(GOLDEN_LZF)
    data = make_pcd_header(40, "binary_compressed") + struct.pack("<II", len(packed), 640) + packed
    cloud = read_scan(write(tmp_path, "scan.pcd", data))
    np.testing.assert_array_equal(cloud.points[:, 0], np.arange(40))
    assert (cloud.points[:, 1:] == [7, -1, 0.5]).all()


def test_a_viewpoint_is_noted_as_not_applied(tmp_path, points, make_pcd_header):
    header = make_pcd_header(60, "binary").replace(b"VIEWPOINT 0 0 0", b"VIEWPOINT 1 2 0")
    cloud = read_scan(write(tmp_path, "scan.pcd", header + points.tobytes()))
    np.testing.assert_array_equal(cloud.points, points)
    assert cloud.notes == ("VIEWPOINT 1 2 0 1 0 0 0 is not applied to the points",)


def test_bytes_after_the_last_point_are_noted(tmp_path, points, make_pcd_header):
    cloud = read_scan(write(tmp_path, "scan.pcd", make_pcd_header(60, "binary") + points.tobytes() + b"\n"))
    assert len(cloud) == 60 and cloud.notes == ("1 bytes after the last point ignored",)


@pytest.mark.parametrize(("old", "new", "message"), [
    (b"FIELDS x y z", b"FIELDS x y q", "fields x, y, z, got 'x, y, q"),
    (b"FIELDS x y z intensity", b"FIELDS x y z x", "unique, got 'x' twice"),
    (b"SIZE 4 4 4 4", b"SIZE 2 4 4 4", "field 'x' of"),
    (b"TYPE F F F F", b"TYPE I F F F", "field 'x' of"),
    (b"SIZE 4 4 4 4", b"SIZE 4 4 4", "SIZE of"),
    (b"SIZE 4 4 4 4", b"SIZE 4 4 4 -4", "got '-4'"),
    (b"COUNT 1 1 1 1", b"COUNT 1 1 1 0", "at least 1"),
    (b"COUNT 1 1 1 1", b"COUNT 2 1 1 1", "count 2"),
    (b"WIDTH 60", b"WIDTH 61", "WIDTH x HEIGHT = 61, got 60"),
    (b"WIDTH 60", b"WIDTH many", "got 'many'"),
    (b"DATA binary", b"DATA octal", "got 'octal'"),
    (b"VERSION 0.7", b"VERSION 0.7\nCOLOUR red", "got 'COLOUR'"),
    (b"HEIGHT 1\n", b"", "to have HEIGHT, got none"),
    (b"WIDTH 60\n", b"WIDTH 60\nWIDTH 60\n", "WIDTH once"),
    (b"# .PCD", b"hello ", "got 'hello'"),
])
def test_a_pcd_header_that_breaks_a_rule_is_refused_with_it(tmp_path, points, make_pcd_header, old, new, message):
    header = make_pcd_header(60, "binary")
    assert old in header
    assert message in str(refusal(write(tmp_path, "scan.pcd", header.replace(old, new) + points.tobytes())))


def test_a_pcd_header_without_its_data_line_is_refused(tmp_path, make_pcd_header):
    header = make_pcd_header(60, "binary").replace(b"DATA binary", b"")
    assert "end with a DATA line, got none" in str(refusal(write(tmp_path, "scan.pcd", header)))


def test_bytes_of_a_file_reach_a_message_only_escaped_and_short(tmp_path):
    message = str(refusal(write(tmp_path, "scan.pcd", b"\x1b[2J" + b"\xe9" * 5000 + b"\n")))
    assert message.isascii() and message.isprintable() and len(message) < 500


@pytest.mark.parametrize("encoding", ["ascii", "binary", "binary_compressed"])
def test_a_pcd_header_that_claims_2_to_the_40_points_is_refused_naming_them(tmp_path, make_pcd_header, encoding):
    error = refusal(write(tmp_path, "scan.pcd", make_pcd_header(2**40, encoding) + bytes(64)))
    assert str(2**40) in str(error) or str(2**44) in str(error)


def test_a_pcd_field_with_a_count_of_2_to_the_31_is_refused_at_once(tmp_path, make_pcd_header):
    header = make_pcd_header(60, "binary", "x y z w", count=f"1 1 1 {2**31}")
    assert refusal(write(tmp_path, "scan.pcd", header + bytes(960))).code == "LAYOUT"


def test_a_word_in_a_text_file_is_named_with_its_point(tmp_path, make_pcd_header):
    body = b"1 2 3 0\n1 two 3 0\n"
    assert "point 1" in (message := str(refusal(write(tmp_path, "a.pcd", make_pcd_header(2, "ascii") + body))))
    assert "two" in message


def test_a_text_number_that_does_not_fit_its_type_is_named(tmp_path, make_pcd_header):
    header = make_pcd_header(2, "ascii", size="4 4 4 1", kind="F F F U")
    error = refusal(write(tmp_path, "a.pcd", header + b"1 2 3 255\n1 2 3 300\n"))
    assert "fit uint8, got 300 at point 1" in str(error)


# .ply

def ply(encoding: str, vertex: str, rest: str = "", before: str = "") -> bytes:
    return f"ply\nformat {encoding} 1.0\n{before}{vertex}{rest}end_header\n".encode()


VERTEX = "element vertex 2\nproperty double x\nproperty float32 y\nproperty float z\nproperty uchar Reflectance\n"
FACE = "element face 1\nproperty list uchar int vertex_indices\n"
EXPECTED = [[1, 2, 3, 1], [4, 5, 6, 0]]


@pytest.mark.parametrize("faces_first", [False, True])
@pytest.mark.parametrize(("encoding", "order"), [("binary_little_endian", "<"), ("binary_big_endian", ">")])
def test_other_elements_and_lists_around_the_vertices_are_skipped(tmp_path, encoding, order, faces_first):
    faces = struct.pack(order + "B3i", 3, 0, 1, 1)
    rows = struct.pack(order + "dffB", 1, 2, 3, 255) + struct.pack(order + "dffB", 4, 5, 6, 0)
    header = ply(encoding, FACE + VERTEX if faces_first else VERTEX + FACE)
    cloud = read_scan(write(tmp_path, "a.ply", header + (faces + rows if faces_first else rows + faces)))
    np.testing.assert_array_equal(cloud.points, EXPECTED)
    assert cloud.notes == ("intensity field 'Reflectance' uint8 scaled by 1/255",)


@pytest.mark.parametrize("faces_first", [False, True])
def test_other_elements_in_a_text_file_are_skipped(tmp_path, faces_first):
    faces, rows = b"3 0 1 1\n", b"1 2 3 255\n4 5 6 0\n"
    header = ply("ascii", FACE + VERTEX if faces_first else VERTEX + FACE)
    cloud = read_scan(write(tmp_path, "a.ply", header + (faces + rows if faces_first else rows + faces)))
    np.testing.assert_array_equal(cloud.points, EXPECTED)


LIST_IN_VERTEX = VERTEX.replace("property float32 y", "property list uchar short views\nproperty float32 y")


def test_a_list_property_inside_the_vertices_is_stepped_over(tmp_path):
    rows = struct.pack("<dB2hffB", 1, 2, 8, 9, 2, 3, 255) + struct.pack("<dBffB", 4, 0, 5, 6, 0)
    cloud = read_scan(write(tmp_path, "b.ply", ply("binary_little_endian", LIST_IN_VERTEX) + rows))
    np.testing.assert_array_equal(cloud.points, EXPECTED)
    cloud = read_scan(write(tmp_path, "a.ply", ply("ascii", LIST_IN_VERTEX) + b"1 2 8 9 2 3 255\n4 0 5 6 0\n"))
    np.testing.assert_array_equal(cloud.points, EXPECTED)


def test_a_list_longer_than_the_file_is_refused(tmp_path):
    rows = struct.pack("<dB2hffB", 1, 200, 8, 9, 2, 3, 255)
    assert refusal(write(tmp_path, "b.ply", ply("binary_little_endian", LIST_IN_VERTEX) + rows)).code == "LAYOUT"
    data = ply("ascii", LIST_IN_VERTEX) + b"1 2 8 9 2 3 255\n4 9999999 5 6 0\n"
    assert refusal(write(tmp_path, "a.ply", data)).code == "LAYOUT"


@pytest.mark.parametrize(("old", "new", "message"), [
    (b"ply\n", b"plx\n", "begin with 'ply'"),
    (b"property float z\n", b"", "fields x, y, z"),
    (b"property float z", b"property quad z", "properties of PLY types"),
    (b"property float z", b"property int z", "'z'"),
    (b"property float z", b"property list uchar float z", "one number, got a list"),
    (b"format binary_little_endian 1.0", b"format binary_middle_endian 1.0", "PLY header line"),
    (b"element vertex 2", b"element vertex -2", "PLY header line"),
    (b"element vertex", b"element point", "element vertex, got none"),
    (b"end_header\n", b"", "end_header"),
])
def test_a_ply_header_that_breaks_a_rule_is_refused_with_that_rule(tmp_path, old, new, message):
    data = ply("binary_little_endian", VERTEX) + struct.pack("<dffB", 1, 2, 3, 255) * 2
    assert old in data
    assert message in str(refusal(write(tmp_path, "a.ply", data.replace(old, new))))


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("vertex", [VERTEX, LIST_IN_VERTEX])
def test_a_ply_header_that_claims_2_to_the_40_points_is_refused_naming_them(tmp_path, encoding, vertex):
    claim = vertex.replace("vertex 2", f"vertex {2**40}")
    assert str(2**40) in str(refusal(write(tmp_path, "a.ply", ply(encoding, claim) + bytes(64))))


# Real scans

def test_a_real_kitti_scan_is_read_whole(kitti_velodyne):
    path = kitti_velodyne / "000000.bin"
    cloud = read_scan(path)
    np.testing.assert_array_equal(cloud.points, np.fromfile(path, "<f4").reshape(-1, 4))
    assert cloud.notes == () and len(cloud) > 100_000


def test_a_real_nuscenes_sweep_is_read_with_five_columns(shared_data):
    path = shared_data / "nuscenes_frame_LCH1238/0.bin"
    if not path.is_file():
        pytest.skip(f"sample data not there: {path.name} of nuScenes")
    cloud = read_scan(path)
    np.testing.assert_array_equal(cloud.points[:, :3], np.fromfile(path, "<f4").reshape(-1, 5)[:, :3])
    assert 0.5 < cloud.points[:, 3].max() <= 1
