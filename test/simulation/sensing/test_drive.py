"""The drive as others use it: street scans, arguments, and frames that processes share."""

from __future__ import annotations

import numpy as np
import pytest
from stand_in_world import BoxWorld

from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.recent import Recent
from pasco_core.data.simulation.sensing.beam_tables import HDL_64E
from pasco_core.data.simulation.truth.places import Places
from pasco_core.errors import ConfigError


@pytest.mark.parametrize("frame", [-1, 1.5, True, None])
def test_a_frame_that_is_not_a_whole_number_from_zero_is_refused(frame):
    with pytest.raises(ConfigError, match="Expected frame to be a whole number from 0, got"):
        SimulatedDrive(0, HDL_64E, BoxWorld()).scan(frame)


def test_a_seed_that_is_not_a_whole_number_from_zero_is_refused():
    with pytest.raises(ConfigError, match="Expected seed to be a whole number from 0, got -2"):
        SimulatedDrive(-2)


def test_the_lidar_stands_at_its_height_above_the_road():
    pose = SimulatedDrive(0, HDL_64E, BoxWorld()).pose(20)
    np.testing.assert_allclose(pose[:3, 3], [20.03, 0.07, 1.73])


def test_on_a_slope_the_lidar_stands_across_the_road():
    class Slope(BoxWorld):
        def ego_pose(self, time: float) -> np.ndarray:
            pose = np.eye(4)
            c, s = np.cos(0.1), np.sin(0.1)
            pose[:3, :3] = [[c, 0, -s], [0, 1, 0], [s, 0, c]]
            return pose

    pose = SimulatedDrive(0, HDL_64E, Slope()).pose(0)
    np.testing.assert_allclose(pose[:3, 3], [-1.73 * np.sin(0.1), 0.0, 1.73 * np.cos(0.1)], atol=1e-12)


def straight(speed: float) -> Places:
    def pose_at(time: float) -> np.ndarray:
        pose = np.eye(4)
        pose[0, 3] = speed * time
        return pose

    return Places(pose_at)


@pytest.mark.parametrize("speed", [3.0, 10.0, 22.0])
def test_places_of_sight_are_a_few_metres_apart_until_fifty_metres_ahead(speed: float):
    x = speed * np.array(straight(speed).around(20.0, np.array([speed * 20.0, 0, 0]))) - speed * 20.0
    gaps = np.diff(x)
    assert (gaps >= 3.5 - 1e-9).all()
    assert gaps.max() < 3.5 + 0.11 * speed
    assert -8.0 - 1e-6 <= x.min() < 0
    assert 50.0 - 3.6 - 0.11 * speed < x.max() <= 50.0 + 1e-6


def test_places_do_not_depend_on_what_was_asked_before():
    fresh, used = straight(9.0), straight(9.0)
    used.around(60.0, np.array([540.0, 0, 0]))
    here = np.array([90.0, 0, 0])
    assert fresh.around(10.0, here) == used.around(10.0, here)


def test_neighbouring_frames_share_most_places():
    places = straight(10.0)
    first, second = (set(places.around(t, np.array([10.0 * t, 0, 0]))) for t in (10.0, 10.1))
    assert len(first & second) >= len(first) - 1


def test_a_car_that_stands_has_one_place_where_it_is():
    assert len(straight(0.0).around(5.0, np.zeros(3))) == 1


def test_the_memory_forgets_what_was_asked_for_longest_ago():
    memory: Recent[int, int] = Recent(2)
    made = []

    def make(value: int):
        def maker() -> int:
            made.append(value)
            return value * value

        return maker

    assert [memory.get(key, make(key)) for key in (1, 2, 1, 3, 1, 2)] == [1, 4, 1, 9, 1, 4]
    assert made == [1, 2, 3, 2]
