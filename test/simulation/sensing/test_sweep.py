"""A turn of the LiDAR takes a tenth of a second, in which the car and the traffic move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_in_world import CLASS, BoxWorld, box, ground, mesh

from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.sensing.beam_tables import HDL_64E
from pasco_core.errors import ConfigError

EXACT = replace(HDL_64E, range_noise=0.0, dropout=0.0, n_azimuths=1000)


def across(x: float):
    return mesh([(x, -3, 0), (x, 3, 0), (x, 3, 20), (x, -3, 20)], [(0, 1, 2), (0, 2, 3)], "fence")


class Crossing(BoxWorld):
    """A wall across the way ahead and one behind, at 30 m from the car at time 0."""

    def __init__(self):
        super().__init__([ground(300.0), across(30.0), across(-30.0)], with_traffic=False)
        self.offset = (0.0, 0.0)


def fence_x(sweep: str) -> np.ndarray:
    scan = SimulatedDrive(0, EXACT, Crossing(), sweep).scan(0)
    return scan.points[scan.semantics == CLASS["fence"], 0]


def test_in_a_raw_sweep_things_behind_are_seen_from_two_places_half_a_turn_apart():
    x = fence_x("raw")
    behind, ahead = x[x < 0], x[x > 0]
    # At 10 m/s the car is half a metre back when the turn begins, half a metre ahead when it ends, both looking back.
    assert behind.min() == pytest.approx(-30.5, abs=0.03)
    assert behind.max() == pytest.approx(-29.5, abs=0.03)
    np.testing.assert_allclose(ahead, 30.0, atol=0.03)


def test_deskewed_points_are_where_things_are_at_the_time_of_the_scan():
    x = fence_x("deskewed")
    np.testing.assert_allclose(np.abs(x), 30.0, atol=1e-3)


def test_a_turning_car_is_deskewed_as_well():
    class Turning(Crossing):
        def ego_pose(self, time: float) -> np.ndarray:
            pose = super().ego_pose(time)
            c, s = np.cos(0.8 * time), np.sin(0.8 * time)
            pose[:2, :2] = [[c, -s], [s, c]]
            return pose

    def off(sweep: str) -> float:
        scan = SimulatedDrive(0, EXACT, Turning(), sweep).scan(0)
        return np.abs(np.abs(scan.points[scan.semantics == CLASS["fence"], 0]) - 30.0).max()

    assert off("raw") > 0.4
    assert off("deskewed") < 2e-3


def test_points_carry_the_time_at_which_they_were_measured():
    scan = SimulatedDrive(0, EXACT, Crossing(), "raw").scan(5)
    azimuth = np.arctan2(scan.points[:, 1], scan.points[:, 0])
    unsure = np.abs(azimuth) > 3.14
    np.testing.assert_allclose(scan.times[~unsure], azimuth[~unsure] / (2 * np.pi) * 0.1, atol=1e-5)
    assert (SimulatedDrive(0, EXACT, Crossing()).scan(5).times == 0).all()


def test_traffic_moves_during_the_turn():
    class Oncoming(BoxWorld):
        def __init__(self):
            super().__init__([ground(300.0)])

        def ego_pose(self, time: float) -> np.ndarray:
            return np.eye(4)

        def moving(self, centre, radius, time):
            x = -20.0 + 20.0 * time  # passes behind the sensor, where the turn begins and ends
            return box((x - 8.0, -4.0, 0.0), (x, 4.0, 3.0), "car", 1)

    scan = SimulatedDrive(0, EXACT, Oncoming(), "raw").scan(0)
    car = scan.points[scan.semantics == CLASS["car"]]
    left, right = car[car[:, 1] > 0.2, 0], car[car[:, 1] < -0.2, 0]
    assert left.max() - right.max() == pytest.approx(20.0 * 0.09, abs=0.15)


def test_an_unknown_sweep_is_refused():
    with pytest.raises(ConfigError, match="Expected the sweep to be one of still, raw, deskewed, got 'rolling'"):
        SimulatedDrive(0, EXACT, Crossing(), "rolling")
