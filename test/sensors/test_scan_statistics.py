"""How a scan looks in numbers, and when that is far from the training sensor."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.point_cloud import PointCloud
from pasco_core.data.scan_files import read_scan
from pasco_core.data.scan_statistics import TRAINING_SENSORS, differences, measure_scan
from pasco_core.geometry import KITTI_GRID

HDL = TRAINING_SENSORS["hdl-64e"]


def turn(elevations, n_azimuths, distance=20.0, intensity=0.3):
    """A scan of a sphere, beam by beam from the top, counter-clockwise."""
    e, a = np.radians(elevations)[:, None], np.linspace(0, 2 * np.pi, n_azimuths, endpoint=False)[None]
    xyz = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e) + 0 * a], -1).reshape(-1, 3) * distance
    return np.column_stack([xyz, np.full(len(xyz), intensity)]).astype(np.float32)


@pytest.mark.parametrize("n_beams", [16, 32, 64, 128])
@pytest.mark.parametrize("rings", [True, False])
def test_beams_view_reach_and_intensity_are_measured(n_beams, rings):
    points = turn(np.linspace(15, -15, n_beams), 700)
    numbers = np.repeat(np.arange(n_beams), 700).astype(np.uint16) if rings else None
    scan = measure_scan(PointCloud(points, rings=numbers), 0.4)
    assert (scan.n_beams, scan.n_points, scan.in_grid) == (n_beams, 700 * n_beams, 0.4)
    assert scan.highest == pytest.approx(15, abs=0.4) and scan.lowest == pytest.approx(-15, abs=0.4)
    assert scan.reach == pytest.approx(20, abs=0.01) and scan.intensity == pytest.approx(0.3)


def test_beams_are_counted_whatever_the_numbers_are_called():
    points = turn([3.0, 2.0, 1.0], 100)
    for numbers in (np.repeat([7, 900, 40], 100), np.repeat([-5, 0, 70_000], 100), np.repeat([0.5, 1.5, 9.0], 100)):
        assert measure_scan(PointCloud(points, rings=numbers), 0.5).n_beams == 3


def test_real_scans_of_the_training_sensor_are_like_it(shared_data):
    files = sorted((shared_data / "semantickitti" / "dataset" / "sequences").glob("*/velodyne/000003.bin"))
    if not files:
        pytest.skip("sample data not there: no scans in ../shared/data/semantickitti")
    for file in files:
        cloud = read_scan(file)
        inside = KITTI_GRID.contains(cloud.points[:, :3]).mean()
        assert differences(measure_scan(cloud, inside), HDL) == [], file


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n_beams": 16}, "16 beams instead of 64"),
        ({"n_beams": 128}, "128 beams"),
        ({"n_points": 30_000}, "30000 points instead of 124500"),
        ({"in_grid": 0.05}, "5 % of the points in the grid instead of 46 %"),
        ({"highest": 22.0}, "beams from -23 to 22 degrees instead of -23 to 3"),
        ({"reach": 14.0}, "reach 14 m instead of 77 m"),
        ({"intensity": 0.0}, "median intensity 0.00 instead of 0.30"),
    ],
)
def test_what_is_far_from_the_training_sensor_is_said_with_both_numbers(change, text):
    from dataclasses import replace

    (clause,) = differences(replace(HDL, **change), HDL)
    assert text in clause


def test_one_point_alone_can_be_measured():
    scan = measure_scan(PointCloud(np.array([[1, 0, 0, 0]], np.float32)), 1.0)
    assert (scan.n_points, scan.n_beams) == (1, 1)
