"""The LiDAR measures what its data sheet and the geometry say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_in_world import CLASS, BoxWorld, box, ground, mesh

from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.sensing.beam_tables import (
    HDL_64E,
    OS1_64,
    SENSORS,
    VLP_16,
    VLP_32,
    SpinningLidar,
    sensor_named,
)
from pasco_core.data.simulation.sensing.lidar import OWN_CAR_BELOW, LabelledScan
from pasco_core.errors import ConfigError

EXACT = replace(HDL_64E, range_noise=0.0, dropout=0.0)


class Still(BoxWorld):
    """Nothing moves, not even the own car, which is not there."""

    def __init__(self, parts):
        super().__init__(parts, with_traffic=False)

    def ego_pose(self, time: float) -> np.ndarray:
        return np.eye(4)

    def ego_car(self):
        return box((0, 0, -50), (0.1, 0.1, -49), "car")


def scan_of(parts, sensor: SpinningLidar = EXACT, frame: int = 0) -> LabelledScan:
    return SimulatedDrive(0, sensor, Still(parts)).scan(frame)


def room(material: str = "plaster", half: float = 10.0):
    return box((-half, -half, -half), (half, half, half), "building", 0, material)


@pytest.mark.parametrize("sensor", [HDL_64E, OS1_64, VLP_32, VLP_16])
def test_in_a_room_every_beam_returns_at_its_elevation_and_azimuth(sensor: SpinningLidar):
    scan = scan_of([room()], replace(sensor, range_noise=0.0, dropout=0.0))
    points = scan.points.astype(np.float64)
    distance = np.linalg.norm(points[:, :3], axis=1)
    elevation = np.degrees(np.arcsin(points[:, 2] / distance)).reshape(-1, sensor.n_azimuths)
    expected = np.repeat(np.array(sensor.elevations)[:, None], sensor.n_azimuths, 1)
    np.testing.assert_allclose(elevation, expected, atol=1e-3)
    azimuth = np.degrees(np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)).reshape(-1, sensor.n_azimuths)
    expected = np.arange(sensor.n_azimuths) * 360.0 / sensor.n_azimuths
    np.testing.assert_allclose(np.degrees(np.sin(np.radians(azimuth - expected))), 0.0, atol=1e-3)


def test_the_walls_of_the_room_are_where_they_stand():
    points = scan_of([room()]).points
    walls = np.array([-10.0, -10.0, -10.0 - EXACT.height, 10.0, 10.0, 10.0 - EXACT.height])
    off = np.abs(np.concatenate([points[:, :3], points[:, :3]], axis=1) - walls).min(axis=1)
    assert off.max() < 1e-4


def test_a_wall_ahead_is_hit_by_as_many_rays_as_its_angle_takes():
    half, away = 3.0, 12.0
    corners = [(away, y, z) for y, z in ((-half, -20), (half, -20), (half, 20), (-half, 20))]
    scan = scan_of([mesh(corners, [(0, 1, 2), (0, 2, 3)], "building")])
    expected = 2 * np.degrees(np.arctan2(half, away)) / 360.0 * HDL_64E.n_azimuths * 64
    assert len(scan) == pytest.approx(expected, rel=0.01)
    np.testing.assert_allclose(scan.points[:, 0], away, rtol=1e-5)


def test_range_noise_has_the_sensor_s_spread_and_grass_adds_its_roughness():
    noisy = replace(EXACT, range_noise=0.02)
    for material, spread in (("plaster", 0.02), ("grass", np.hypot(0.02, 0.025))):
        exact, noised = scan_of([room(material)]), scan_of([room(material)], noisy)
        assert len(exact) == len(noised)
        off = np.linalg.norm(noised.points[:, :3], axis=1) - np.linalg.norm(exact.points[:, :3], axis=1)
        per_beam = off.reshape(64, -1)
        assert (per_beam - per_beam.mean(axis=1, keepdims=True)).std() == pytest.approx(spread, rel=0.03)
        # Each beam has an error of its own besides, about as large as the noise.
        assert per_beam.mean(axis=1).std() == pytest.approx(0.02, rel=0.3)
        assert abs(off.mean()) < 0.006


def test_dropouts_lose_their_share():
    scan = scan_of([room()], replace(EXACT, dropout=0.2))
    assert len(scan) / (64 * HDL_64E.n_azimuths) == pytest.approx(0.8, abs=0.01)


def test_intensity_follows_material_angle_and_distance():
    near = scan_of([room("bright paint", 6.0)]).points[:, 3].mean()
    dark = scan_of([room("dark paint", 6.0)]).points[:, 3].mean()
    assert near > dark + 0.25
    road = scan_of([ground(90.0)]).points
    distance = np.linalg.norm(road[:, :3], axis=1)
    assert road[distance < 8, 3].mean() > 3 * road[(distance > 40) & (distance < 60), 3].mean()
    assert 0.0 <= road[:, 3].min() <= road[:, 3].max() <= 0.99


def test_a_sign_is_bright_at_any_angle_and_distance():
    def panel(material: str):
        corners = [(50.0, -2.0, 0.0), (52.0, 2.0, 0.0), (52.0, 2.0, 4.0), (50.0, -2.0, 4.0)]
        return scan_of([mesh(corners, [(0, 1, 2), (0, 2, 3)], "traffic-sign", 0, material)]).points[:, 3].mean()

    assert panel("sign") > 0.4 > 1.5 * panel("plaster")


def test_what_the_own_car_hides_does_not_come_back():
    world = BoxWorld([ground(200.0)], with_traffic=False)
    scan = SimulatedDrive(0, EXACT, world).scan(0)
    assert (scan.semantics == CLASS["road"]).all()
    # The roof is 1.4 m - OWN_CAR_BELOW high and reaches 1.6 m ahead: what is nearer than its shadow's end is missing.
    shadow = 1.6 * EXACT.height / (EXACT.height - 1.4 + OWN_CAR_BELOW)
    rings = EXACT.height / np.tan(np.radians([-e for e in EXACT.elevations if e < 0]))
    ahead = scan.points[(np.abs(scan.points[:, 1]) < 0.05) & (scan.points[:, 0] > 0), 0]
    assert ahead.min() == pytest.approx(rings[rings > shadow].min(), rel=1e-3)
    assert rings.min() < shadow - 0.5
    aside = scan.points[np.abs(scan.points[:, 0]) < 0.05, 1]
    assert np.abs(aside).min() == pytest.approx(rings.min(), rel=1e-3)


def test_beyond_its_reach_a_sensor_measures_nothing():
    points = scan_of([ground(300.0)], replace(EXACT, max_range=30.0)).points
    rings = EXACT.height / np.sin(np.radians([-e for e in EXACT.elevations if e < 0]))
    assert np.linalg.norm(points[:, :3], axis=1).max() == pytest.approx(rings[rings < 30.0].max(), rel=1e-5)


def test_only_things_have_instances_and_traffic_is_marked_as_moving():
    scan = SimulatedDrive(0, HDL_64E, BoxWorld()).scan(0)
    assert (scan.instances[scan.semantics != CLASS["car"]] == 0).all()
    assert np.unique(scan.instances[scan.moving]).tolist() == [1]
    assert (scan.instances[(scan.semantics == CLASS["car"]) & ~scan.moving] >= 90).all()


def test_frames_have_the_same_bits_in_any_order():
    forth, back = SimulatedDrive(3, HDL_64E, BoxWorld()), SimulatedDrive(3, HDL_64E, BoxWorld())
    first = {frame: forth.scan(frame) for frame in (0, 31, 32)}
    for frame in (32, 0, 31):
        again = back.scan(frame)
        assert again.points.tobytes() == first[frame].points.tobytes()
        assert again.instances.tobytes() == first[frame].instances.tobytes()
    assert first[31].points.shape != first[32].points.shape or (first[31].points != first[32].points).any()


def test_sensors_are_found_by_name_and_unknown_ones_refused():
    assert [sensor_named(name) for name in SENSORS] == [HDL_64E, OS1_64, VLP_32, VLP_16]
    with pytest.raises(ConfigError, match=r"Expected the sensor to be one of hdl-64e, .*, got 'hdl'"):
        sensor_named("hdl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elevations": (-3.0, 2.0)}, "strictly descending"),
        ({"elevations": ()}, "strictly descending"),
        ({"n_azimuths": 4}, "at least 8, got 4"),
        ({"max_range": 0.0}, "max_range to be positive"),
        ({"range_noise": -0.1}, "range_noise and beam_gain not negative"),
        ({"beam_gain": -0.1}, "range_noise and beam_gain not negative"),
        ({"dropout": 1.5}, r"dropout within \[0, 1\]"),
        ({"max_range": float("nan")}, "max_range to be positive"),
    ],
)
def test_a_sensor_that_cannot_be_is_refused(changes: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        replace(HDL_64E, **changes)
