"""Opening datasets and reading their frames."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import SHAPE, invalid_voxels, kitti_360_voxels, raw_voxels, scan, write_voxels

from pasco_core.data.datasets import Frame, Kitti360, SemanticKitti, VoxelTruth, open_dataset
from pasco_core.data.datasets.instance_files import instance_path, write_instances
from pasco_core.data.datasets.kitti_360_match import read_match
from pasco_core.errors import ConfigError, DataError

DRIVE = "2013_05_28_drive_0006_sync"


def test_semantic_kitti_is_recognised_with_and_without_its_dataset_folder(kitti, tmp_path):
    assert isinstance(open_dataset(kitti), SemanticKitti)
    (tmp_path / "parent").mkdir()
    kitti.rename(tmp_path / "parent" / "dataset")
    dataset = open_dataset(str(tmp_path / "parent"))
    assert dataset.root == tmp_path / "parent" / "dataset"
    assert dataset.sequences() == ("00", "08")


def test_kitti_360_is_recognised_by_its_scans_or_its_labels(kitti_360):
    assert isinstance(open_dataset(kitti_360), Kitti360)
    shutil.rmtree(kitti_360 / "data_3d_raw")
    assert isinstance(open_dataset(kitti_360), Kitti360)


@pytest.mark.parametrize("where", [".", "sequences", "sequences/08", "sequences/08/velodyne"])
def test_a_folder_that_is_too_deep_is_answered_with_the_right_one(kitti, where):
    if where == ".":
        with pytest.raises(DataError, match=rf"did you mean {kitti}\?"):
            open_dataset(kitti.parent)
    else:
        with pytest.raises(DataError, match=rf"did you mean {kitti}\?"):
            open_dataset(kitti / where)


def test_an_empty_folder_a_file_and_nothing_are_told_apart(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, got in (("empty", "got an empty folder"), ("file", "got a file"), ("none", "got nothing there")):
        with pytest.raises(DataError, match=got):
            open_dataset(tmp_path / name)


def test_frames_with_truth_are_every_fifth_and_frames_without_are_all_scans(kitti):
    dataset = open_dataset(kitti)
    write_voxels(kitti / "sequences" / "00" / "voxels", 3)  # not a fifth scan
    assert [str(f) for f in dataset.frames()] == ["00/000000", "00/000005", "08/000000", "08/000005"]
    assert dataset.frames("val") == [Frame("08", 0), Frame("08", 5)]
    assert dataset.frames(sequences=["00"]) == [Frame("00", 0), Frame("00", 5)]
    assert len(dataset.frames("train", with_truth=False)) == 6


@pytest.mark.parametrize(
    ("split", "sequences", "error", "message"),
    [
        ("vall", None, ConfigError, "train, val, test, got 'vall'; did you mean 'val'"),
        (None, ["09"], ConfigError, "'09' to be in .*, got 00, 08"),
        (None, "00", ConfigError, "a list of names, got the string '00'"),
        ("test", None, DataError, "a sequence of split 'test' .*, got 00, 08"),
        ("val", ["00"], DataError, "got none"),
    ],
)
def test_a_choice_that_gives_no_frame_is_an_error_that_says_why(kitti, split, sequences, error, message):
    with pytest.raises(error, match=message):
        open_dataset(kitti).frames(split, sequences)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_folder_of_labels_in_another_layout_is_refused_by_name(kitti, kitti_360, swapped):
    root, truth = (kitti_360, kitti) if swapped else (kitti, kitti_360)
    assert open_dataset(root, root).sequences() == open_dataset(root).sequences()
    with pytest.raises(DataError) as caught:
        open_dataset(root, truth)
    layouts = ["SemanticKITTI", "SSCBench-KITTI-360"][:: -1 if swapped else 1]
    expected = f"labels {truth} to be in the layout of {root}, {layouts[0]}, got {layouts[1]}"
    assert expected in str(caught.value)


def test_opening_reads_no_file(kitti):
    for path in kitti.rglob("*"):
        if path.is_file():
            path.write_bytes(b"broken")
    assert open_dataset(kitti).sequences() == ("00", "08")


def test_points_and_point_labels_are_what_was_written(kitti):
    dataset, frame = open_dataset(kitti), Frame("08", 3)
    points = dataset.points(frame)
    assert points.dtype == np.float32 and np.array_equal(points, scan(3)) and points.flags.writeable
    classes, instances = dataset.point_labels(frame)
    assert classes.tolist() == [255] * 5 + [9] * 15
    assert classes.dtype == np.uint8 and instances.dtype == np.uint16 and instances.tolist() == [0] * 5 + [7] * 15


def test_truth_from_voxel_files_has_classes_unknowns_and_components(kitti):
    truth = open_dataset(kitti).truth(Frame("00", 5))
    expected = np.zeros(SHAPE, np.uint8)
    raw = raw_voxels()
    for raw_id, category in ((40, 9), (10, 1), (254, 6), (11, 255)):  # the bicycle is too small to be known
        expected[raw == raw_id] = category
    expected[invalid_voxels()] = 255
    assert np.array_equal(truth.semantics, expected)
    assert np.array_equal(truth.instances, np.where(raw == 10, 1, np.where(raw == 254, 2, 0)))


def test_instance_files_go_before_voxel_files_and_the_truth_folder_before_the_root(kitti, tmp_path):
    frame, other = Frame("00", 5), Frame("00", 0)
    own = VoxelTruth(np.full(SHAPE, 13, np.uint8), np.zeros(SHAPE, np.uint16))
    write_instances(instance_path(tmp_path / "truth", frame), own)
    write_instances(instance_path(kitti, frame), VoxelTruth(np.zeros(SHAPE, np.uint8), own.instances))
    dataset = open_dataset(kitti, tmp_path / "truth")
    assert (dataset.truth(frame).semantics == 13).all()
    assert (open_dataset(kitti).truth(frame).semantics == 0).all()
    assert dataset.truth(other).semantics.max() == 255  # from the voxel files of the root


def test_voxel_labels_of_the_truth_folder_go_before_instance_files_of_the_root(kitti, kitti_360, tmp_path):
    nothing = VoxelTruth(np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint16))
    for root, frame, labels in ((kitti, Frame("00", 5), "sequences/00/voxels"), (kitti_360, Frame(DRIVE, 5), "labels")):
        expected = open_dataset(root).truth(frame)
        truth_root = tmp_path / f"truth_{root.name}"
        shutil.copytree(root / labels, truth_root / labels)
        write_instances(instance_path(root, frame), nothing)
        assert (open_dataset(root).truth(frame).semantics == 0).all()
        truth = open_dataset(root, truth_root).truth(frame)
        assert np.array_equal(truth.semantics, expected.semantics) and truth.instances.max() > 0
        write_instances(instance_path(truth_root, frame), nothing)
        assert (open_dataset(root, truth_root).truth(frame).semantics == 0).all()


def test_a_label_file_is_masked_by_the_invalid_file_beside_it_alone(kitti, tmp_path):
    frame, folder = Frame("00", 5), tmp_path / "truth" / "sequences" / "00" / "voxels"
    folder.mkdir(parents=True)
    shutil.copy(kitti / "sequences" / "00" / "voxels" / "000005.label", folder)
    dataset = open_dataset(kitti, tmp_path / "truth")
    with pytest.raises(DataError, match=rf"{folder}/000005.invalid .*got nothing there"):
        dataset.truth(frame)
    np.packbits(np.zeros(SHAPE, bool)).tofile(folder / "000005.invalid")
    assert (dataset.voxel_classes(frame) != 255).all()


def test_scans_in_one_folder_and_labels_in_another_make_one_dataset(kitti, tmp_path):
    truth_root = tmp_path / "truth"
    for sequence in ("00", "08"):
        (truth_root / "sequences" / sequence).mkdir(parents=True)
        (kitti / "sequences" / sequence / "voxels").rename(truth_root / "sequences" / sequence / "voxels")
    with pytest.raises(DataError, match="got none"):
        open_dataset(kitti).frames()
    dataset = open_dataset(kitti, truth_root)
    frame = dataset.frames("val")[0]
    assert dataset.truth(frame).instances.max() == 2 and len(dataset.points(frame)) == 20


def test_the_truth_of_the_first_frame_needs_no_scan_on_disk_but_its_points_do(kitti):
    shutil.rmtree(kitti / "sequences" / "08" / "velodyne")
    dataset = open_dataset(kitti)
    frame = dataset.frames("val")[0]
    assert dataset.truth(frame).semantics.shape == SHAPE
    with pytest.raises(DataError, match=r"scan .*08/velodyne/000000.bin to be an existing file, got nothing there"):
        dataset.points(frame)


def test_poses_beyond_the_file_are_refused_by_number(kitti):
    dataset = open_dataset(kitti)
    assert dataset.pose(Frame("08", 5))[0, 3] == pytest.approx(5)
    assert len(dataset.times("08")) == 6
    with pytest.raises(DataError, match=r"poses.txt to have a line for scan 6, got 6 lines"):
        dataset.pose(Frame("08", 6))


def test_a_dataset_can_be_sent_to_another_process(kitti, kitti_360):
    for root in (kitti, kitti_360):
        dataset = open_dataset(root)
        dataset.frames()
        again = pickle.loads(pickle.dumps(dataset))
        assert again.frames() == dataset.frames() and again.root == dataset.root


def test_images_of_real_frames_are_read_as_rgb(shared_data):
    image = open_dataset(shared_data / "semantickitti").image(Frame("08", 0))
    assert image.shape == (370, 1226, 3) and image.dtype == np.uint8
    assert 20 < image.mean() < 200


def test_the_ten_frame_sequences_have_scans_and_labels_for_each_other(shared_data):
    dataset = open_dataset(shared_data / "semantickitti")
    frames = dataset.frames(with_truth=False)
    assert len(frames) == 50
    for frame in frames[::9]:
        points, (classes, _) = dataset.points(frame), dataset.point_labels(frame)
        assert len(points) == len(classes) > 100_000
        assert 0.1 < np.isin(classes, [9, 10, 11, 12]).mean() < 0.7  # a road to drive on


def test_kitti_360_frames_lead_to_their_raw_scans(kitti_360):
    dataset = open_dataset(kitti_360)
    assert dataset.frames("val") == [Frame(DRIVE, 0), Frame(DRIVE, 5)]
    assert dataset.frames(sequences=["0006"]) == dataset.frames("val")
    assert dataset.frames("test", with_truth=False) == [Frame(DRIVE.replace("0006", "0009"), i) for i in (0, 5)]
    assert np.array_equal(dataset.points(Frame(DRIVE, 5)), scan(10))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_kitti_360_labels_may_be_of_any_number_type(kitti_360, dtype):
    np.save(kitti_360 / "labels" / DRIVE / "000005_1_1.npy", kitti_360_voxels().astype(dtype))
    truth = open_dataset(kitti_360).truth(Frame(DRIVE, 5))
    assert truth.semantics.dtype == np.uint8 and np.array_equal(truth.semantics, kitti_360_voxels())
    assert np.array_equal(truth.instances > 0, kitti_360_voxels() == 1)


def test_kitti_360_labels_may_lie_in_a_preprocess_folder_elsewhere(kitti_360, tmp_path):
    (tmp_path / "labels" / "preprocess").mkdir(parents=True)
    (kitti_360 / "labels").rename(tmp_path / "labels" / "preprocess" / "labels")
    dataset = open_dataset(kitti_360, tmp_path / "labels")
    assert len(dataset.frames()) == 4 and dataset.truth(dataset.frames()[0]).instances.max() == 1


def test_junk_lines_of_the_match_file_are_skipped_and_counted(tmp_path):
    path = tmp_path / "match.txt"
    lines = ["", "drive 0000000001.png 000000.png", "drive 0000000002.png", "# comment", "drive 3.png 000005.png extra"]
    path.write_text("\n".join([*lines, "drive 0000000009.png 000005.png", "drive 0000000011.png 000005.png"]))
    match = read_match(path)
    assert match.raw_scans == {"drive": {0: 1, 5: 11}}
    assert match.junk == (3, 4, 5) and match.conflicts == (7,)


def test_every_reader_offers_what_the_protocol_says(kitti, kitti_360):
    for root in (kitti, kitti_360):
        dataset = open_dataset(root)
        assert isinstance(dataset.root, Path) and dataset.grid.shape == SHAPE
        assert set(dataset.splits) == {"train", "val", "test"}
        assert dataset.labels.n_classes in (20, 19)
