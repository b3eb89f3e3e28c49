"""What happens with damaged datasets: every file is refused by name, rule and value, by the reader and by the check."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_trees import SHAPE

from pasco_core.data.datasets import Frame, open_dataset
from pasco_core.data.datasets.check import check_dataset
from pasco_core.errors import DataError

FRAME = Frame("08", 5)
DRIVE = Frame("2013_05_28_drive_0006_sync", 5)


def truncate(path, size):
    path.write_bytes(path.read_bytes()[:size])


def refused(read, *words):
    with pytest.raises(DataError) as caught:
        read()
    for word in words:
        assert word in str(caught.value)


def check_errors(root, deep=False):
    return [finding.message for finding in check_dataset(root, deep=deep).all_findings("error")]


def test_a_missing_velodyne_file_is_named_by_reader_and_check(kitti):
    (kitti / "sequences/08/velodyne/000005.bin").unlink()
    refused(lambda: open_dataset(kitti).points(FRAME), "08/velodyne/000005.bin", "existing file", "nothing there")
    assert any("08/velodyne/000005.bin" in m and "beside its voxel truth" in m for m in check_errors(kitti))


def test_a_missing_point_label_file_is_named_by_reader_and_check(kitti):
    (kitti / "sequences/08/labels/000005.label").unlink()
    refused(lambda: open_dataset(kitti).point_labels(FRAME), "08/labels/000005.label", "nothing there")
    assert any("08/labels/000005.label" in m for m in check_errors(kitti))


def test_a_missing_voxel_label_file_is_named_by_the_reader(kitti):
    (kitti / "sequences/08/voxels/000005.label").unlink()
    dataset = open_dataset(kitti)
    assert FRAME not in dataset.frames()
    refused(lambda: dataset.truth(FRAME), "08/voxels/000005.label", "nothing there")


def test_a_missing_invalid_file_is_named_by_reader_and_check(kitti):
    (kitti / "sequences/08/voxels/000005.invalid").unlink()
    refused(lambda: open_dataset(kitti).truth(FRAME), "08/voxels/000005.invalid", "nothing there")
    assert any("08/voxels/000005.invalid" in m and "beside its .label" in m for m in check_errors(kitti))


def test_a_bin_file_that_is_not_a_multiple_of_16_bytes_is_refused_by_name(kitti):
    truncate(kitti / "sequences/08/velodyne/000005.bin", 311)
    words = ("08/velodyne/000005.bin", "multiple of 16 bytes", "got 311 bytes")
    refused(lambda: open_dataset(kitti).points(FRAME), *words)
    assert any(all(word in m for word in words) for m in check_errors(kitti))


def test_a_voxel_label_id_outside_the_learning_map_is_refused_by_name(kitti):
    path = kitti / "sequences/08/voxels/000005.label"
    raw = np.fromfile(path, "<u2")
    raw[7:10] = 12345
    raw.tofile(path)
    words = ("08/voxels/000005.label", "learning map", "12345 (3×)")
    refused(lambda: open_dataset(kitti).truth(FRAME), *words)
    assert check_errors(kitti) == []  # the size is right
    assert any(all(word in m for word in words) for m in check_errors(kitti, deep=True))


def test_a_point_label_id_outside_the_learning_map_is_refused_by_name(kitti):
    path = kitti / "sequences/08/labels/000005.label"
    labels = np.fromfile(path, "<u4")
    labels[3] = 2 | 9 << 16
    labels.tofile(path)
    words = ("08/labels/000005.label", "learning map", "2 (1×)")
    refused(lambda: open_dataset(kitti).point_labels(FRAME), *words)
    assert any(all(word in m for word in words) for m in check_errors(kitti, deep=True))


def test_an_invalid_file_of_the_wrong_length_is_refused_by_name(kitti):
    truncate(kitti / "sequences/08/voxels/000005.invalid", 100)
    words = ("08/voxels/000005.invalid", "262144 bytes", "one bit per voxel of 256×256×32", "got 100 bytes")
    refused(lambda: open_dataset(kitti).truth(FRAME), *words)
    assert any(all(word in m for word in words) for m in check_errors(kitti))


def test_a_voxel_label_file_of_the_wrong_length_is_refused_by_name(kitti):
    path = kitti / "sequences/08/voxels/000005.label"
    path.write_bytes(path.read_bytes() + b"\0")
    words = ("08/voxels/000005.label", "4194304 bytes", "two bytes per voxel", "got 4194305 bytes")
    refused(lambda: open_dataset(kitti).truth(FRAME), *words)
    assert any(all(word in m for word in words) for m in check_errors(kitti))


def test_point_labels_that_do_not_fit_the_scan_are_refused_by_name(kitti):
    truncate(kitti / "sequences/08/labels/000005.label", 76)
    words = ("08/labels/000005.label", "80 bytes", "20 points", "got 76 bytes")
    refused(lambda: open_dataset(kitti).point_labels(FRAME), *words)
    assert any(all(word in m for word in words) for m in check_errors(kitti))


def test_a_point_that_is_not_finite_is_refused_by_its_number(kitti):
    path = kitti / "sequences/08/velodyne/000005.bin"
    points = np.fromfile(path, "<f4").reshape(-1, 4)
    points[7, 1] = np.nan
    points.tofile(path)
    refused(lambda: open_dataset(kitti).points(FRAME), "08/velodyne/000005.bin", "finite", "at point 7")
    assert any("at point 7" in m for m in check_errors(kitti, deep=True))


def test_a_folder_in_place_of_a_file_is_refused(kitti):
    path = kitti / "sequences/08/velodyne/000005.bin"
    path.unlink()
    path.mkdir()
    refused(lambda: open_dataset(kitti).points(FRAME), "to be a file, got a directory")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((256, 256, 31), np.uint8), ("(256, 256, 32)", "got uint8 of shape (256, 256, 31)")),
        (np.full(SHAPE, 19, np.uint8), ("0 to 18 or 255", "got 19 in 2097152 voxels")),
        (np.full(SHAPE, -1, np.int16), ("whole and 0 to 255", "got -1")),
        (np.full(SHAPE, 0.5, np.float32), ("whole and 0 to 255", "got 0.5")),
        (np.full(SHAPE, np.nan, np.float32), ("whole and 0 to 255", "got nan")),
        (np.full(SHAPE, "a"), ("numbers of shape", "got <U1")),
    ],
)
def test_kitti_360_labels_of_wrong_shape_or_values_are_refused_by_name(kitti_360, array, words):
    np.save(kitti_360 / "labels" / DRIVE.sequence / "000005_1_1.npy", array)
    refused(lambda: open_dataset(kitti_360).truth(DRIVE), "000005_1_1.npy", *words)
    assert any("000005_1_1.npy" in m and words[0] in m for m in check_errors(kitti_360, deep=True))


@pytest.mark.parametrize("keep", [0, 4, 90, 5000])
def test_truncated_kitti_360_labels_are_refused_by_name(kitti_360, keep):
    truncate(kitti_360 / "labels" / DRIVE.sequence / "000005_1_1.npy", keep)
    refused(lambda: open_dataset(kitti_360).truth(DRIVE), "000005_1_1.npy", "whole .npy file")
    assert any("000005_1_1.npy" in m for m in check_errors(kitti_360))


def test_pickled_kitti_360_labels_are_never_run(kitti_360, tmp_path):
    class Touch:
        def __reduce__(self):
            return (tmp_path / "touched").touch, ()

    np.save(kitti_360 / "labels" / DRIVE.sequence / "000005_1_1.npy", np.array([Touch()]), allow_pickle=True)
    refused(lambda: open_dataset(kitti_360).truth(DRIVE), "000005_1_1.npy", "whole .npy file of numbers")
    assert not (tmp_path / "touched").exists()


def test_a_kitti_360_frame_without_a_line_in_the_match_file_is_named(kitti_360):
    (kitti_360 / "kitti_360_match.txt").write_text(f"{DRIVE.sequence} 0000000004.png 000000.png\n")
    refused(lambda: open_dataset(kitti_360).points(DRIVE), "kitti_360_match.txt", "000005.png")


def test_a_missing_match_file_is_named_by_reader_and_check(kitti_360):
    (kitti_360 / "kitti_360_match.txt").unlink()
    refused(lambda: open_dataset(kitti_360).points(DRIVE), "match file", "kitti_360_match.txt", "nothing there")
    assert any("kitti_360_match.txt" in m for m in check_errors(kitti_360, deep=True))


def test_a_missing_kitti_360_scan_is_named_by_reader_and_check(kitti_360):
    (kitti_360 / "data_3d_raw" / DRIVE.sequence / "velodyne_points/data/0000000010.bin").unlink()
    refused(lambda: open_dataset(kitti_360).points(DRIVE), "velodyne_points/data/0000000010.bin", "nothing there")
    assert any("0000000010.bin" in m and "000005" in m for m in check_errors(kitti_360))
