"""The simulated car: its sensors' places, its pace, and the frames computed ahead; no ROS."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal

import numpy as np
import pytest

pytest.importorskip("embreex", reason="embreex is not installed: pip install 'pasco-ros[sim]'")

from stand_in_world import BoxWorld

from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.sensing.beam_tables import HDL_64E, VLP_16
from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION
from pasco_core.errors import ConfigError, PascoError
from pasco_core.geometry.poses import moved_points, pose_matrix
from pasco_core.settings.value_checks import check_config, check_value
from pasco_ros.simulation.car import Car, CarPlan, camera_mount, every, kitti_lidar_mount
from pasco_ros.simulation.frames_ahead import FramesAhead, numbers_of
from pasco_ros.simulation.pace import Pace
from pasco_ros.simulation.settings import SimulationSettings

ROOF = pose_matrix([0.0, 0.0, 1.73, 0.0, 0.0, 0.0])
FRONT = pose_matrix([2.0, 0.5, 1.6, 0.02, 0.15, 0.7])
SENSOR = "vlp-16"


class LevelCar(BoxWorld):
    """Drives in a circle, so that it has an angular velocity."""

    def ego_pose(self, time: float) -> np.ndarray:
        pose = pose_matrix([0, 0, 0, 0, 0, 0.5 * time])
        pose[:2, 3] = 20 * np.sin(0.5 * time), 20 * (1 - np.cos(0.5 * time))
        return pose


def car(*mounts: np.ndarray, world=None, **options) -> Car:
    return Car(CarPlan(0, SENSOR, "still", mounts, **options), world or BoxWorld())


def test_a_lidar_at_kittis_place_sees_what_the_drive_sees():
    expected = SimulatedDrive(0, VLP_16, BoxWorld()).scan(3).points
    np.testing.assert_array_equal(car(ROOF).frame(3).scans[0].points, expected)


def test_a_lidar_elsewhere_sees_the_same_world_from_there():
    roof, front = Car(CarPlan(0, SENSOR, "still", (ROOF, FRONT)), BoxWorld(with_traffic=False)).frame(0).scans
    for scan, mount in ((roof, ROOF), (front, FRONT)):
        base = moved_points(scan.points[:, :3], mount)
        road = scan.semantics == 9
        assert road.sum() > 500 and np.abs(base[road, 2]).max() < 0.3 and abs(np.median(base[road, 2])) < 0.02
    assert abs(len(roof) - len(front)) > 10


def test_no_lidar_sees_the_own_car():
    world = BoxWorld()
    hull = world.ego_car().vertices
    for scan, mount in zip(car(ROOF, FRONT, world=world).frame(0).scans, (ROOF, FRONT)):
        base = moved_points(scan.points[:, :3], mount)
        assert not ((base > hull.min(axis=0) + 0.1) & (base < hull.max(axis=0) - 0.2)).all(axis=1).any()


def test_the_beam_of_each_point_is_the_one_whose_elevation_it_has():
    scan = car(ROOF).frame(0).scans[0]
    elevation = np.degrees(np.arcsin(scan.points[:, 2] / np.linalg.norm(scan.points[:, :3], axis=1)))
    np.testing.assert_allclose(elevation, np.array(VLP_16.elevations)[scan.beams], atol=1e-3)


def test_the_camera_sits_where_kittis_calibration_has_it():
    base = np.array([[12.0, 1.5, 0.4], [30.0, -4.0, 2.0]])
    lidar = moved_points(base, np.linalg.inv(kitti_lidar_mount("hdl-64e")))
    expected = np.column_stack([lidar, np.ones(2)]) @ (KITTI_CALIBRATION.p2 @ KITTI_CALIBRATION.tr).T
    seen = moved_points(base, np.linalg.inv(camera_mount("hdl-64e"))) @ KITTI_CALIBRATION.p2[:, :3].T
    np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], expected[:, :2] / expected[:, 2:], atol=1e-9)


def test_velocities_are_those_of_the_way():
    for time_ in (0.0, 1.3):
        linear, angular = car(ROOF, world=LevelCar()).velocity(time_)
        np.testing.assert_allclose(linear, [10.0, 0.0, 0.0], atol=0.06)
        np.testing.assert_allclose(angular, [0.0, 0.0, 0.5], atol=1e-4)


def test_images_and_truth_come_as_often_as_asked_for():
    assert [every(rate) for rate in (10.0, 5.0, 2.0, 0.1, 0.0)] == [1, 2, 5, 100, 0]
    several = car(ROOF, images_every=2)
    assert [several.frame(number).image is not None for number in range(3)] == [True, False, True]


def test_time_passes_with_the_computers_and_waits_for_what_is_not_ready():
    pace = Pace(2.0)
    pace.let_pass(0.04)
    assert not pace.reach(0.1) and pace.now == pytest.approx(0.08)
    pace.let_pass(0.06)
    assert pace.reach(0.1) and pace.now == 0.1
    assert not pace.reach(0.3) and pace.now == pytest.approx(0.2)
    pace.let_pass(5.0)
    assert pace.reach(0.3)
    pace.wait()
    assert not pace.reach(0.4) and pace.now == 0.3
    assert pace.factor() == pytest.approx(0.3 / 5.1) and pace.factor() == 2.0


def test_numbers_of_frames_end_go_on_or_come_again():
    assert list(numbers_of(5, 3, False)) == [5, 6, 7]
    assert list(itertools.islice(numbers_of(5, 3, True), 5)) == [5, 6, 7, 5, 6]
    assert list(itertools.islice(numbers_of(5, 0, False), 3)) == [5, 6, 7]


def test_frames_computed_ahead_are_the_drives_and_a_killed_process_is_told():
    plan = CarPlan(0, SENSOR, "still", (ROOF,))
    frames = FramesAhead(plan, numbers_of(0, 0, False), workers=1, ahead=3)
    try:
        first = frames.take()
        expected = SimulatedDrive(0, VLP_16).scan(0)
        np.testing.assert_array_equal(first.scans[0].points, expected.points)
        assert first.number == 0 and not frames.over()
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(PascoError, match="processes that simulate to go on running"):
            for _ in range(5):
                frames.take()
    finally:
        frames.close()


REFUSED = {
    "loop without an end": ({"loop": True}, "'frames' to be above 0"),
    "frames of fewer sensors": ({"lidar_topics": ("a", "b")}, "'lidar_frames' to be given for each of the 2"),
    "mounts of more sensors": ({"lidar_mounts": (0.0,) * 12}, "'lidar_mounts' to be given for each of the 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_contradict_each_other_are_refused(name):
    values, complaint = REFUSED[name]
    with pytest.raises(ConfigError, match=complaint):
        check_config(SimulationSettings(**values))


def test_every_default_keeps_its_own_rule_and_wrong_values_do_not():
    for name in SimulationSettings.names():
        check_value(name, SimulationSettings.setting(name).default, SimulationSettings)
    for name, value in (("sensor", "hdl-65"), ("lidar_mounts", [0.0] * 5), ("speed", 0.0), ("image_rate", 11.0)):
        with pytest.raises(ConfigError, match=name):
            check_value(name, value, SimulationSettings)
    assert kitti_lidar_mount("hdl-64e")[2, 3] == HDL_64E.height
