"""``pasco data instances`` and ``pasco data voxels``, run as a user runs them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from voxel_references import forward_poses, write_drive

from pasco_core.cli import main
from pasco_core.data.datasets import Frame, VoxelTruth, open_dataset
from pasco_core.data.datasets.instance_files import instance_path, write_instances
from pasco_core.data.datasets.voxel_files import write_bits, write_labels
from pasco_core.geometry import KITTI_GRID

CAR, ROAD = 10, 40
BEAMS = ("--free-space", "beams")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["data", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Twelve scans, a metre apart: road, and a block of a parked car 12 m from the start."""
    rng = np.random.default_rng(0)
    scans = {}
    for index in range(12):
        ground = np.column_stack([rng.uniform((-20, -8), (25, 8), (600, 2)), np.full(600, -1.73)])
        car = rng.uniform((12, 2, -1.7), (15, 3.6, -0.3), (400, 3)) - [index, 0, 0]
        scans[index] = (np.vstack([ground, car]), np.array([ROAD] * 600 + [CAR] * 400))
    return write_drive(tmp_path / "kitti", scans, forward_poses(12))


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two sequences of voxel labels with one car each, and one unknown voxel in it."""
    root = tmp_path / "labelled"
    raw = np.zeros(KITTI_GRID.shape, np.uint16)
    raw[10:20, 10:15, 3:7] = CAR
    invalid = np.zeros(KITTI_GRID.shape, bool)
    invalid[10, 10, 3] = True
    for sequence in ("00", "08"):
        for index in (0, 5):
            (root / "sequences" / sequence / "voxels").mkdir(parents=True, exist_ok=True)
            write_labels(root / "sequences" / sequence / "voxels" / f"{index:06d}.label", raw)
            write_bits(root / "sequences" / sequence / "voxels" / f"{index:06d}.invalid", invalid)
    return root


def files(root: Path, ending: str) -> dict[str, bytes]:
    found = sorted(path for path in root.rglob(f"*{ending}") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_voxels_of_every_fifth_frame_are_written_where_the_reader_finds_them(capsys, drive: Path, tmp_path: Path):
    out = tmp_path / "labels"
    code, text, _ = run(capsys, "voxels", drive, "--out", out, *BEAMS, "--json")
    summary = json.loads(text)
    assert code == 0 and (summary["frames"], summary["written"], summary["skipped"]) == (3, 3, 0)
    assert abs(sum(summary["shares"].values()) - 1) < 1e-9
    dataset = open_dataset(drive, out)
    assert dataset.frames() == [Frame("00", 0), Frame("00", 5), Frame("00", 10)]
    truth = dataset.truth(Frame("00", 5))
    car = np.argwhere(truth.semantics == 1)
    np.testing.assert_allclose(KITTI_GRID.centre_of(car).mean(axis=0)[:2], (8.5, 2.8), atol=0.15)
    assert truth.instances.max() == 1 and (truth.semantics == 9).any()


def test_voxels_written_before_are_skipped_and_a_half_written_frame_is_done_again(capsys, drive: Path, tmp_path: Path):
    out = tmp_path / "labels"
    run(capsys, "voxels", drive, "--out", out, *BEAMS)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.label")}
    (out / "sequences/00/voxels/000005.occluded").unlink()
    code, text, _ = run(capsys, "voxels", drive, "--out", out, *BEAMS)
    assert code == 0 and "1 frames labelled; 2 were there already" in text
    after = {p: p.stat().st_mtime_ns for p in out.rglob("*.label")}
    assert [p.name for p in after if after[p] != before[p]] == ["000005.label"]


def test_shards_and_processes_together_write_what_one_process_writes(capsys, drive: Path, tmp_path: Path):
    run(capsys, "voxels", drive, "--out", tmp_path / "one", *BEAMS)
    assert run(capsys, "voxels", drive, "--out", tmp_path / "many", *BEAMS, "--shard", "1/2", "--jobs", 2)[0] == 0
    assert len(files(tmp_path / "many", ".label")) == 2
    assert run(capsys, "voxels", drive, "--out", tmp_path / "many", *BEAMS, "--shard", "2/2")[0] == 0
    for ending in (".bin", ".label", ".invalid", ".occluded"):
        assert files(tmp_path / "one", ending) == files(tmp_path / "many", ending)


def test_the_frames_asked_for_are_made_from_the_scans_asked_for(capsys, drive: Path, tmp_path: Path):
    few, many = tmp_path / "few", tmp_path / "many"
    assert run(capsys, "voxels", drive, "--out", few, "--frames", "3,7-8", "--ahead", 0, *BEAMS)[0] == 0
    assert run(capsys, "voxels", drive, "--out", many, "--frames", "3", "--behind", 9, *BEAMS)[0] == 0
    assert [Path(name).stem for name in files(few, ".label")] == ["000003", "000007", "000008"]
    name = "sequences/00/voxels/000003.label"
    occupied = [(np.frombuffer(files(root, ".label")[name], "<u2") > 0).sum() for root in (few, many)]
    assert occupied[1] > 2 * occupied[0]


def test_labels_made_otherwise_and_files_of_others_are_never_mixed_or_overwritten(capsys, drive: Path, tmp_path: Path):
    out = tmp_path / "labels"
    run(capsys, "voxels", drive, "--out", out, "--ahead", 3, "--frames", "0", *BEAMS)
    before = files(out, "")
    code, _, error = run(capsys, "voxels", drive, "--out", out, "--ahead", 4, *BEAMS)
    assert code == 2 and "got ahead 3, not 4" in error and files(out, "") == before
    downloaded = drive / "sequences" / "00" / "voxels" / "000005.invalid"
    downloaded.parent.mkdir()
    downloaded.write_bytes(b"official")
    code, _, error = run(capsys, "voxels", drive, "--out", drive, *BEAMS)
    assert code == 2 and str(downloaded) in error and "use another --out" in error
    assert downloaded.read_bytes() == b"official" and not (drive / "voxel_labels.json").exists()
    downloaded.unlink()
    assert run(capsys, "voxels", drive, "--out", drive, *BEAMS)[0] == 0
    (drive / "voxel_labels.json").write_text("[1")
    code, _, error = run(capsys, "voxels", drive, "--out", drive, *BEAMS)
    assert code == 1 and "voxel_labels.json to be JSON" in error


def test_voxels_says_what_is_wrong_with_a_dataset_or_an_option(capsys, drive: Path, tmp_path: Path):
    folder, out = drive / "sequences" / "00", ("--out", tmp_path / "out")
    labels_file = folder / "labels" / "000001.label"
    cases = [
        (("--frames", "5-3"), 2, "ascending ranges such as 0,5,100-200, got '5-3'"),
        (("--frames", "99"), 1, "labelled scans of the frames asked for, got none"),
        (("--sequences", "77"), 2, "sequence '77'"),
        (("--every", 0), 2, "--every to be at least 1, got 0"),
        (("--ahead", -1), 2, "--ahead to be at least 0"),
        (("--min-range", "nan"), 2, "--min-range to be at least 0 and finite, got nan"),
        (("--jobs", 0), 2, "--jobs to be at least 1"),
        (("--sequences", ","), 2, "expected at least one name"),
        (("--out", labels_file), 2, f"--out to be a folder, or one that can be made, got {labels_file}, a file"),
        (("--out", labels_file / "in"), 2, f"got {labels_file}, a file"),
    ]
    for options, expected_code, message in cases:
        code, _, error = run(capsys, "voxels", drive, *out, *options)
        assert code == expected_code and message in error, error
    assert not (tmp_path / "out").exists()
    labels = folder / "labels" / "000000.label"
    whole = labels.read_bytes()
    for content, message in (
        (whole[:-4], "1000 points), got 3996 bytes"),
        (whole[:-1], "got 3999 bytes"),
        (np.full(1000, 7, "<u4").tobytes(), "learning map, got 7"),
    ):
        labels.write_bytes(content)
        code, _, error = run(capsys, "voxels", drive, *out)
        assert code == 1 and message in error and "000000.label" in error
    labels.write_bytes(whole)
    poses = folder / "poses.txt"
    poses.write_text("".join(poses.read_text().splitlines(keepends=True)[:3]))
    code, _, error = run(capsys, "voxels", drive, *out)
    assert code == 1 and "poses.txt to have a line for scan 5, got 3" in error
    assert run(capsys, "voxels", tmp_path / "nowhere", *out)[0] == 1


def test_instances_of_a_dataset_are_its_connected_components(capsys, labelled: Path):
    code, text, _ = run(capsys, "instances", labelled, "--json")
    summary = json.loads(text)
    assert code == 0 and summary == {
        "frames": 4, "skipped": 0, "written": 4, "instances": 4, "out": str(labelled)
    }
    with np.load(labelled / "instances" / "08" / "000005.npz", allow_pickle=False) as stored:
        assert (stored["instances"] == 1).sum() == 10 * 5 * 4 - 1
        assert stored["semantics"][10, 10, 3] == 255 and stored["instances"][10, 10, 3] == 0


def test_instances_already_there_are_skipped_and_the_rest_is_done(capsys, labelled: Path):
    run(capsys, "instances", labelled)
    path = labelled / "instances" / "00" / "000005.npz"
    whole = path.read_bytes()
    path.unlink()
    code, text, _ = run(capsys, "instances", labelled)
    assert code == 0 and "1 frames labelled, 1 instances; 3 frames were there already" in text
    assert path.read_bytes() == whole


def test_instances_can_be_written_elsewhere_by_split_shard_and_processes(capsys, labelled: Path, tmp_path: Path):
    out = tmp_path / "elsewhere"
    run(capsys, "instances", labelled, "--out", out, "--split", "val")
    assert list(files(out, ".npz")) == ["instances/08/000000.npz", "instances/08/000005.npz"]
    run(capsys, "instances", labelled, "--out", out, "--shard", "1/2")
    run(capsys, "instances", labelled, "--out", out, "--shard", "2/2", "--jobs", 2)
    assert len(files(out, ".npz")) == 4 and not (labelled / "instances").exists()
    assert len(set(files(out, ".npz").values())) == 1


def test_instances_are_computed_from_voxel_labels_and_never_taken_from_another_folder(capsys, labelled, tmp_path: Path):
    """What is there in the root, such as the authors' instances, is not what another folder asked for."""
    frame, out = Frame("08", 5), tmp_path / "out"
    nothing = VoxelTruth(np.zeros(KITTI_GRID.shape, np.uint8), np.zeros(KITTI_GRID.shape, np.uint16))
    write_instances(instance_path(labelled, frame), nothing)
    assert run(capsys, "instances", labelled, "--out", out, "--split", "all")[0] == 0
    with np.load(instance_path(out, frame), allow_pickle=False) as stored:
        assert (stored["instances"] == 1).sum() == 10 * 5 * 4 - 1
    assert len(files(out, ".npz")) == 4 and len(set(files(out, ".npz").values())) == 1


def authors_folder(folder: Path) -> Path:
    (folder / "08").mkdir(parents=True)
    instances = np.zeros(KITTI_GRID.shape)
    instances[4:8, 4:8, 4:8] = 3
    content = {"instance_labels": instances, "semantic_labels": (instances > 0).astype(np.float32)}
    (folder / "08" / "000005_1_1.pkl").write_bytes(pickle.dumps(content))
    return folder


def test_the_authors_pickles_become_instance_files_that_the_reader_uses(capsys, labelled: Path, tmp_path: Path):
    pickles = authors_folder(tmp_path / "instance_labels_v2")
    code, text, _ = run(capsys, "instances", labelled, "--import-pickles", pickles)
    assert code == 0 and "1 frames labelled, 3 instances" in text
    truth = open_dataset(labelled).truth(Frame("08", 5))
    assert (truth.instances == 3).sum() == 64 and (truth.semantics == 1).sum() == 64
    assert run(capsys, "instances", "--import-pickles", pickles, "--out", tmp_path / "out")[0] == 0
    assert list(files(tmp_path / "out", ".npz")) == ["instances/08/000005.npz"]


def test_instances_says_what_is_wrong_with_its_options_and_files(capsys, labelled: Path, tmp_path: Path):
    pickles = authors_folder(tmp_path / "pickles")
    cases = [
        ((), 2, "a dataset ROOT, or --import-pickles DIR, got neither"),
        (("--import-pickles", pickles), 2, "to come with --out DIR or a dataset ROOT"),
        ((labelled, "--import-pickles", pickles, "--split", "val"), 2, "--split to come with a dataset alone"),
        ((labelled, "--import-pickles", pickles, "--sequences", "09"), 2, "--sequences to be in"),
        ((labelled, "--import-pickles", pickles, "--labels", "kitti360"), 2, "SemanticKITTI, got kitti360"),
        ((labelled, "--labels", "kitti360"), 2, "--labels to come with --import-pickles"),
        ((labelled, "--import-pickles", labelled), 1, "got no such file"),
        ((labelled, "--split", "vall"), 2, "did you mean 'val'?"),
        ((labelled, "--jobs", 0), 2, "--jobs to be at least 1, got 0"),
        ((labelled, "--out", pickles / "08" / "000005_1_1.pkl"), 2, "000005_1_1.pkl, a file"),
        ((tmp_path / "nowhere",), 1, "nowhere"),
    ]
    for options, expected_code, message in cases:
        code, _, error = run(capsys, "instances", *options)
        assert code == expected_code and message in error, error
    (labelled / "sequences" / "00" / "voxels" / "000005.invalid").write_bytes(b"short")
    code, _, error = run(capsys, "instances", labelled)
    assert code == 1 and "000005.invalid" in error and "262144 bytes" in error
    assert not list(labelled.rglob(".*"))


def test_both_commands_show_an_example(capsys):
    for command in ("instances", "voxels"):
        code, text, _ = run(capsys, command, "--help")
        assert code == 0 and f"pasco data {command} kitti/dataset" in text and "--shard" in text
