"""Written sequences, read back by the official formats' definitions with nothing but NumPy; and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_in_world import BoxWorld

from pasco_core.cli.data import simulate
from pasco_core.data.datasets import open_dataset
from pasco_core.data.frame import Frame
from pasco_core.data.simulation import drive as drive_module
from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.sensing.beam_tables import HDL_64E
from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION
from pasco_core.data.simulation.sensing.lidar import LabelledScan
from pasco_core.data.simulation.truth.voxel_truth import complete_voxels, measured_voxels
from pasco_core.data.simulation.writers import Sequence, kitti_360, semantic_kitti, write_frame
from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID

SHAPE = (256, 256, 32)


@pytest.fixture(scope="module")
def drive() -> SimulatedDrive:
    return SimulatedDrive(0, HDL_64E, BoxWorld())


@pytest.fixture(scope="module")
def kitti(tmp_path_factory: pytest.TempPathFactory, drive: SimulatedDrive) -> Path:
    root = tmp_path_factory.mktemp("kitti")
    semantic_kitti.write_tables(root, "04", 6, drive)
    semantic_kitti.write_frame(root, "04", 5, drive, voxels=True, image=True)
    return root


@pytest.fixture(scope="module")
def kitti_360_root(tmp_path_factory: pytest.TempPathFactory, drive: SimulatedDrive) -> Path:
    root = tmp_path_factory.mktemp("kitti360")
    name = kitti_360.sequence_name("0009")
    kitti_360.write_match(root, {name: 6})
    kitti_360.write_frame(root, name, 5, drive, voxels=True, image=True)
    return root


def bits(path: Path) -> np.ndarray:
    return np.unpackbits(np.fromfile(path, np.uint8)).reshape(SHAPE).astype(bool)


def test_scans_and_point_labels_are_in_the_official_format(kitti: Path, drive: SimulatedDrive):
    folder, scan = kitti / "sequences" / "04", drive.scan(5)
    points = np.fromfile(folder / "velodyne" / "000005.bin", "<f4").reshape(-1, 4)
    assert np.array_equal(points, scan.points)
    labels = np.fromfile(folder / "labels" / "000005.label", "<u4")
    assert len(labels) == len(points)
    semantic, instance = labels & 0xFFFF, labels >> 16
    assert set(np.unique(semantic)) == {10, 252, 40, 50, 80}
    assert np.array_equal(semantic == 252, scan.moving)
    assert np.array_equal(instance, scan.instances)
    assert (instance[semantic == 10] > 0).all()


def test_voxel_files_are_in_the_official_format(kitti: Path, drive: SimulatedDrive):
    folder, truth = kitti / "sequences" / "04" / "voxels", drive.truth(5)
    label = np.fromfile(folder / "000005.label", "<u2").reshape(SHAPE)
    invalid, occluded, scanned = (bits(folder / f"000005.{e}") for e in ("invalid", "occluded", "bin"))
    assert np.array_equal(invalid, truth.semantics == 255)
    for raw, category in ((0, 0), (10, 1), (40, 9), (50, 13), (80, 18)):
        assert np.array_equal((label == raw) & ~invalid, truth.semantics == category)
    assert occluded.sum() > invalid.sum()
    points = drive.scan(5).points[:, :3].astype(np.float64)
    index = np.floor((points - (0.0, -25.6, -2.0)) / 0.2).astype(int)
    inside = ((index >= 0) & (index < SHAPE)).all(axis=1)
    expected = np.zeros(SHAPE, bool)
    expected[tuple(index[inside].T)] = True
    assert (expected != scanned).sum() <= 5  # points on a border of voxels
    assert (scanned & (label == 0)).sum() < 0.02 * scanned.sum()  # range noise


def test_calibration_poses_and_times_are_in_the_official_format(kitti: Path, drive: SimulatedDrive):
    folder = kitti / "sequences" / "04"
    lines = dict(line.split(":") for line in (folder / "calib.txt").read_text().splitlines())
    matrices = {name: np.array(text.split(), float).reshape(3, 4) for name, text in lines.items()}
    assert set(matrices) == {"P0", "P1", "P2", "P3", "Tr"}
    np.testing.assert_allclose(matrices["P2"], KITTI_CALIBRATION.p2)
    tr = np.vstack([matrices["Tr"], [0, 0, 0, 1]])
    poses = np.loadtxt(folder / "poses.txt").reshape(-1, 3, 4)
    assert len(poses) == 6
    np.testing.assert_allclose(poses[0], np.eye(4)[:3], atol=1e-9)
    lidar = np.linalg.inv(tr) @ np.vstack([poses[5], [0, 0, 0, 1]]) @ tr
    np.testing.assert_allclose(lidar, np.linalg.inv(drive.pose(0)) @ drive.pose(5), atol=1e-9)
    np.testing.assert_allclose(np.loadtxt(folder / "times.txt"), np.arange(6) * 0.1)


def test_images_and_instances_are_beside_them(kitti: Path, drive: SimulatedDrive):
    with Image.open(kitti / "sequences" / "04" / "image_2" / "000005.png") as image:
        assert np.array_equal(np.asarray(image), drive.image(5).rgb)
    with np.load(kitti / "instances" / "04" / "000005.npz", allow_pickle=False) as archive:
        truth = drive.truth(5)
        assert np.array_equal(archive["semantics"], truth.semantics)
        assert np.array_equal(archive["instances"], truth.instances)


def test_the_project_s_reader_of_semantic_kitti_accepts_them(kitti: Path, drive: SimulatedDrive):
    dataset, frame = open_dataset(kitti), Frame("04", 5)
    assert dataset.frames() == [frame]
    assert np.array_equal(dataset.points(frame), drive.scan(5).points)
    truth = dataset.truth(frame)
    assert np.array_equal(truth.semantics, drive.truth(5).semantics)
    assert np.array_equal(dataset.voxel_classes(frame), truth.semantics)


def test_kitti_360_has_its_own_classes_numbers_and_folders(kitti_360_root: Path, drive: SimulatedDrive):
    name = "2013_05_28_drive_0009_sync"
    matches = (kitti_360_root / "kitti_360_match.txt").read_text().splitlines()
    assert matches[5] == f"{name} 0000000005.png 000005.png"
    scan = kitti_360_root / "data_3d_raw" / name / "velodyne_points" / "data" / "0000000005.bin"
    assert np.array_equal(np.fromfile(scan, "<f4").reshape(-1, 4), drive.scan(5).points)
    labels = np.load(kitti_360_root / "labels" / name / "000005_1_1.npy", allow_pickle=False)
    truth = drive.truth(5).semantics
    for ours, theirs in ((0, 0), (1, 1), (9, 7), (13, 11), (18, 15), (255, 255)):
        assert np.array_equal(labels == theirs, truth == ours)
    with Image.open(kitti_360_root / "data_2d_raw" / name / "image_00" / "data_rect" / "0000000005.png") as image:
        assert image.size == (1408, 376)


def test_the_project_s_reader_of_kitti_360_accepts_them(kitti_360_root: Path, drive: SimulatedDrive):
    dataset = open_dataset(kitti_360_root)
    (frame,) = dataset.frames()
    assert len(dataset.points(frame)) == len(drive.scan(5))
    truth = dataset.truth(frame)
    assert np.array_equal(truth.semantics == 255, drive.truth(5).semantics == 255)
    assert np.array_equal(truth.instances, drive.truth(5).instances)


def test_riders_and_trunks_become_what_kitti_360_calls_them():
    names = ("empty", "person", "bicyclist", "motorcyclist", "trunk", "vegetation", "traffic-sign")
    ours = [semantic_kitti.SEMANTIC_KITTI.class_names.index(n) for n in names]
    theirs = [kitti_360.KITTI_360.class_names[i] for i in kitti_360.CLASS_OF[ours]]
    assert theirs == ["empty", "person", "person", "person", "vegetation", "vegetation", "traffic-sign"]


@pytest.mark.parametrize(
    ("module", "text"), [(semantic_kitti, "8"), (semantic_kitti, "../x"), (kitti_360, "drive"), (kitti_360, "00009")]
)
def test_names_that_are_no_sequence_are_refused(module, text: str):
    with pytest.raises(ConfigError, match=r"Expected a .* sequence to be"):
        module.sequence_name(text)


@pytest.fixture
def small_town(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drive_module, "TownWorld", lambda seed: BoxWorld())
    monkeypatch.setattr(drive_module, "_DRIVES", drive_module.Recent(2))


def command(*words: str) -> int:
    from argparse import ArgumentParser

    parser = ArgumentParser()
    simulate.add_arguments(parser)
    return simulate.run(parser.parse_args(list(words)))


def test_the_command_writes_what_is_missing_and_nothing_else(small_town, tmp_path: Path, capsys: pytest.CaptureFixture):
    words = ("--frames", "4", "--voxels-every", "0", "--sensor", "vlp-16", "--json", str(tmp_path))
    assert command(*words) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == {"written": 4, "there_already": 0}
    scans = sorted((tmp_path / "sequences" / "00" / "velodyne").iterdir())
    first = {path.name: path.read_bytes() for path in scans}
    scans[2].unlink()
    assert command(*words) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == {"written": 1, "there_already": 3}
    assert {path.name: path.read_bytes() for path in scans} == first


def test_shards_together_write_every_frame_once(small_town, tmp_path: Path, capsys: pytest.CaptureFixture):
    words = ("--frames", "101", "--voxels-every", "0", "--sensor", "vlp-16", "--json", str(tmp_path))
    written = []
    for shard in ("1/2", "2/2"):
        assert command(*words, "--shard", shard) == 0
        written.append(json.loads(capsys.readouterr().out)["frames"]["written"])
    assert written == [51, 50]
    assert len(list((tmp_path / "sequences" / "00" / "velodyne").iterdir())) == 101


def test_another_seed_or_sensor_into_the_same_folder_is_refused(small_town, tmp_path: Path):
    words = ("--frames", "1", "--voxels-every", "0", "--sensor", "vlp-16", str(tmp_path))
    command(*words)
    with pytest.raises(ConfigError, match=r"to be continued with seed 0, as simulation\.json there says, got 1"):
        command(*words, "--seed", "1")
    with pytest.raises(ConfigError, match="to be continued with sensor 'vlp-16'"):
        command(*words[:4], str(tmp_path))
    (tmp_path / "simulation.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"Expected .*simulation.json to be what an earlier run wrote"):
        command(*words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--frames", "0"), "Expected --frames to be 1 to 1,000,000, .*, got 0"),
        (("--frames", "1000001"), "Expected --frames to be 1 to 1,000,000, because files .* six digits, got 1000001"),
        (("--frames", "1", "--voxels-every", "-1"), r"Expected --voxels-every to be 0 \(none\) or more, got -1"),
        (("--frames", "1", "--scans-every", "0"), "Expected --scans-every to be 1 or more, got 0"),
        (("--frames", "1", "--sequences", "00,00"), "name each one once"),
        (("--frames", "1", "--sequences", "0"), "two digits, such as 00, got '0'"),
        (("--frames", "1", "--seed", "-1"), "Expected --seed to be 0 to"),
        (("--frames", "1", "--jobs", "0", "--voxels-every", "0"), "Expected --jobs to be at least 1, got 0"),
        (("--frames", "1", "--shard", "1/2", "--jobs", "-3"), "Expected --jobs to be at least 1, got -3"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(small_town, tmp_path: Path, words: tuple[str, ...], message: str):
    with pytest.raises(ConfigError, match=message):
        command(str(tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()  # nothing is claimed


@pytest.mark.parametrize("name", ["sequences", "dataset", "data_3d_raw", "labels"])
def test_a_folder_with_a_dataset_of_others_is_refused_and_left_alone(small_town, tmp_path: Path, name: str):
    calibration = tmp_path / name / "00" / "calib.txt"
    calibration.parent.mkdir(parents=True)
    calibration.write_text("real")
    for layout in ("semantickitti", "kitti360"):
        sequence = "00" if layout == "semantickitti" else "0006"
        words = ("--frames", "1", "--voxels-every", "0", "--layout", layout, "--sequences", sequence)
        with pytest.raises(ConfigError, match=rf"to hold no dataset, .*, got {tmp_path / name} without simulation"):
            command(str(tmp_path), *words)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [calibration]
    assert calibration.read_text() == "real"


@pytest.mark.parametrize("inside", ["", "town"])
def test_an_output_that_is_a_file_is_wrong_use(small_town, tmp_path: Path, inside: str):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ConfigError, match=rf"Expected OUT to be a folder, .*, got {tmp_path / 'file'}, a file"):
        command("--frames", "1", str(tmp_path / "file" / inside))
    assert (tmp_path / "file").read_text() == "kept"


def test_no_name_at_all_is_refused_by_the_parser(small_town, tmp_path: Path, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        command("--frames", "1", str(tmp_path), "--sequences", ",")
    assert stopped.value.code == 2
    assert "--sequences: expected at least one name, got ','" in capsys.readouterr().err


def test_progress_counts_single_frames(small_town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    steps = []

    def progress(items, total, title):
        for item in items:
            steps.append((len(list(tmp_path.rglob("velodyne/*.bin"))), total))
            yield item

    monkeypatch.setattr(simulate, "with_progress", progress)
    command("--frames", "4", "--voxels-every", "0", "--sensor", "vlp-16", str(tmp_path))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_poses_and_times_that_are_there_are_not_computed_again(tmp_path: Path):
    asked = []

    class Drive(SimulatedDrive):
        def pose(self, frame: int) -> np.ndarray:
            asked.append(frame)
            return super().pose(frame)

    drive, names = Drive(0, HDL_64E, BoxWorld()), ("calib.txt", "poses.txt", "times.txt")
    semantic_kitti.write_tables(tmp_path / "steps", "00", 3, drive)
    asked.clear()
    semantic_kitti.write_tables(tmp_path / "steps", "00", 3, drive)
    assert asked == []
    semantic_kitti.write_tables(tmp_path / "steps", "00", 6, drive)
    assert asked == [0, 3, 4, 5]  # the first is where poses are counted from
    semantic_kitti.write_tables(tmp_path / "once", "00", 6, drive)
    steps, once = (tmp_path / folder / "sequences" / "00" for folder in ("steps", "once"))
    assert [(steps / name).read_bytes() for name in names] == [(once / name).read_bytes() for name in names]


def test_what_was_measured_is_known_and_what_is_unknown_is_occluded(kitti: Path, kitti_360_root: Path):
    folder = kitti / "sequences" / "04" / "voxels"
    scanned, invalid, occluded = (bits(folder / f"000005.{ending}") for ending in ("bin", "invalid", "occluded"))
    assert scanned.any() and invalid.any()
    assert not (scanned & invalid).any()
    assert not (invalid & ~occluded).any()
    with np.load(kitti / "instances" / "04" / "000005.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["semantics"] == 255, invalid)
    labels = np.load(next((kitti_360_root / "labels").rglob("*.npy")), allow_pickle=False)
    with np.load(next((kitti_360_root / "instances").rglob("*.npz")), allow_pickle=False) as archive:
        assert np.array_equal(archive["semantics"], labels)
    assert np.array_equal(labels == 255, invalid)


def test_the_voxels_of_a_scan_are_looked_up_once_per_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They decide what is known, and are written as .bin."""
    asked = []

    def measured(points: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return measured_voxels(points)

    monkeypatch.setattr(drive_module, "measured_voxels", measured)
    drive = SimulatedDrive(0, HDL_64E, BoxWorld())
    for frame in (5, 6):
        semantic_kitti.write_frame(tmp_path, "00", frame, drive, voxels=True, image=False)
    assert asked == [len(drive.scan(frame)) for frame in (5, 6)]
    for frame in (5, 6):
        expected = measured_voxels(drive.scan(frame).points)
        assert np.array_equal(bits(tmp_path / "sequences" / "00" / "voxels" / f"{frame:06d}.bin"), expected)


def test_points_in_voxels_that_no_place_sees_make_them_known(tmp_path: Path):
    """Noise of a metre throws many points behind surfaces."""
    noisy = replace(HDL_64E, range_noise=1.0)
    drive = SimulatedDrive(0, noisy, BoxWorld())
    semantic_kitti.write_frame(tmp_path, "00", 5, drive, voxels=True, image=False)
    folder = tmp_path / "sequences" / "00" / "voxels"
    scanned, invalid, occluded = (bits(folder / f"000005.{ending}") for ending in ("bin", "invalid", "occluded"))
    without = SimulatedDrive(0, noisy, BoxWorld())
    pose = without.pose(5)
    unseen = complete_voxels(
        without._bounded(pose[:2, 3]), without._traffic(pose, 0.5), pose, without._seen(5)
    ).unknown
    assert (scanned & unseen).sum() > 50  # else this would show nothing
    assert np.array_equal(invalid, unseen & ~scanned)
    assert not (invalid & ~occluded).any()


def test_sequences_differ_and_keep_their_town_whichever_others_are_asked_for(tmp_path: Path):
    def seeds(*names: str) -> dict[str, int]:
        from argparse import ArgumentParser

        parser = ArgumentParser()
        simulate.add_arguments(parser)
        args = parser.parse_args([str(tmp_path), "--frames", "1", "--seed", "3", "--sequences", ",".join(names)])
        return {s.name: s.seed for s in simulate._sequences(args)}

    assert seeds("00", "08")["08"] == seeds("08")["08"] != seeds("00")["00"]


def test_a_frame_of_a_sequence_is_written_by_itself(small_town, tmp_path: Path):
    sequence = Sequence(tmp_path, "semantickitti", "02", 0, "vlp-16", 10, voxels_every=0)
    assert not sequence.is_written(3)
    write_frame((sequence, 3))
    assert sequence.is_written(3)
    assert not sequence.is_written(5)


def test_points_of_the_written_scan_lie_in_the_grid_as_the_voxels_say(kitti: Path):
    points = np.fromfile(kitti / "sequences" / "04" / "velodyne" / "000005.bin", "<f4").reshape(-1, 4)
    assert 0.1 < KITTI_GRID.contains(points[:, :3]).mean() < 0.9


def test_point_labels_keep_their_highest_bit_free_for_programs_that_multiply_them():
    numbers = np.array([0, 1, 2**15 - 1, 2**15, 1_700_000_000], np.int32)
    points, cars = np.zeros((5, 4), np.float32), np.full(5, 1, np.uint8)
    scan = LabelledScan(points, cars, numbers, np.zeros(5, bool), np.zeros(5, np.float32), np.zeros(5, np.uint16))
    labels = semantic_kitti.point_labels(scan)
    assert labels.dtype == np.dtype("<u4") and (labels < 2**31).all()
    instances = labels >> 16
    assert instances[0] == 0 and (instances[1:] > 0).all() and instances[1] == 1
