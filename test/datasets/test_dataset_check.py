"""``pasco data check``: what it finds, what it says about the commands, and how it ends."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from dataset_trees import SHAPE, scan

from pasco_core.cli import main
from pasco_core.data.datasets import Frame, VoxelTruth
from pasco_core.data.datasets.check import check_dataset
from pasco_core.data.datasets.instance_files import instance_path, write_instances


def run(capsys, *arguments):
    code = main(["data", "check", *map(str, arguments)])
    return code, capsys.readouterr()


def needs(report):
    return {need.command: (need.possible, need.frames) for need in report.needs}


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_dataset_has_no_finding_and_every_command_can_run(kitti, deep):
    report = check_dataset(kitti, deep=deep)
    assert report.ok and report.all_findings() == []
    assert needs(report) == {
        "infer": (True, 12), "replay": (True, 12), "eval": (True, 4), "train": (True, 2),
        "data instances": (True, 4), "data voxels": (True, 12),
    }  # fmt: skip
    assert report.sequences[1].counts["voxels .occluded"] == 2 and report.sequences[1].split == "val"


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_kitti_360_has_only_its_junk_line_as_a_note(kitti_360, deep):
    report = check_dataset(kitti_360, deep=deep)
    assert report.ok
    assert [(f.level, "1 that are not (line 1)" in f.message) for f in report.all_findings()] == [("note", True)]
    found = needs(report)
    assert found["eval"] == (True, 4) and found["train"] == (False, 0) and found["data voxels"] == (False, 0)


def test_scans_without_labels_are_whole_but_neither_evaluated_nor_trained_on(kitti, capsys):
    for sequence in ("00", "08"):
        for path in (kitti / "sequences" / sequence / "voxels").glob("*.label"):
            path.unlink()
    code, output = run(capsys, kitti)
    assert code == 0 and "make them with `pasco data voxels`" in output.out
    assert run(capsys, kitti, "--for", "eval")[0] == 1
    assert run(capsys, kitti, "--for", "data voxels")[0] == 0


def test_real_ten_frame_sequences_are_whole_and_ready_for_voxel_labels(shared_data, capsys):
    code, output = run(capsys, shared_data / "semantickitti", "--json")
    answer = json.loads(output.out)
    assert code == 0 and answer["ok"] and not [f for f in answer["findings"] if f["level"] == "error"]
    commands = {c["command"]: c for c in answer["commands"]}
    assert commands["infer"]["frames"] == commands["data voxels"]["frames"] == 50
    assert not commands["eval"]["possible"] and "*.label" in commands["eval"]["hint"]
    assert sum(f["kind"] == "orphan" for f in answer["findings"]) == 5 * 8 * 3  # voxel files without their scans


def test_real_ten_frame_sequences_have_no_damage_to_the_last_byte(shared_data):
    assert check_dataset(shared_data / "semantickitti", deep=True).ok


def test_labels_in_another_folder_count(kitti, tmp_path):
    truth = tmp_path / "truth" / "sequences" / "00"
    truth.mkdir(parents=True)
    shutil.move(kitti / "sequences" / "00" / "voxels", truth / "voxels")
    assert needs(check_dataset(kitti))["train"] == (False, 0)
    assert needs(check_dataset(kitti, tmp_path / "truth"))["train"] == (True, 2)


def test_a_dataset_without_a_validation_sequence_is_not_ready_for_training(kitti, capsys):
    assert run(capsys, kitti, "--for", "train")[0] == 0
    shutil.rmtree(kitti / "sequences" / "08")
    code, output = run(capsys, kitti, "--for", "train")
    (row,) = (line for line in output.out.splitlines() if line.split()[:1] == ["train"])
    assert code == 1 and row.split()[1] == "no" and "no such frame in a validation sequence" in row
    assert run(capsys, kitti, "--for", "eval")[0] == 0


def test_validation_frames_that_are_all_damaged_are_none(kitti):
    for index in (0, 5):
        (kitti / "sequences" / "08" / "velodyne" / f"{index:06d}.bin").write_bytes(bytes(7))
    train = {need.command: need for need in check_dataset(kitti).needs}["train"]
    assert not train.possible and "validation sequence" in train.hint


def test_a_subset_of_the_scans_leaves_orphans_that_are_warnings(kitti):
    for index in (1, 2, 3, 4):
        (kitti / "sequences" / "00" / "velodyne" / f"{index:06d}.bin").unlink()
    report = check_dataset(kitti)
    assert report.ok
    assert [f.path[-12:] for f in report.all_findings("warning")] == [f"{i:06d}.label" for i in (1, 2, 3, 4)]


def test_files_that_nothing_reads_are_notes(kitti):
    folder = kitti / "sequences" / "00"
    scan(0).tofile(folder / "velodyne" / "copy of 000000.bin")
    shutil.copy(folder / "voxels" / "000005.label", folder / "voxels" / "000004.label")
    shutil.copy(folder / "voxels" / "000005.invalid", folder / "voxels" / "000004.invalid")
    report = check_dataset(kitti)
    assert report.ok
    notes = [finding.message for finding in report.all_findings("note")]
    assert any("copy of 000000.bin" in note for note in notes)
    assert any("every 5th scan, got it for 000004 too" in note for note in notes)


def test_an_empty_scan_a_broken_link_and_short_poses_are_errors(kitti):
    folder = kitti / "sequences" / "08"
    (folder / "velodyne" / "000001.bin").write_bytes(b"")
    (folder / "velodyne" / "000002.bin").unlink()
    (folder / "velodyne" / "000002.bin").symlink_to("nowhere")
    (folder / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    (folder / "times.txt").write_text("0.0\nsoon\n")
    messages = [finding.message for finding in check_dataset(kitti).all_findings("error")]
    for words in (
        ("000001.bin", "not to be empty"), ("000002.bin", "broken link"),
        ("poses.txt", "a line for scan 000005, got 1 lines"), ("line 2 of", "times.txt", "got 'soon'"),
    ):  # fmt: skip
        assert any(all(word in message for word in words) for message in messages)


def test_every_damaged_file_is_found_once_when_everything_is_read(kitti):
    path = kitti / "sequences" / "08" / "velodyne" / "000003.bin"
    path.write_bytes(path.read_bytes()[:-1])
    report = check_dataset(kitti, deep=True)
    assert [f.path for f in report.all_findings("error")] == [str(path)]


def test_reading_in_two_processes_finds_the_same(kitti):
    for index in (1, 4):
        path = kitti / "sequences" / "00" / "velodyne" / f"{index:06d}.bin"
        points = np.fromfile(path, "<f4")
        points[2] = np.inf
        points.tofile(path)
    one, two = (check_dataset(kitti, deep=True, jobs=jobs).to_dict() for jobs in (1, 2))
    assert one == two and len(one["findings"]) == 2


def test_a_dataset_without_sequences_is_an_error(tmp_path, capsys):
    (tmp_path / "sequences").mkdir()
    code, output = run(capsys, tmp_path)
    assert code == 1 and "to hold sequences, got none" in output.out


def test_many_alike_findings_are_one_line_and_all_of_them_on_request(kitti, capsys):
    shutil.rmtree(kitti / "sequences" / "00" / "labels")
    shutil.rmtree(kitti / "sequences" / "08" / "labels")
    for sequence in ("00", "08"):
        for path in (kitti / "sequences" / sequence / "voxels").glob("*.invalid"):
            path.unlink()
        for path in (kitti / "sequences" / sequence / "velodyne").glob("*.bin"):
            path.write_bytes(b"123")
    code, short = run(capsys, kitti)
    assert code == 1 and "and 7 more such *.bin in 00, 08 (--all shows them)" in short.out
    _, everything = run(capsys, kitti, "--all")
    assert everything.out.count("multiple of 16 bytes") == 12
    assert "16 files are damaged or missing" in short.out


@pytest.mark.parametrize("where", ["sequences/08", ".."])
def test_a_folder_too_deep_or_too_high_is_answered_with_the_right_one(kitti, capsys, where):
    code, output = run(capsys, kitti / where)
    assert code == 1 and f"did you mean {kitti}?" in output.err and "Traceback" not in output.err


def test_an_empty_folder_is_answered_with_the_layouts(tmp_path, capsys):
    code, output = run(capsys, tmp_path)
    assert code == 1 and "sequences/ (SemanticKITTI)" in output.err and "got an empty folder" in output.err


def test_help_shows_an_example(capsys):
    code, output = run(capsys, "--help")
    assert code == 0 and "pasco data check kitti/dataset --for eval" in output.out


def test_voxel_files_of_the_first_release_are_told_from_their_scans(shared_data):
    """The voxel files of the sample data lie one value late; moved back they lie on their scans."""
    report = check_dataset(shared_data / "semantickitti")
    found = [f for f in report.all_findings("warning") if "first release" in f.message]
    assert {finding.sequence for finding in found} == {"00", "04", "05", "06", "08"}


def damaged(report):
    return {need.command: (need.frames, need.damaged) for need in report.needs}


def test_damaged_frames_are_not_counted_for_the_commands_that_read_them(kitti, capsys):
    folder = kitti / "sequences" / "00"
    for path, size in (
        ("velodyne/000000.bin", 7), ("velodyne/000002.bin", 7), ("voxels/000005.invalid", 100),
        ("labels/000003.label", 4),
    ):  # fmt: skip
        (folder / path).write_bytes(bytes(size))
    report = check_dataset(kitti)
    assert damaged(report) == {
        "infer": (10, 2), "replay": (10, 2), "eval": (2, 2), "train": (0, 2), "data instances": (3, 1),
        "data voxels": (9, 3),
    }  # fmt: skip
    assert not needs(report)["train"][0]
    code, output = run(capsys, kitti, "--for", "train")
    assert code == 1 and "of all 2 frames a file is damaged or missing" in output.out
    assert "2 more are damaged; needs scans" in output.out and "1 more is damaged; needs voxels" in output.out


def test_damage_that_only_the_content_shows_counts_when_everything_is_read(kitti):
    path = kitti / "sequences" / "08" / "velodyne" / "000005.bin"
    np.full((20, 4), np.nan, "<f4").tofile(path)
    assert damaged(check_dataset(kitti))["infer"] == (12, 0)
    report = check_dataset(kitti, deep=True)
    assert damaged(report)["infer"] == (11, 1) and damaged(report)["eval"] == (3, 1)
    commands = {command["command"]: command for command in report.to_dict()["commands"]}
    assert (commands["eval"]["frames"], commands["eval"]["damaged"]) == (3, 1)


def test_damaged_kitti_360_files_are_found_by_the_frame_they_belong_to(kitti_360):
    name = "2013_05_28_drive_0006_sync"
    (kitti_360 / "data_3d_raw" / name / "velodyne_points" / "data" / "0000000010.bin").write_bytes(b"123")
    (kitti_360 / "labels" / name / "000000_1_1.npy").write_bytes(b"123")
    found = damaged(check_dataset(kitti_360))
    assert found["infer"] == (3, 1) and found["eval"] == (2, 2) and found["data instances"] == (3, 1)


@pytest.mark.parametrize("layout", ["kitti", "kitti_360"])
def test_instance_files_older_than_their_voxel_labels_are_warned_of(layout, request):
    root = request.getfixturevalue(layout)
    name, label = ("00", "sequences/00/voxels/000005.label") if layout == "kitti" else (
        "2013_05_28_drive_0006_sync", "labels/2013_05_28_drive_0006_sync/000005_1_1.npy")
    path = instance_path(root, Frame(name, 5))
    write_instances(path, VoxelTruth(np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint16)))
    assert check_dataset(root).all_findings("warning") == []
    os.utime(path, (1e9, 1e9))
    report = check_dataset(root)
    (warning,) = report.all_findings("warning")
    assert report.ok and warning.path == str(path)
    assert str(root / label) in warning.message and "`pasco data instances`" in warning.message


def test_a_label_file_in_the_truth_folder_needs_its_own_invalid_file(kitti, tmp_path):
    folder = tmp_path / "truth" / "sequences" / "00" / "voxels"
    folder.mkdir(parents=True)
    shutil.copy(kitti / "sequences" / "00" / "voxels" / "000005.label", folder)
    report = check_dataset(kitti, tmp_path / "truth")
    assert [finding.path for finding in report.all_findings("error")] == [str(folder / "000005.invalid")]
    assert damaged(report)["eval"] == (3, 1)
