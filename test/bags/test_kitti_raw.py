"""KITTI's raw recordings become bags: the same clouds and pixels, poses as calculated by hand, real times."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import scan
from PIL import Image
from raw_drive import DATE, DRIVE, IMU_TO_VELO, P_RECT, R_RECT, VELO_TO_CAM, oxts, pixels_of, times, write_drive
from scipy.spatial.transform import Rotation

from pasco_core.cli import main
from pasco_core.data.bags import open_bag
from pasco_core.data.datasets import Frame, open_dataset

EAST = [(float(i), 0.0, 0.0) for i in range(4)]
"""One metre to the east per frame, looking east."""

START_NS = 1_317_042_145 * 10**9 + 123
"""2011-09-26 13:02:25.000000123 as seconds since 1970: 15243 days of 86400 s, and 46945 s."""


def to_bag(root: Path, out: Path, *options: str) -> int:
    return main(["data", "to-bag", str(root), str(out), *options])


def matrices(bag: Path, topic: str = "/tf") -> tuple[list[int], np.ndarray]:
    """Stamps and (N, 4, 4) of all transforms on a topic."""
    stamps, found = [], []
    with open_bag(bag) as reader:
        for _, time, message in reader.messages([topic]):
            (stamped,) = message.transforms
            move, turn = stamped.transform.translation, stamped.transform.rotation
            matrix = np.eye(4)
            matrix[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
            matrix[:3, 3] = move.x, move.y, move.z
            assert time == stamped.header.stamp.sec * 10**9 + stamped.header.stamp.nanosec
            stamps.append(time)
            found.append(matrix)
    return stamps, np.stack(found)


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Path:
    return write_drive(tmp_path_factory.mktemp("raw"), EAST)


@pytest.fixture(scope="module")
def bag(drive, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bags") / "bag"
    assert to_bag(drive, out) == 0
    return out


def test_a_drive_comes_back_from_its_bag_with_the_same_clouds_and_left_images(drive, bag, tmp_path):
    assert main(["data", "from-bag", str(bag), str(tmp_path)]) == 0
    back = open_dataset(tmp_path)
    for i in range(4):
        original = drive / "velodyne_points" / "data" / f"{i:010d}.bin"
        assert back.scan_path(Frame("01", i)).read_bytes() == original.read_bytes()
        np.testing.assert_array_equal(back.image(Frame("01", i)), pixels_of(i, 2))
    np.testing.assert_allclose(back.times("01"), [0, 0.1, 0.2, 0.3], atol=1e-6)
    calibration = back.calibration("01")
    np.testing.assert_allclose(calibration.tr[:3], R_RECT @ VELO_TO_CAM, atol=1e-9)
    for found, expected in zip((calibration.p0, calibration.p1, calibration.p2, calibration.p3), P_RECT, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    # The first scan is 4 ms before the first pose, the others between two poses.
    x = back.poses("01")[:, 0, 3]
    np.testing.assert_allclose(x, [0, 0.96, 1.96, 2.96], atol=1e-5)


def test_stamps_are_the_times_of_each_sensors_own_files(bag):
    with open_bag(bag) as reader:
        stamps = {name: [time for _, time, _ in reader.messages([name])] for name in reader.topics}
    expected = [START_NS + i * 10**8 for i in range(4)]
    assert stamps["/velodyne_points"] == expected
    assert stamps["/camera_2/image_rect"] == stamps["/camera_3/camera_info"] == [t + 2 * 10**6 for t in expected]
    assert stamps["/tf"] == stamps["/odom"] == [t + 4 * 10**6 for t in expected]


def test_driving_to_the_east_and_to_the_north_both_mean_forward(tmp_path):
    for name, way in (("east", EAST), ("north", [(0.0, float(i), np.pi / 2) for i in range(4)])):
        drive = write_drive(tmp_path / name, way, images=False)
        assert to_bag(drive, tmp_path / f"bag_{name}") == 0
        _, poses = matrices(tmp_path / f"bag_{name}")
        expected = np.tile(np.eye(4), (4, 1, 1))
        expected[:, 0, 3] = range(4)
        np.testing.assert_allclose(poses, expected, atol=1e-5)  # Mercator's scale grows by 1e-7 per metre


def test_a_turn_on_the_spot_swings_the_lidar_around_the_inertial_unit(tmp_path):
    """The LiDAR is 0.8 m before the unit, 0.3 m right of it: a left turn by 90 degrees takes it to (0.3, 0.8)."""
    drive = write_drive(tmp_path, [(0.0, 0.0, 0.0), (0.0, 0.0, np.pi / 2)], images=False)
    assert to_bag(drive, tmp_path / "bag") == 0
    _, poses = matrices(tmp_path / "bag")
    np.testing.assert_allclose(poses[1][:3, 3], [0.3 - 0.8, 0.8 + 0.3, 0.0], atol=1e-9)
    np.testing.assert_allclose(poses[1][:3, :3], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-9)


def test_roll_pitch_and_height_are_those_of_the_oxts_convention(tmp_path):
    """Roll: left side up; pitch: front down; turned about x, then y, then z of the world."""
    drive = write_drive(tmp_path, EAST[:2], images=False)
    (drive / "oxts" / "data" / "0000000001.txt").write_text(
        oxts(0.0, 0.0, 0.3, height=117.0).replace(" 0.0 0.0 0.3 ", " 0.1 0.2 0.3 ", 1)
    )
    assert to_bag(drive, tmp_path / "bag") == 0
    _, poses = matrices(tmp_path / "bag")
    (cr, sr), (cp, sp), (cy, sy) = ((np.cos(a), np.sin(a)) for a in (0.1, 0.2, 0.3))
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    unit = np.eye(4)
    unit[:3, :3], unit[:3, 3] = yaw @ pitch @ roll, [0, 0, 2]
    mounted = np.vstack([IMU_TO_VELO, [0, 0, 0, 1]])
    np.testing.assert_allclose(poses[1], mounted @ unit @ np.linalg.inv(mounted), atol=1e-9)


def test_a_point_lands_on_the_pixel_that_the_calibration_files_say(bag):
    point = np.array([12.0, 3.0, -1.0, 1.0])
    _, (mount,) = matrices(bag, "/tf_static")
    with open_bag(bag) as reader:
        infos = {name: message for name, _, message in reader.messages(["/camera_2/camera_info"])}
    info = infos["/camera_2/camera_info"]
    found = info.p.reshape(3, 4) @ np.linalg.inv(mount) @ point
    rectified = np.append(R_RECT @ (VELO_TO_CAM @ point), 1.0)
    expected = P_RECT[2] @ rectified
    np.testing.assert_allclose(found[:2] / found[2], expected[:2] / expected[2], rtol=1e-6)
    assert (info.width, info.height) == (10, 6)
    assert not info.d.any() and (info.r == np.eye(3).reshape(-1)).all()  # images of a synced drive are rectified


@pytest.mark.parametrize(("file", "needed_for"), [
    (f"{DRIVE}/velodyne_points/timestamps.txt", "the times of velodyne_points"),
    (f"{DRIVE}/oxts/timestamps.txt", "the times of oxts"),
    (f"{DRIVE}/image_03/timestamps.txt", "the times of image_03"),
    ("calib_imu_to_velo.txt", "the calibration for poses from oxts"),
    ("calib_velo_to_cam.txt", "the calibration for the images' cameras"),
    ("calib_cam_to_cam.txt", "the calibration for the images' cameras"),
])
def test_a_missing_file_is_named_with_what_needs_it(tmp_path, capsys, file, needed_for):
    write_drive(tmp_path, EAST[:1])
    path = tmp_path / DATE / file
    path.unlink()
    assert to_bag(tmp_path, tmp_path / "bag") == 1
    assert f"Expected {needed_for} {path} to be an existing file, got nothing there" in capsys.readouterr().err


@pytest.mark.parametrize(("file", "text", "message"), [
    ("calib_cam_to_cam.txt", "R_rect_00: 1 0 0\n", "R_rect_00 in .*calib_cam_to_cam.txt to be 9 finite numbers"),
    ("calib_cam_to_cam.txt", "S_00: 1 0\n", "calib_cam_to_cam.txt to have a line 'R_rect_00:' with 9 numbers"),
    ("calib_imu_to_velo.txt", "R: 1 0 0 0 1 0 0 0 1\n", "calib_imu_to_velo.txt to have a line 'T:' with 3 numbers"),
    (f"{DRIVE}/oxts/data/0000000000.txt", "49 8 110\n", "0000000000.txt to be 30 finite numbers, got '49 8 110'"),
    (f"{DRIVE}/oxts/data/0000000000.txt", "91 " + "0 " * 29, "latitude in .* within 89 degrees .*, got 91"),
    (f"{DRIVE}/oxts/timestamps.txt", "yesterday\n", "oxts/timestamps.txt to hold times such as 2011.*got 'yesterday'"),
    (f"{DRIVE}/oxts/timestamps.txt", "2011-02-30 10:00:00.5\n", "to hold times such as .*got '2011-02-30 10:00:00.5'"),
    (f"{DRIVE}/velodyne_points/timestamps.txt", "\n", "a time in line 1, for file 0000000000, got 0 times for 1"),
])
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, capsys, file, text, message):
    write_drive(tmp_path, EAST[:1])
    (tmp_path / DATE / file).write_text(text)
    assert to_bag(tmp_path, tmp_path / "bag") == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_drive_of_scans_alone_becomes_a_bag_that_says_what_it_lacks(tmp_path, capsys):
    drive = write_drive(tmp_path, EAST, images=False)
    for path in (drive / "oxts" / "data").iterdir():
        path.unlink()
    assert to_bag(drive, tmp_path / "bag", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert {t["name"] for t in values["topics"] if t["messages"]} == {"/velodyne_points"}
    assert values["notes"] == ["no images and camera_info: the drive has no image_00 to image_03",
                               "no poses on /tf and no /odom: the drive has no oxts/data"]


@pytest.mark.parametrize("n_times", [3, 5])
def test_scans_that_the_published_drive_lacks_leave_the_others_their_times_and_numbers(tmp_path, n_times):
    """Scans 1 and 3 of 5 are missing; the file of times may have a line for them or not."""
    drive = write_drive(tmp_path, [(float(i), 0.0, 0.0) for i in range(5)], images=False)
    for number in (1, 3):
        (drive / "velodyne_points" / "data" / f"{number:010d}.bin").unlink()
    seconds = [0.0, 0.2, 0.4] if n_times == 3 else [0.0, 0.1, 0.2, 0.3, 0.4]
    (drive / "velodyne_points" / "timestamps.txt").write_text(times(seconds))
    assert to_bag(drive, tmp_path / "bag") == 0
    with open_bag(tmp_path / "bag") as reader:
        stamps = [time for _, time, _ in reader.messages(["/velodyne_points"])]
        assert reader.custom_data["pasco_frames"] == "0,2,4"
    assert stamps == [START_NS + i * 10**8 for i in (0, 2, 4)]
    assert main(["data", "from-bag", str(tmp_path / "bag"), str(tmp_path / "back")]) == 0
    back = open_dataset(tmp_path / "back")
    np.testing.assert_array_equal(back.points(Frame("01", 4)), scan(4))


def test_drive_date_and_their_folder_are_all_taken(drive, tmp_path):
    for i, root in enumerate((drive, drive.parent, drive.parent.parent)):
        assert to_bag(root, tmp_path / f"bag{i}", "--sequence", "0001", "--limit", "1") == 0
    contents = []
    for i in range(3):
        with open_bag(tmp_path / f"bag{i}") as reader:
            contents.append(list(reader.raw_messages()))
    assert contents[0] == contents[1] == contents[2]


def test_what_is_no_synced_drive_is_refused(tmp_path, capsys):
    drive = write_drive(tmp_path, EAST[:1])
    assert to_bag(drive, tmp_path / "bag", "--truth-root", str(tmp_path)) == 2
    assert "to come without a folder of labels" in capsys.readouterr().err
    assert to_bag(tmp_path, tmp_path / "bag", "--sequence", "0002") == 2
    assert f"Expected sequence '0002' to be in {tmp_path}, got {DRIVE}" in capsys.readouterr().err
    drive.rename(drive.with_name(DRIVE.replace("sync", "extract")))
    assert to_bag(tmp_path, tmp_path / "bag") == 1
    assert "got only 2011_09_26_drive_0001_extract" in capsys.readouterr().err
    assert not (tmp_path / "bag").exists()


def test_two_drives_of_one_number_are_told_apart_by_their_whole_names(tmp_path, capsys):
    drive = write_drive(tmp_path, EAST[:1])
    other = tmp_path / "2011_09_28" / "2011_09_28_drive_0001_sync"
    other.parent.mkdir()
    shutil.copytree(drive, other)
    assert to_bag(tmp_path, tmp_path / "bag", "--sequence", "0001") == 2
    assert f"Expected --sequence to name one of {DRIVE}, {other.name}, got '0001'" in capsys.readouterr().err
    assert to_bag(tmp_path, tmp_path / "bag", "--sequence", DRIVE) == 0


def test_commands_that_read_datasets_say_how_a_drive_becomes_one(drive, capsys):
    assert main(["data", "check", str(drive)]) == 1
    assert "KITTI's raw recordings become a dataset by `pasco data to-bag`" in capsys.readouterr().err


def test_images_may_be_fewer_than_scans(drive, tmp_path):
    copy = tmp_path / DATE
    shutil.copytree(drive.parent, copy)
    (copy / DRIVE / "image_02" / "data" / "0000000002.png").unlink()
    assert to_bag(copy, tmp_path / "bag") == 0
    with open_bag(tmp_path / "bag") as reader:
        pictures = [message for _, _, message in reader.messages(["/camera_2/image_rect"])]
        assert reader.topics["/camera_3/image_rect"].count == 4
    assert [p.data.reshape(6, 10, 3).tolist() for p in pictures] == [pixels_of(i, 2).tolist() for i in (0, 1, 3)]
    assert Image.open(drive / "image_02" / "data" / "0000000002.png").size == (10, 6)
