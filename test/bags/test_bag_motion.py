"""What a bag of a dataset tells about the vehicle's motion, and bags of some frames only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import TR, scan, write_kitti_360, write_semantic_kitti

from pasco_core.cli import main
from pasco_core.data.bags import open_bag
from pasco_core.data.bags.motion import Motion
from pasco_core.data.datasets import Frame, open_dataset

DRIVE_360 = "2013_05_28_drive_0009_sync"


def to_bag(root: Path, out: Path, *options: str) -> int:
    return main(["data", "to-bag", str(root), str(out), *options])


def messages(bag: Path, topic: str) -> list:
    with open_bag(bag) as reader:
        return [(time - 10**18, message) for _, time, message in reader.messages([topic])]


def circle(n: int, radius: float = 20.0, angle: float = 0.05) -> np.ndarray:
    """Poses (n, 4, 4) on a circle to the left, ``angle`` radians further each time, looking along it."""
    poses = np.tile(np.eye(4), (n, 1, 1))
    for i, pose in enumerate(poses):
        c, s = np.cos(i * angle), np.sin(i * angle)
        pose[:2, :2] = [[c, -s], [s, c]]
        pose[:2, 3] = radius * s, radius * (1 - c)
    return poses


def write_poses(path: Path, poses: np.ndarray) -> None:
    """LiDAR poses as lines of camera poses, by the rule of the benchmark."""
    tr = np.vstack([TR, [0, 0, 0, 1]])
    cameras = tr @ poses @ np.linalg.inv(tr)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(" ".join(f"{v:.15e}" for v in c[:3].ravel()) + "\n" for c in cameras))


@pytest.fixture
def on_a_circle(tmp_path) -> Path:
    root = write_semantic_kitti(tmp_path / "kitti", ("08",), n_scans=12)
    write_poses(root / "sequences" / "08" / "poses.txt", circle(12))
    return root


def test_odometry_has_the_poses_of_tf_and_the_velocities_between_them(on_a_circle, tmp_path):
    """0.05 rad per 0.1 s on a radius of 20 m: 0.5 rad/s to the left, 10 m/s ahead."""
    assert to_bag(on_a_circle, tmp_path / "bag") == 0
    moves = messages(tmp_path / "bag", "/tf")
    odometry = messages(tmp_path / "bag", "/odom")
    assert len(odometry) == len(moves) == 12
    for i, ((time, message), (when, move)) in enumerate(zip(odometry, moves, strict=True)):
        (stamped,), pose = move.transforms, message.pose.pose
        assert time == when == i * 10**8
        assert (message.header.frame_id, message.child_frame_id) == ("map", "velodyne")
        assert (stamped.header.frame_id, stamped.child_frame_id) == ("map", "velodyne")
        x, y = 20 * np.sin(0.05 * i), 20 * (1 - np.cos(0.05 * i))
        assert [pose.position.x, pose.position.y, pose.position.z] == pytest.approx([x, y, 0], abs=1e-9)
        assert repr(pose.orientation) == repr(stamped.transform.rotation)
        assert pose.orientation.z == pytest.approx(np.sin(0.025 * i), abs=1e-9)
        inside = 0 < i < 11  # at the ends the movement to the next pose alone is a chord, aside by half its turn
        linear, angular = message.twist.twist.linear, message.twist.twist.angular
        aside = 0.0 if inside else 0.25 if i == 0 else -0.25
        assert [linear.x, linear.y, linear.z] == pytest.approx([10, aside, 0], abs=0.01)
        assert [angular.x, angular.y, angular.z] == pytest.approx([0, 0, 0.5], abs=1e-9)


def test_no_time_between_poses_means_no_velocity():
    motion = Motion(np.array([5, 5], np.int64), circle(2))
    assert not np.any(motion.velocities())
    alone = Motion(np.array([5], np.int64), circle(1))
    assert not np.any(alone.velocities())


def test_every_third_frame_keeps_its_number_and_the_poses_between(on_a_circle, tmp_path):
    out = tmp_path / "bag"
    assert to_bag(on_a_circle, out, "--every", "3", "--limit", "2") == 0
    clouds = messages(out, "/velodyne_points")
    assert [time for time, _ in clouds] == [0, 3 * 10**8]
    # The pose after the last frame, too: what moves during its sweep is known.
    assert [time for time, _ in messages(out, "/odom")] == [i * 10**8 for i in range(5)]
    assert main(["data", "from-bag", str(out), str(tmp_path / "back")]) == 0
    back = open_dataset(tmp_path / "back")
    assert [f.index for f in back.frames(with_truth=False)] == [0, 3]
    np.testing.assert_array_equal(back.points(Frame("08", 3)), scan(3))
    np.testing.assert_allclose(back.pose(Frame("08", 3)), circle(4)[3], atol=1e-9)


def test_files_of_a_bag_together_tell_every_pose_once(on_a_circle, tmp_path, monkeypatch):
    from pasco_core.data.bags import to_bag as module

    monkeypatch.setattr(module, "FRAMES_PER_FILE", 2)
    assert to_bag(on_a_circle, tmp_path / "bag", "--every", "2") == 0
    assert len(list((tmp_path / "bag").glob("*.mcap"))) == 3
    assert [time for time, _ in messages(tmp_path / "bag", "/tf")] == [i * 10**8 for i in range(12)]


@pytest.mark.parametrize("option", ["--every", "--limit"])
def test_no_frames_at_all_are_refused_before_the_folder_is_made(on_a_circle, tmp_path, capsys, option):
    assert to_bag(on_a_circle, tmp_path / "bag", option, "0") == 2
    assert f"Expected {option} to be at least 1, got 0" in capsys.readouterr().err
    assert not (tmp_path / "bag").exists()


def test_the_odometry_benchmark_has_its_poses_beside_the_sequences(tmp_path, capsys):
    """Scans, calib.txt and times.txt of a sequence, no labels; poses/08.txt for all of it; image_3 as well."""
    root = write_semantic_kitti(tmp_path / "dataset", ("08",), n_scans=4)
    folder = root / "sequences" / "08"
    for name in ("labels", "voxels"):
        for path in (folder / name).iterdir():
            path.unlink()
        (folder / name).rmdir()
    (folder / "poses.txt").unlink()
    write_poses(root / "poses" / "08.txt", circle(4))
    assert to_bag(root, tmp_path / "bag", "--json") == 0
    counts = {t["name"]: t["messages"] for t in json.loads(capsys.readouterr().out)["topics"] if t["messages"]}
    infos = {f"/camera_{i}/camera_info": 4 for i in range(4)}
    assert counts == {"/velodyne_points": 4, "/tf": 4, "/tf_static": 1, "/odom": 4, **infos}
    (_, cloud), *_ = messages(tmp_path / "bag", "/velodyne_points")
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "intensity"]
    assert main(["data", "from-bag", str(tmp_path / "bag"), str(tmp_path / "back")]) == 0
    np.testing.assert_allclose(open_dataset(tmp_path / "back").poses("08"), circle(4), atol=1e-9)
    capsys.readouterr()
    assert main(["data", "check", str(root), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sequences"][0]["counts"]["poses"] == 4


def test_poses_that_end_before_the_last_scan_are_refused_by_their_file(tmp_path, capsys):
    root = write_semantic_kitti(tmp_path / "dataset", ("08",), n_scans=4)
    (root / "sequences" / "08" / "poses.txt").unlink()
    write_poses(root / "poses" / "08.txt", circle(3))
    assert to_bag(root, tmp_path / "bag") == 1
    path = root / "poses" / "08.txt"
    assert f"Expected {path} to have a line for scan 3, got 3 lines" in capsys.readouterr().err


# KITTI-360


def write_360_motion(root: Path) -> np.ndarray:
    """Calibration and poses as hand-made matrices; returns the LiDAR's poses at the raw scans 4 and 10."""
    (root / "calibration").mkdir()
    in_lidar = np.array([[0.0, 0, 1, 0.8], [-1, 0, 0, 0.3], [0, -1, 0, -0.2], [0, 0, 0, 1]])  # camera: z ahead, x right
    in_pose = np.array([[0.0, 0, 1, 1.6], [1, 0, 0, -0.3], [0, 1, 0, -0.1], [0, 0, 0, 1]])  # unit: x ahead, y right
    camera = np.array([[552.0, 0, 682, 0], [0, 552, 238, 0], [0, 0, 1, 0]])
    right = camera.copy()
    right[0, 3] = -328.3

    def text(values: np.ndarray) -> str:
        return " ".join(f"{v:.10e}" for v in np.asarray(values).ravel())

    (root / "calibration" / "calib_cam_to_velo.txt").write_text(text(in_lidar[:3]) + "\n")
    (root / "calibration" / "calib_cam_to_pose.txt").write_text(
        "".join(f"image_{i:02d}: {text(in_pose[:3])}\n" for i in range(4)))
    (root / "calibration" / "perspective.txt").write_text(
        f"calib_time: 24-May-2018\nR_rect_00: {text(np.eye(3))}\nP_rect_00: {text(camera)}\n"
        f"R_rect_01: {text(np.eye(3))}\nP_rect_01: {text(right)}\n")
    units = []
    for x in (1000.0, 1006.0):
        unit = np.diag([1.0, -1, -1, 1])  # x ahead, y right, z down
        unit[:3, 3] = x, 3000.0, 115.0
        units.append(unit)
    folder = root / "data_poses" / DRIVE_360
    folder.mkdir(parents=True)
    (folder / "poses.txt").write_text(
        "".join(f"{n} {text(u[:3])}\n" for n, u in zip((4, 10), units, strict=True)))
    return np.stack([u @ in_pose @ np.linalg.inv(in_lidar) for u in units])


def test_kitti_360_moves_as_its_poses_and_calibration_say(tmp_path):
    root = write_kitti_360(tmp_path / "k360", ("0009",))
    lidar = write_360_motion(root)
    np.testing.assert_allclose(lidar[0][:3, :3], np.eye(3), atol=1e-12)  # ahead, left, up, like the world
    np.testing.assert_allclose(open_dataset(root).poses(DRIVE_360)[1], lidar, atol=1e-9)
    assert to_bag(root, tmp_path / "bag") == 0
    odometry = messages(tmp_path / "bag", "/odom")
    assert [time for time, _ in odometry] == [4 * 10**8, 10 * 10**8]
    places = [(m.pose.pose.position.x, m.pose.pose.position.y, m.pose.pose.position.z) for _, m in odometry]
    np.testing.assert_allclose(places, [(0, 0, 0), (6, 0, 0)], atol=1e-9)
    assert odometry[0][1].twist.twist.linear.x == pytest.approx(10.0)  # 6 m in 6 scans of 0.1 s
    (_, static), = messages(tmp_path / "bag", "/tf_static")
    move = static.transforms[0].transform.translation
    assert (move.x, move.y, move.z) == pytest.approx((0.8, 0.3, -0.2))
    infos = [message.p for _, message in messages(tmp_path / "bag", "/camera_3/camera_info")]
    assert infos[0][3] == pytest.approx(-328.3) and infos[0][0] == 552


def test_kitti_360_has_the_times_of_its_raw_scans_where_these_are_there(tmp_path, capsys):
    """A scan every 0.2 s, with a line for every raw scan of the drive, whether it is on disk or not."""
    root = write_kitti_360(tmp_path / "k360", ("0009",))
    write_360_motion(root)
    path = root / "data_3d_raw" / DRIVE_360 / "velodyne_points" / "timestamps.txt"
    path.write_text("".join(f"2013-05-28 08:46:0{i // 5}.{2 * (i % 5)}00000007\n" for i in range(12)))
    assert to_bag(root, tmp_path / "bag") == 0
    start = 15853 * 86400 + 8 * 3600 + 46 * 60  # days from 1970 to 2013-05-28
    expected = [start * 10**9 + n * 2 * 10**8 + 7 for n in (4, 10)]
    for topic in ("/velodyne_points", "/odom", "/truth/voxels"):
        assert [time + 10**18 for time, _ in messages(tmp_path / "bag", topic)] == expected
    assert messages(tmp_path / "bag", "/odom")[0][1].twist.twist.linear.x == pytest.approx(5.0)
    assert main(["data", "from-bag", str(tmp_path / "bag"), str(tmp_path / "back")]) == 0
    back = open_dataset(tmp_path / "back")
    np.testing.assert_allclose(back.times("09"), np.arange(6) * 1.2 / 5, atol=1e-6)
    np.testing.assert_array_equal(back.points(Frame("09", 5)), scan(10))
    path.write_text("2013-05-28 08:46:02.9\n")
    assert to_bag(root, tmp_path / "again") == 1
    assert f"{path} to have a time in line 5, for file 0000000004, got 1 times for 2 files" in capsys.readouterr().err


@pytest.mark.parametrize(("gone", "says"), [
    ("calibration/calib_cam_to_pose.txt", "Expected the calibration for poses "),
    ("calibration/calib_cam_to_velo.txt", "Expected the calibration for cameras and poses "),
])
def test_a_calibration_of_kitti_360_that_is_not_whole_is_refused(tmp_path, capsys, gone, says):
    root = write_kitti_360(tmp_path / "k360", ("0009",))
    write_360_motion(root)
    (root / gone).unlink()
    assert to_bag(root, tmp_path / "bag") == 1
    assert f"{says}{root / gone} to be an existing file" in capsys.readouterr().err


@pytest.mark.parametrize(("gone", "note"), [
    ("calibration/perspective.txt", "no camera_info, /tf and /odom: they need "),
    (f"data_poses/{DRIVE_360}/poses.txt", "no poses on /tf and no /odom: they need "),
])
def test_kitti_360_without_poses_or_calibration_becomes_a_bag_that_says_so(tmp_path, capsys, gone, note):
    root = write_kitti_360(tmp_path / "k360", ("0009",))
    write_360_motion(root)
    (root / gone).unlink()
    assert to_bag(root, tmp_path / "bag") == 0
    assert f"note: {note}{root / gone}" in capsys.readouterr().out


@pytest.mark.parametrize(("line", "says"), [
    ("4 1 2 3", "line 2 of .*poses.txt to be 13 finite numbers"),
    ("4 " + "1 " * 12, "ascending, got 4 in line 2"),
    ("7.5 " + "1 " * 12, "ascending, got 7.5 in line 2"),
])
def test_a_line_of_poses_that_is_none_is_named(tmp_path, capsys, line, says):
    import re

    root = write_kitti_360(tmp_path / "k360", ("0009",))
    write_360_motion(root)
    path = root / "data_poses" / DRIVE_360 / "poses.txt"
    path.write_text(path.read_text().splitlines()[0] + "\n" + line + "\n")
    assert to_bag(root, tmp_path / "bag") == 1
    assert re.search(says, capsys.readouterr().err)
