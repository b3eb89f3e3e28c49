"""Points of a sweep brought to one instant: closed forms, planes around a moving sensor, and the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from pasco_core.data.deskew import deskewed
from pasco_core.data.point_cloud import PointCloud
from pasco_core.geometry.trajectory import Trajectory

STAMP = 1_700_000_000_000_000_000


def twist(velocity, turn_rate):
    """(4, 4) generator of an even movement in the vehicle's own frame."""
    x, y, z = turn_rate
    generator = np.zeros((4, 4))
    generator[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    generator[:3, 3] = velocity
    return generator


def known(pose_at, times):
    trajectory = Trajectory()
    for time in times:
        trajectory.add(STAMP + round(time * 1e9), pose_at(time))
    return trajectory


def cloud_of(xyz, times):
    points = np.column_stack([xyz, np.full(len(xyz), 0.5)]).astype(np.float32)
    return PointCloud(points, times=np.asarray(times, float), rings=np.arange(len(xyz)))


def test_at_constant_speed_every_point_is_shifted_by_speed_times_time():
    speed, times = 15.0, np.linspace(-0.05, 0.05, 501)
    trajectory = known(lambda t: np.array([[1, 0, 0, 3 + speed * t], [0, 1, 0, 7], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
                       (-0.1, 0.0, 0.1))
    xyz = np.random.default_rng(0).uniform(-50, 50, (501, 3))
    moved = deskewed(cloud_of(xyz, times), STAMP, trajectory.at)
    np.testing.assert_allclose(moved.points[:, :3], xyz + np.outer(times, [speed, 0, 0]), atol=2e-5)
    np.testing.assert_array_equal(moved.points[:, 3], 0.5)
    np.testing.assert_array_equal(moved.rings, np.arange(501))


@pytest.mark.parametrize("begin", [-0.1, -0.05, 0.0])
def test_in_a_tight_turn_the_result_is_the_closed_form_within_a_millimetre(begin):
    generator = twist((12.0, 0.3, 0.1), (0.1, 0.2, 1.2))
    mounted = np.eye(4)
    mounted[:3] = np.column_stack([Rotation.from_euler("xyz", (3, -4, 20), degrees=True).as_matrix(), (1, 0.5, 1.8)])

    def pose_at(t):
        return expm(t * generator)

    trajectory = known(pose_at, np.arange(-0.2, 0.21, 0.1))
    times = begin + np.linspace(0.0, 0.1, 777)
    xyz = np.random.default_rng(1).uniform(-80, 80, (777, 3))
    moved = deskewed(cloud_of(xyz, times), STAMP, lambda at: trajectory.at(at) @ mounted)
    expected = [(np.linalg.inv(mounted) @ pose_at(t) @ mounted @ [*p, 1])[:3] for p, t in zip(xyz, times, strict=True)]
    np.testing.assert_allclose(moved.points[:, :3], expected, atol=1e-3)


def test_walls_and_ground_are_where_a_standing_sensor_sees_them():
    generator = twist((20.0, 0, 0), (0, 0, 0.6))
    planes = [((0, 0, 1), -1.7), ((0, 1, 0), -8.0), ((0, 1, 0), 9.0), ((1, 0, 0), 30.0), ((1, 0, 0), -25.0)]
    azimuth = np.linspace(-np.pi, np.pi, 4000, endpoint=False)
    rays = np.column_stack([np.cos(azimuth), np.sin(azimuth), -0.15 + 0.1 * np.cos(7 * azimuth)])
    times = azimuth / (2 * np.pi) * 0.1
    xyz, hit = np.zeros((4000, 3)), np.zeros(4000, int)
    for i, (ray, time) in enumerate(zip(rays, times, strict=True)):
        pose = expm(time * generator)  # the frame at the stamp is the fixed one
        turned = pose[:3, :3] @ ray
        with np.errstate(divide="ignore"):
            distances = np.array([(d - np.dot(n, pose[:3, 3])) / np.dot(n, turned) for n, d in planes])
        hit[i] = np.where(distances > 0, distances, np.inf).argmin()
        xyz[i] = ray * distances[hit[i]]
    off = [abs(p[np.argmax(planes[h][0])] - planes[h][1]) for p, h in zip(xyz, hit, strict=True)]
    assert max(off) > 0.3  # so much a moving sensor bends the walls
    trajectory = known(lambda t: expm(t * generator), np.arange(-0.15, 0.2, 0.05))
    moved = deskewed(cloud_of(xyz, times), STAMP, trajectory.at).points
    off = [abs(p[np.argmax(planes[h][0])] - planes[h][1]) for p, h in zip(moved, hit, strict=True)]
    assert max(off) < 0.001


def test_points_can_be_brought_to_another_instant_than_the_stamp():
    trajectory = known(lambda t: np.array([[1, 0, 0, 10 * t], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
                       (-0.2, 0.0, 0.2))
    cloud = PointCloud(np.array([[5, 0, 0, 1]], np.float32))
    moved = deskewed(cloud, STAMP, trajectory.at, instant=STAMP + 100_000_000)
    np.testing.assert_allclose(moved.points, [[4, 0, 0, 1]], atol=1e-5)


def test_a_standing_vehicle_changes_no_point():
    trajectory = known(lambda t: np.eye(4), (-0.2, 0.2))
    xyz = np.random.default_rng(2).uniform(-50, 50, (100, 3))
    cloud = cloud_of(xyz, np.linspace(0, 0.1, 100))
    np.testing.assert_array_equal(deskewed(cloud, STAMP, trajectory.at).points, cloud.points)


def test_row_17_equal_times_move_the_cloud_as_one_body():
    trajectory = known(lambda t: np.eye(4) + 10 * t * np.eye(4)[:, [3]] @ np.zeros((1, 4)), (-0.2, 0.2))
    cloud = cloud_of(np.ones((5, 3)), np.zeros(5))
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(deskewed(cloud, STAMP, trajectory.at).points, cloud.points)


def test_without_poses_over_the_whole_sweep_nothing_is_guessed():
    cloud = cloud_of(np.ones((3, 3)), [-0.1, 0.0, 0.05])
    way = {time: np.eye(4) for time in (-0.05, 0.0, 0.1)}
    assert deskewed(cloud, STAMP, known(way.get, way).at) is None  # begins too late
    assert deskewed(cloud, STAMP, known(way.get, [-0.05]).at) is None  # one pose is no movement
    way = {time: np.eye(4) for time in (-0.3, -0.2, -0.1)}
    assert deskewed(cloud, STAMP, known(way.get, way).at) is None  # ended more than 0.1 s before the last point


def test_the_last_movement_goes_on_evenly_for_a_tenth_of_a_second():
    generator = twist((10.0, 0, 0), (0, 0, 1.0))
    trajectory = known(lambda t: expm(t * generator), (-0.2, -0.1, 0.0))
    late = trajectory.at(np.array([STAMP + 90_000_000]))
    np.testing.assert_allclose(late[0], expm(0.09 * generator), atol=1e-9)
    assert trajectory.at(np.array([STAMP + 110_000_000])) is None


def test_a_gap_between_two_poses_is_no_movement():
    way = {time: np.eye(4) for time in (-0.6, -0.5, 0.3, 0.4)}
    assert deskewed(cloud_of(np.ones((3, 3)), [-0.1, 0.0, 0.05]), STAMP, known(way.get, way).at) is None


def test_noise_of_the_last_two_poses_is_not_carried_on():
    noisy = {time: np.eye(4) for time in (-0.2, -0.1, -0.001, 0.0)}
    noisy[0.0] = noisy[0.0].copy()
    noisy[0.0][0, 3] = 0.001  # one millimetre within one millisecond
    late = known(noisy.get, noisy).at(np.array([STAMP + 90_000_000]))
    assert late[0, 0, 3] < 0.003


def test_a_trajectory_is_bounded_and_begins_anew_when_the_clock_is_set_back():
    trajectory = Trajectory()
    for i in range(100):
        trajectory.add(i * 100_000_000, np.eye(4))
    assert trajectory.covers() == (6_900_000_000, 10_000_000_000)
    trajectory.add(9_850_000_000, np.eye(4))  # out of order: left out
    trajectory.add(5_000_000_000, np.eye(4))
    assert trajectory.covers() is None
    trajectory.add(5_100_000_000, np.eye(4))
    assert trajectory.covers() == (5_000_000_000, 5_200_000_000)


def test_a_simulated_raw_sweep_becomes_the_scan_that_the_simulator_deskewed_itself():
    pytest.importorskip("embreex", reason="embreex is not installed: pip install 'pasco-ros[sim]'")
    from pasco_core.data.simulation.drive import SimulatedDrive
    from pasco_core.data.simulation.sensing.beam_tables import SpinningLidar
    from pasco_core.data.simulation.sensing.sweep import to_frame

    sensor = SpinningLidar(tuple(np.linspace(2, -24, 12)), 400, 1.73, 80.0, 0.0, 0.0)
    raw, frame = SimulatedDrive(3, sensor, sweep="raw"), 40
    trajectory = Trajectory()
    for time in np.arange(frame / 10 - 0.1, frame / 10 + 0.11, 0.02):
        trajectory.add(round(time * 1e9), raw._pose_at(time))
    scan = raw.scan(frame)
    expected = to_frame(scan.points[:, :3], scan.times, raw._pose_at, frame / 10)
    assert np.abs(scan.points[:, :3] - expected).max() > 0.2
    moved = deskewed(PointCloud(scan.points, times=scan.times.astype(float)), frame * 100_000_000, trajectory.at)
    np.testing.assert_allclose(moved.points[:, :3], expected, atol=2e-3)
