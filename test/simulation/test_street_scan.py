"""The simulated scan as a whole: reproducible, labelled, and like a real one."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation import HDL_64E, LabelledScan, SpinningLidar, labelled_street_scan, street_scan
from pasco_core.data.simulation.street import Street
from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID

NAMES = SEMANTIC_KITTI.class_names


@pytest.fixture(scope="module")
def scan() -> LabelledScan:
    return labelled_street_scan(0, seed=0)


def share(scan: LabelledScan, name: str) -> float:
    return float((scan.semantics == NAMES.index(name)).mean())


def to_world(scan: LabelledScan, frame: int, seed: int) -> np.ndarray:
    """Points (N, 3) of a scan in the street's frame."""
    pose = Street(seed).ego_pose(frame / 10.0)
    c, s = np.cos(pose.yaw), np.sin(pose.yaw)
    x, y, z = scan.points[:, :3].T.astype(np.float64)
    return np.stack([pose.x + c * x - s * y, pose.y + s * x + c * y, z], axis=1)


def rings(points: np.ndarray) -> list[int]:
    """Points per beam: a new beam starts where the azimuth falls back to forward."""
    azimuth = np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)
    starts = np.flatnonzero((azimuth[1:] < 1.2) & (azimuth[:-1] > 5.0)) + 1
    return np.diff([0, *starts, len(points)]).tolist()


def test_the_same_frame_and_seed_give_the_same_bits():
    first, second = labelled_street_scan(3, seed=4), labelled_street_scan(3, seed=4)
    assert first.points.tobytes() == second.points.tobytes()
    assert first.semantics.tobytes() == second.semantics.tobytes()
    assert first.instances.tobytes() == second.instances.tobytes()


def test_frames_and_seeds_differ():
    reference = street_scan(0, seed=0)
    for other in (street_scan(1, seed=0), street_scan(0, seed=1)):
        assert other.shape != reference.shape or not np.array_equal(other, reference)


def test_points_are_finite_float32_within_the_sensor_range(scan: LabelledScan):
    assert scan.points.dtype == np.float32
    assert np.isfinite(scan.points).all()
    distance = np.linalg.norm(scan.points[:, :3], axis=1)
    assert distance.min() > 0.5
    assert distance.max() < HDL_64E.max_range + 0.2
    assert scan.points[:, 3].min() >= 0.0
    assert scan.points[:, 3].max() <= 0.99


def test_street_scan_is_the_labelled_scan_without_labels(scan: LabelledScan):
    assert np.array_equal(street_scan(0, seed=0), scan.points)
    assert scan.semantics.shape == scan.instances.shape == (len(scan.points),)


def test_only_things_have_instances_and_every_thing_has_one(scan: LabelledScan):
    thing = np.isin(scan.semantics, list(SEMANTIC_KITTI.thing_ids))
    assert (scan.instances[thing] > 0).all()
    assert (scan.instances[~thing] == 0).all()
    for instance in np.unique(scan.instances[thing]):
        assert len(np.unique(scan.semantics[scan.instances == instance])) == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_street_has_what_a_street_has(seed: int):
    scans = [labelled_street_scan(frame, seed) for frame in (0, 25, 50)]
    for name in ("road", "parking", "sidewalk", "terrain", "building", "vegetation", "car", "trunk", "pole", "person"):
        assert max(share(scan, name) for scan in scans) > 0.0005, name
    for scan in scans:
        assert 0.15 < share(scan, "road") < 0.45
        assert share(scan, "building") + share(scan, "vegetation") > 0.04


def test_road_points_lie_sensor_height_below_the_sensor(scan: LabelledScan):
    z = scan.points[scan.semantics == NAMES.index("road"), 2]
    assert np.median(z) == pytest.approx(-1.73, abs=0.005)
    assert z.std() < 0.02


def test_a_parked_car_stays_where_it_is_while_the_sensor_passes():
    earlier, later = labelled_street_scan(0, seed=1), labelled_street_scan(6, seed=1)
    at_0, at_6 = to_world(earlier, 0, 1), to_world(later, 6, 1)
    still = 0
    for instance in np.intersect1d(earlier.instances, later.instances):
        a, b = at_0[earlier.instances == instance], at_6[later.instances == instance]
        if instance == 0 or min(len(a), len(b)) < 200:
            continue
        # The nearest corner may show differently, but a car that stands has not moved by half its length.
        still += np.linalg.norm(np.median(a[:, :2], axis=0) - np.median(b[:, :2], axis=0)) < 1.5
    assert still >= 2


def test_oncoming_cars_come_nearer_by_both_speeds():
    nearest = {}
    for frame in (0, 5):
        scan = labelled_street_scan(frame, seed=0)
        car = (scan.semantics == NAMES.index("car")) & (np.abs(scan.points[:, 1] - 4.0) < 1.2)
        for instance in np.unique(scan.instances[car & (scan.points[:, 0] > 5.0)]):
            nearest.setdefault(instance, {})[frame] = scan.points[scan.instances == instance, 0].min()
    moved = [x[0] - x[5] for x in nearest.values() if len(x) == 2]
    assert any(abs(m - 9.5) < 0.8 for m in moved), moved


def test_a_sensor_with_fewer_beams_gives_fewer_points():
    coarse = SpinningLidar(tuple(np.linspace(2.0, -24.0, 16)), 512, 1.73, 80.0, 0.0, 0.0)
    points = street_scan(0, seed=0, sensor=coarse)
    assert 4000 < len(points) <= 16 * 512


def test_without_range_noise_road_points_are_exactly_on_the_road():
    points = labelled_street_scan(0, seed=0, sensor=replace(HDL_64E, range_noise=0.0))
    z = points.points[points.semantics == NAMES.index("road"), 2]
    assert np.abs(z + 1.73).max() < 1e-4


def test_a_scan_takes_less_than_a_second_and_a_half_of_one_core():
    start = time.process_time()
    street_scan(12, seed=3)
    assert time.process_time() - start < 1.5


@pytest.mark.parametrize("arguments", [{"frame": -1}, {"frame": 0, "seed": -2}, {"frame": 1.5}])
def test_a_frame_or_seed_that_is_not_a_whole_number_from_zero_is_refused(arguments: dict):
    with pytest.raises(ConfigError, match="to be a whole number from 0, got"):
        street_scan(**arguments)


def test_a_sensor_whose_beams_are_out_of_order_is_refused():
    with pytest.raises(ConfigError, match="strictly descending"):
        replace(HDL_64E, elevations=(-3.0, 2.0))


def test_the_scan_has_64_rings_shaded_below_by_the_car_that_carries_the_sensor(scan: LabelledScan):
    per_ring = rings(scan.points)
    assert len(per_ring) == 64
    assert min(per_ring[32:44]) > 0.94 * HDL_64E.n_azimuths
    assert max(per_ring[60:]) < 0.8 * HDL_64E.n_azimuths


@pytest.fixture(scope="module")
def real_statistics(shared_data: Path) -> list[dict[str, float]]:
    files = sorted((shared_data / "semantickitti" / "dataset" / "sequences").glob("*/velodyne/000003.bin"))
    if not files:
        pytest.skip("no SemanticKITTI scans in the sample data")
    return [statistics(np.fromfile(path, "<f4").reshape(-1, 4)) for path in files]


def statistics(points: np.ndarray) -> dict[str, float]:
    distance = np.linalg.norm(points[:, :3], axis=1)
    inside = points[KITTI_GRID.contains(points[:, :3]), :3]
    voxels = np.ravel_multi_index(tuple(KITTI_GRID.voxel_of(inside).T), KITTI_GRID.shape)
    ring = rings(points)
    return {
        "points": len(points),
        "points in the grid": len(inside),
        "occupied voxels": len(np.unique(voxels)),
        "median range": float(np.median(distance)),
        "upper quartile of range": float(np.percentile(distance, 75)),
        "95th percentile of range": float(np.percentile(distance, 95)),
        "median depth below the sensor": -float(np.median(points[:, 2])),
        "mean intensity": float(points[:, 3].mean()),
        "points of the top eight rings": sum(ring[:8]),
        "points of the middle rings": sum(ring[28:36]),
        "points of the bottom eight rings": sum(ring[-8:]),
    }


@pytest.mark.parametrize("seed", range(3))
def test_statistics_are_near_those_of_real_scans(seed: int, real_statistics: list[dict[str, float]]):
    for frame in (0, 40):
        for name, value in statistics(street_scan(frame, seed)).items():
            expected = [real[name] for real in real_statistics]
            margin = 0.25 * np.mean(expected)
            assert min(expected) - margin < value < max(expected) + margin, name
