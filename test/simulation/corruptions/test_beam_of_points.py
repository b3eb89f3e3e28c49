"""Which beam a point came from is inferred from the order of the points, else from their elevation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pasco_core.data.simulation import HDL_64E, street_scan
from pasco_core.data.simulation.corruptions.rings import beam_of_points


def true_beams(points: np.ndarray) -> np.ndarray:
    """The nearest elevation of the sensor's table."""
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    return np.abs(elevation[:, None] - np.asarray(HDL_64E.elevations)).argmin(axis=1)


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    return street_scan(3, seed=1)


def test_the_beams_of_a_simulated_scan_are_those_of_the_sensors_table(scan):
    assert np.array_equal(beam_of_points(scan), true_beams(scan))


def test_an_elevation_is_enough_where_the_points_are_shuffled(scan):
    shuffled = np.random.default_rng(0).permutation(scan)
    assert np.array_equal(beam_of_points(shuffled), true_beams(shuffled))


def test_column_by_column_order_is_recognised_as_no_beam_order(scan):
    azimuth = np.arctan2(scan[:, 1], scan[:, 0])
    columns = scan[np.lexsort((true_beams(scan), np.round(azimuth, 3)))]
    assert np.array_equal(beam_of_points(columns), true_beams(columns))


@pytest.mark.parametrize("rearranged", ["bottom first", "clockwise", "from the rear", "few points"])
def test_other_orders_of_beams_and_azimuths_are_recognised(scan, rearranged):
    if rearranged == "bottom first":
        points = scan[np.argsort(-true_beams(scan), kind="stable")]
    elif rearranged == "clockwise":
        points = scan * np.float32([1, -1, 1, 1])
    elif rearranged == "from the rear":
        points = scan * np.float32([-1, -1, 1, 1])
    else:
        points = scan[np.random.default_rng(0).random(len(scan)) < 0.05]
    assert np.array_equal(beam_of_points(points), true_beams(points))


def test_points_that_cross_the_seam_back_and_forth_make_no_beams_of_their_own(scan):
    seams = np.flatnonzero(np.diff(true_beams(scan)))
    points = scan.copy()
    off_axis = np.abs(np.degrees(np.arctan2(scan[:, 1], scan[:, 0])))
    close = seams[(off_axis[seams] < 0.9) & (off_axis[seams + 1] < 0.9)]
    assert len(close) > 20
    for seam in close[::2]:  # the last point of a beam and the first of the next change places
        points[[seam, seam + 1]] = points[[seam + 1, seam]]
    inferred = beam_of_points(points)
    assert inferred.max() + 1 == 64
    assert np.mean(inferred == true_beams(points)) > 0.999


def test_a_real_scan_has_64_beams_one_below_the_other(shared_data: Path):
    scans = sorted((shared_data / "semantickitti" / "dataset" / "sequences").glob("*/velodyne/00000[05].bin"))
    if not scans:
        pytest.skip("sample data not there: no SemanticKITTI scans in ../shared/data")
    for path in scans:
        points = np.fromfile(path, "<f4").reshape(-1, 4)
        beam = beam_of_points(points)
        assert beam.max() + 1 == 64, path
        elevation = np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))
        medians = [np.median(elevation[beam == i]) for i in range(64)]
        assert (np.diff(medians) < 0).all(), path


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_points_has_beams_too(n):
    points = np.random.default_rng(n).normal(size=(n, 4))
    beam = beam_of_points(points)
    assert beam.shape == (n,) and set(beam) == set(range(beam.max() + 1))
