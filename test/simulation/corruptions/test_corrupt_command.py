"""``pasco data corrupt`` on datasets in both layouts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pasco_core.cli import main
from pasco_core.data.datasets import open_dataset
from pasco_core.data.frame import Frame
from pasco_core.data.simulation.corruptions import CORRUPTIONS, LEVELS
from pasco_core.data.simulation.corruptions.corrupted_dataset import CorruptedDataset, Recipe

DRIVE = "2013_05_28_drive_0009_sync"


@pytest.fixture
def kitti(tmp_path: Path, street: np.ndarray) -> Path:
    """Two sequences of SemanticKITTI, three scans in all, with labels that number the points."""
    root = tmp_path / "clean"
    for sequence, index in (("00", 0), ("00", 1), ("08", 5)):
        folder = root / "sequences" / sequence
        for name in ("velodyne", "labels"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        points = street[index::9]
        points.tofile(folder / "velodyne" / f"{index:06d}.bin")
        labels = np.where(points[:, 3] < 0.1, 10, 40).astype("<u4") | (np.arange(len(points), dtype="<u4") % 999 << 16)
        labels.tofile(folder / "labels" / f"{index:06d}.label")
        (folder / "calib.txt").write_text(f"calibration of {sequence}")
        (folder / "poses.txt").write_text(f"poses of {sequence}")
    return root


def corrupt_command(root: Path, out: Path, *options: str) -> int:
    return main(["data", "corrupt", str(root), "--out", str(out), *options])


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_scans_labels_and_side_files_are_written_and_the_clean_dataset_is_untouched(kitti, tmp_path, capsys):
    before, out = files_of(kitti), tmp_path / "out"
    assert corrupt_command(kitti, out, "--corruption", "fog", "--level", "heavy") == 0
    assert files_of(kitti) == before
    assert set(files_of(out)) == {*before, "corruption.json"}
    assert (out / "sequences/08/calib.txt").read_text() == "calibration of 08"
    said = capsys.readouterr().out
    assert "3 scans written" in said and f"pasco eval {out} --truth-root {kitti}" in said


def test_labels_stay_with_their_points_and_added_returns_are_outliers(kitti, tmp_path):
    out, frame = tmp_path / "out", Frame("08", 5)
    assert corrupt_command(kitti, out, "--corruption", "snow", "--level", "heavy", "--seed", "4") == 0
    clean = open_dataset(kitti)
    result = CorruptedDataset(kitti, out, Recipe("snow", "heavy", 4)).corrupted(frame)[1]
    assert np.array_equal(open_dataset(out).points(frame), result.points)
    raw, instances = open_dataset(out).raw_point_labels(frame)
    old_raw, old_instances = clean.raw_point_labels(frame)
    added = result.source == -1
    assert added.any() and (raw[added] == 1).all() and (instances[added] == 0).all()
    assert np.array_equal(raw[~added], old_raw[result.source[~added]])
    assert np.array_equal(instances[~added], old_instances[result.source[~added]])


def test_evaluation_on_the_fly_sees_the_same_bits_as_the_written_dataset(kitti, tmp_path):
    from pasco_core.evaluation.condition import Condition

    frame = Frame("08", 5)
    corrupt_command(kitti, tmp_path / "out", "--corruption", "fog", "--level", "moderate", "--seed", "3")
    written = open_dataset(tmp_path / "out").points(frame)
    assert np.array_equal(Condition("fog", "moderate").apply(open_dataset(kitti).points(frame), frame, 3), written)


def test_a_second_run_writes_nothing_and_an_interrupted_one_is_completed_to_the_same_bits(kitti, tmp_path, capsys):
    out, options = tmp_path / "out", ("--corruption", "crosstalk", "--level", "light", "--json")
    corrupt_command(kitti, out, *options)
    first = json.loads(capsys.readouterr().out)
    assert first["frames"] == {"written": 3, "there_already": 0}
    assert first["points"]["clean"] == first["points"]["kept"] + first["points"]["added"]
    complete = files_of(out)
    (out / "sequences/00/velodyne/000001.bin").unlink()
    corrupt_command(kitti, out, *options)
    assert json.loads(capsys.readouterr().out)["frames"] == {"written": 1, "there_already": 2}
    assert files_of(out) == complete


def test_shards_and_processes_together_write_the_same_bits_as_one_run(kitti, tmp_path):
    options = ("--corruption", "beam_missing", "--level", "moderate")
    assert corrupt_command(kitti, tmp_path / "one", *options) == 0
    assert corrupt_command(kitti, tmp_path / "many", *options, "--shard", "1/2", "--jobs", "2") == 0
    assert corrupt_command(kitti, tmp_path / "many", *options, "--shard", "2/2") == 0
    assert files_of(tmp_path / "one") == files_of(tmp_path / "many")


def test_only_the_chosen_sequences_are_written(kitti, tmp_path):
    corrupt_command(kitti, tmp_path / "out", "--corruption", "fog", "--level", "light", "--sequences", "08")
    assert open_dataset(tmp_path / "out").sequences() == ("08",)


def test_frames_have_random_numbers_of_their_own(kitti, tmp_path, street):
    for name in ("00/velodyne/000000", "08/velodyne/000005"):
        street[::9].tofile(kitti / "sequences" / f"{name}.bin")
    for name in ("00/labels/000000", "08/labels/000005"):
        (kitti / "sequences" / f"{name}.label").unlink()
    corrupt_command(kitti, tmp_path / "out", "--corruption", "crosstalk", "--level", "heavy")
    scans = [tmp_path / "out/sequences" / f"{n}.bin" for n in ("00/velodyne/000000", "08/velodyne/000005")]
    assert scans[0].read_bytes() != scans[1].read_bytes()
    assert not (tmp_path / "out/sequences/08/labels").exists()


def test_a_picture_shows_the_first_scan_before_and_after(kitti, tmp_path):
    from PIL import Image

    corrupt_command(kitti, tmp_path / "out", "--corruption", "wet_ground", "--level", "heavy", "--picture")
    with Image.open(tmp_path / "out" / "wet_ground_heavy_00_000000.png") as image:
        picture = np.asarray(image)
    half = picture.shape[1] // 2
    assert picture.shape[1] > 1500
    assert len(np.unique(picture[:, :half].reshape(-1, 3), axis=0)) > 50
    assert not np.array_equal(picture[100:, : half - 2], picture[100:, half + 2 :])


def test_things_from_labels_loses_labelled_cars_only(kitti, tmp_path):
    out = tmp_path / "out"
    options = ("--corruption", "incomplete_echo", "--level", "heavy", "--things-from-labels")
    assert corrupt_command(kitti, out, *options) == 0
    frame = Frame("00", 0)
    before, after = (open_dataset(root).raw_point_labels(frame)[0] for root in (kitti, out))
    assert (after == 40).sum() == (before == 40).sum() > 0
    assert (after == 10).sum() < 0.8 * (before == 10).sum()


def test_kitti_360_keeps_its_layout_and_its_match_file(tmp_path, street):
    root, out = tmp_path / "k360", tmp_path / "out"
    folder = root / "data_3d_raw" / DRIVE / "velodyne_points" / "data"
    folder.mkdir(parents=True)
    street[::9].tofile(folder / "0000000012.bin")
    (root / "kitti_360_match.txt").write_text(f"{DRIVE} 0000000012.png 000000.png\n")
    assert corrupt_command(root, out, "--corruption", "cross_sensor", "--level", "heavy", "--sequences", "0009") == 0
    dataset = open_dataset(out)
    assert dataset.frames(with_truth=False) == [Frame(DRIVE, 0)]
    expected = CorruptedDataset(root, out, Recipe("cross_sensor", "heavy")).corrupted(Frame(DRIVE, 0))[1]
    assert np.array_equal(dataset.points(Frame(DRIVE, 0)), expected.points)
    assert 0 < len(expected) < len(street) / 9 / 3
    options = ("--corruption", "incomplete_echo", "--level", "heavy", "--things-from-labels")
    assert corrupt_command(root, tmp_path / "other", *options) == 2


def test_an_output_made_otherwise_or_in_the_dataset_is_refused(kitti, tmp_path, capsys):
    out = tmp_path / "out"
    corrupt_command(kitti, out, "--corruption", "fog", "--level", "light")
    for other in (("fog", "heavy"), ("snow", "light")):
        assert corrupt_command(kitti, out, "--corruption", other[0], "--level", other[1]) == 2
        assert "with the same corruption, level and seed, got another" in capsys.readouterr().err
    (out / "corruption.json").unlink()
    assert corrupt_command(kitti, out, "--corruption", "fog", "--level", "light") == 2
    assert "got scans without corruption.json" in capsys.readouterr().err
    for inside in (kitti, kitti / "foggy"):
        assert corrupt_command(kitti, inside, "--corruption", "fog", "--level", "light") == 2
        assert "outside of the dataset" in capsys.readouterr().err
    assert not (kitti / "foggy").exists()


@pytest.mark.parametrize(("damage", "message"), [
    ("empty scan", "000000.bin"), ("bright", "000000.bin: Expected the intensities to be 0 to 1, got 7"),
    ("labels", "000000.label to have 20 bytes"),
])
def test_a_damaged_scan_is_named_and_leaves_no_half_written_frame(kitti, tmp_path, capsys, damage, message):
    scan = kitti / "sequences/00/velodyne/000000.bin"
    if damage == "empty scan":
        scan.write_bytes(b"")
    elif damage == "bright":
        np.full((5, 4), 7.0, "<f4").tofile(scan)
    else:
        np.ones((5, 4), "<f4").tofile(scan)
    out = tmp_path / "out"
    if damage != "labels":
        (kitti / "sequences/00/labels/000000.label").unlink()
    assert corrupt_command(kitti, out, "--corruption", "fog", "--level", "light") == 1
    assert message in capsys.readouterr().err
    assert not (out / "sequences/00/velodyne/000000.bin").exists()


@pytest.mark.parametrize(("options", "message"), [
    (("--corruption", "fog", "--level", "light", "--sequences", "77"), "Expected sequence '77'"),
    (("--corruption", "fog", "--level", "light", "--seed", "-1"), "Expected --seed to be 0 to 4294967295, got -1"),
    (("--corruption", "fog", "--level", "light", "--jobs", "0"), "Expected --jobs to be at least 1, got 0"),
    (("--corruption", "fog", "--level", "light", "--things-from-labels"), "only for incomplete_echo, got fog"),
    (("--corruption", "rain", "--level", "light"), "invalid choice: 'rain'"),
    (("--corruption", "fog"), "--level"),
])
def test_wrong_use_is_said_before_anything_is_written(kitti, tmp_path, capsys, options, message):
    assert corrupt_command(kitti, tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "sequences").exists()


def test_the_commands_choices_are_the_librarys(capsys):
    assert main(["data", "corrupt", "--help"]) == 0
    said = capsys.readouterr().out
    assert f"{{{','.join(CORRUPTIONS)}}}" in said.replace("\n", "") and f"{{{','.join(LEVELS)}}}" in said
