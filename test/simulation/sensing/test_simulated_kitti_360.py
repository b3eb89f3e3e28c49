"""Calibration and poses of a simulated KITTI-360: as the official descriptions of the files say, and as readers see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stand_in_world import BoxWorld

from pasco_core.cli import main
from pasco_core.data.datasets import open_dataset
from pasco_core.data.datasets.check import check_dataset
from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.sensing.beam_tables import sensor_named
from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION
from pasco_core.data.simulation.writers import kitti_360

NAME = "2013_05_28_drive_0009_sync"


@pytest.fixture(scope="module")
def drive() -> SimulatedDrive:
    return SimulatedDrive(0, sensor_named("vlp-16"), BoxWorld())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, drive: SimulatedDrive) -> Path:
    root = tmp_path_factory.mktemp("kitti360")
    kitti_360.write_match(root, {NAME: 4})
    kitti_360.write_tables(root, NAME, 4, drive)
    for frame in range(4):
        kitti_360.write_frame(root, NAME, frame, drive, voxels=False, image=False)
    return root


def matrix(text: str) -> np.ndarray:
    """Numbers as a transform (4, 4)."""
    return np.vstack([np.array(text.split(), float).reshape(-1, 4)[:3], [0, 0, 0, 1]])


def table(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines())


def test_the_inertial_units_poses_lead_to_the_lidar_through_the_calibration(root: Path, drive: SimulatedDrive):
    """poses.txt: unit → world; calib_cam_to_pose: camera → unit; calib_cam_to_velo: camera → LiDAR."""
    to_lidar = matrix((root / "calibration" / "calib_cam_to_velo.txt").read_text())
    to_unit = matrix(table(root / "calibration" / "calib_cam_to_pose.txt")["image_00"])
    rows = np.loadtxt(root / "data_poses" / NAME / "poses.txt")
    assert rows.shape == (4, 13) and rows[:, 0].tolist() == [0, 1, 2, 3]
    for frame, row in enumerate(rows):
        unit = np.vstack([row[1:].reshape(3, 4), [0, 0, 0, 1]])
        np.testing.assert_allclose(unit @ to_unit @ np.linalg.inv(to_lidar), drive.pose(frame), atol=1e-8)
        assert unit[2, 2] < -0.9  # z of the unit looks down


def test_the_left_cameras_poses_are_those_of_the_unit_and_the_calibration(root: Path):
    to_unit = matrix(table(root / "calibration" / "calib_cam_to_pose.txt")["image_00"])
    units = np.loadtxt(root / "data_poses" / NAME / "poses.txt")[:, 1:].reshape(4, 3, 4)
    rows = np.loadtxt(root / "data_poses" / NAME / "cam0_to_world.txt")
    assert rows.shape == (4, 17)
    for unit, row in zip(units, rows, strict=True):
        np.testing.assert_allclose(row[1:].reshape(4, 4)[:3], unit @ to_unit, atol=1e-8)


def test_points_land_on_the_pixels_of_the_simulated_images(root: Path):
    """image_00 is drawn as KITTI's image_2 is, image_01 stands where KITTI's image_3 stands."""
    to_lidar = matrix((root / "calibration" / "calib_cam_to_velo.txt").read_text())
    lines = table(root / "calibration" / "perspective.txt")
    point = np.array([14.0, -3.0, 0.5, 1.0])
    for name, expected in (("P_rect_00", KITTI_CALIBRATION.p2), ("P_rect_01", KITTI_CALIBRATION.p3)):
        assert expected is not None
        found = np.array(lines[name].split(), float).reshape(3, 4) @ np.linalg.inv(to_lidar) @ point
        wanted = expected @ KITTI_CALIBRATION.tr @ point
        np.testing.assert_allclose(found[:2] / found[2], wanted[:2] / wanted[2], atol=1e-6)
    assert [float(v) for v in lines["S_rect_00"].split()] == [1408, 376]
    away = [matrix(table(root / "calibration" / "calib_cam_to_pose.txt")[f"image_{i:02d}"])[:3, 3] for i in range(2)]
    np.testing.assert_allclose(away[1] - away[0], [0, 0.53, 0], atol=1e-9)  # to the right, which is the unit's y


def test_the_reader_and_the_check_know_the_motion(root: Path, drive: SimulatedDrive):
    numbers, poses = open_dataset(root).poses(NAME)  # type: ignore[attr-defined]
    assert numbers.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(poses, np.stack([drive.pose(i) for i in range(4)]), atol=1e-8)
    report = check_dataset(root)
    assert report.sequences[0].counts["poses"] == 4
    assert not report.all_findings("error")


def test_the_check_names_broken_calibration_and_poses(root: Path, tmp_path: Path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    poses = copy / "data_poses" / NAME / "poses.txt"
    poses.write_text("0 1 2 3\n")
    (found,) = check_dataset(copy).all_findings("error")
    assert found.path == str(poses) and "13 finite numbers" in found.message
    (copy / "calibration" / "calib_cam_to_velo.txt").unlink()
    (found,) = check_dataset(copy).all_findings("error")
    assert "calib_cam_to_velo.txt to be an existing file" in found.message


def test_a_longer_drive_keeps_the_poses_that_are_there(root: Path, tmp_path: Path, drive: SimulatedDrive):
    for count in (2, 2, 4):
        kitti_360.write_tables(tmp_path, NAME, count, drive)
    for name in ("poses.txt", "cam0_to_world.txt"):
        path = Path("data_poses") / NAME / name
        assert (tmp_path / path).read_bytes() == (root / path).read_bytes()


def test_the_bag_of_a_simulated_drive_moves_as_the_drive_does(root: Path, tmp_path: Path, drive: SimulatedDrive):
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
    from pasco_core.data.bags import open_bag

    assert main(["data", "to-bag", str(root), str(tmp_path / "bag")]) == 0
    with open_bag(tmp_path / "bag") as reader:
        found = [m.pose.pose.position for _, _, m in reader.messages(["/odom"])]
    expected = [(np.linalg.inv(drive.pose(0)) @ drive.pose(i))[:3, 3] for i in range(4)]
    np.testing.assert_allclose([(p.x, p.y, p.z) for p in found], expected, atol=1e-8)
