"""Motion blur, missing beams, crosstalk, incomplete echo and other sensors: each does what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.simulation import HDL_64E
from pasco_core.data.simulation.corruptions import ADDED, LEVELS, PARAMETERS, corrupt
from pasco_core.data.simulation.corruptions.motion_blur import firing_time
from pasco_core.errors import CloudError


def beams_of(points: np.ndarray) -> np.ndarray:
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    return np.abs(elevation[:, None] - np.asarray(HDL_64E.elevations)).argmin(axis=1)


def displacement(street: np.ndarray, level: str, seed: int) -> np.ndarray:
    return corrupt(street, "motion_blur", level, seed).points[:, :3].astype(np.float64) - street[:, :3]


@pytest.mark.parametrize("level", range(3))
def test_a_missing_beam_is_missing_whole_and_the_others_are_whole(street, level):
    result = corrupt(street, "beam_missing", LEVELS[level], 6)
    beam = beams_of(street)
    left = np.unique(beam[result.source])
    assert len(left) == PARAMETERS["beam_missing"][level].beams_of_64
    assert np.array_equal(result.source, np.flatnonzero(np.isin(beam, left)))
    assert np.array_equal(result.points, street[result.source])


def test_of_a_sensor_with_fewer_beams_the_same_share_is_missing(street):
    even = street[beams_of(street) % 2 == 0]
    result = corrupt(even, "beam_missing", "moderate", 0)
    assert len(np.unique(beams_of(result.points))) == 16


@pytest.mark.parametrize("level", range(3))
def test_another_sensor_sees_a_subset_with_evenly_spaced_beams_and_a_coarser_azimuth(street, level):
    sensor = PARAMETERS["cross_sensor"][level]
    result = corrupt(street, "cross_sensor", LEVELS[level], 1)
    assert np.array_equal(result.points, street[result.source])
    beam = beams_of(street)
    left = np.unique(beam[result.source])
    gaps = np.diff(left)
    assert len(left) == sensor.beams_of_64 and gaps.max() <= np.ceil(64 / sensor.beams_of_64)
    azimuth = np.degrees(np.arctan2(result.points[:, 1], result.points[:, 0])) % 360
    for number in left[::5]:
        of_beam = np.sort(azimuth[beam[result.source] == number])
        assert len(of_beam) <= 360 / sensor.azimuth_step + 1
        assert len(np.unique(np.floor(of_beam / (2 * sensor.azimuth_step)))) > 0.4 * len(of_beam)


def test_the_sensors_other_than_kittis_are_not_always_the_same_beams(street):
    chosen = {tuple(np.unique(beams_of(corrupt(street, "cross_sensor", "heavy", s).points))) for s in range(12)}
    assert len(chosen) > 1


@pytest.mark.parametrize("level", LEVELS)
def test_motion_blur_moves_what_was_fired_at_the_same_time_as_one_rigid_body(street, level):
    turned = corrupt(street, "motion_blur", level, 3).points.astype(np.float64)
    azimuth = np.round(np.arctan2(street[:, 1], street[:, 0]), 5)
    values, counts = np.unique(azimuth, return_counts=True)
    for value in values[counts > 40][::100]:
        column = np.flatnonzero(azimuth == value)
        before = np.linalg.norm(street[column, None, :3].astype(np.float64) - street[None, column, :3], axis=-1)
        after = np.linalg.norm(turned[column, None, :3] - turned[None, column, :3], axis=-1)
        assert np.abs(before - after).max() < 1e-3


def test_motion_blur_is_no_noise_neighbours_in_time_move_alike(street):
    moved = displacement(street, "heavy", 3)
    near = np.flatnonzero((np.abs(np.linalg.norm(street[:, :3], axis=1) - 10.0) < 1.0) & (np.abs(street[:, 2]) < 1.8))
    order = near[np.argsort(firing_time(street[near]), kind="stable")]
    steps = np.linalg.norm(np.diff(moved[order], axis=0), axis=1)
    assert np.median(steps) < 0.1 * np.median(np.linalg.norm(moved[order], axis=1))


def test_motion_blur_grows_with_the_time_from_the_moment_of_the_pose(street):
    time = np.abs(firing_time(street))
    moved = np.mean([np.linalg.norm(displacement(street, "heavy", seed), axis=1) for seed in range(12)], axis=0)
    near = np.linalg.norm(street[:, :3], axis=1) < 12
    assert moved[near & (time > 0.045)].mean() > 2.0 * moved[near & (time < 0.005)].mean()


def test_motion_blur_does_not_depend_on_the_order_of_the_points(street):
    order = np.random.default_rng(0).permutation(len(street))
    shuffled = corrupt(street[order], "motion_blur", "heavy", 2)
    assert np.array_equal(shuffled.points, corrupt(street, "motion_blur", "heavy", 2).points[order])


@pytest.mark.parametrize("level", range(3))
def test_crosstalk_gives_its_share_of_the_rays_a_wrong_range(street, level):
    result = corrupt(street, "crosstalk", LEVELS[level], 0)
    added = result.source == ADDED
    assert len(result) == len(street)
    assert added.mean() == pytest.approx(PARAMETERS["crosstalk"][level].share, rel=0.1)
    at = np.linalg.norm(result.points[added, :3], axis=1)
    clean = np.linalg.norm(street[result.ray[added], :3], axis=1)
    assert np.mean(np.abs(at - clean) > 0.5) > 0.7
    assert (at > clean).any() and (at < clean).any() and at.max() < 81.0


def test_half_of_the_crosstalk_reads_another_beam_of_the_same_moment(street):
    result = corrupt(street, "crosstalk", "heavy", 0)
    added = np.flatnonzero(result.source == ADDED)
    at = np.linalg.norm(result.points[added, :3].astype(np.float64), axis=1)
    ranges = np.linalg.norm(street[:, :3].astype(np.float64), axis=1)
    sector = np.floor(np.arctan2(street[:, 1], street[:, 0]) / np.radians(1.0))
    read = [np.abs(ranges[sector == sector[result.ray[i]]] - r).min() < 1e-3 for i, r in zip(added, at, strict=True)]
    assert 0.45 < np.mean(read) < 0.65


def dark_and_bright() -> tuple[np.ndarray, np.ndarray]:
    """A road, and over it a dark and a bright object; which points are objects."""
    rng = np.random.default_rng(1)
    road = np.column_stack([rng.uniform(3, 30, 4000), rng.uniform(-10, 10, 4000), np.full(4000, -1.73)])
    box = np.column_stack([np.full(1000, 12.0), rng.uniform(-1, 1, 1000), rng.uniform(-1.2, -0.3, 1000)])
    aside = np.array([0.0, 4.0, 0.0])
    xyz = np.concatenate([road, box + aside, box - aside])
    intensity = np.repeat([0.27, 0.04, 0.6], [4000, 1000, 1000])
    return np.column_stack([xyz, intensity]).astype(np.float32), np.arange(6000) >= 4000


def test_an_incomplete_echo_loses_dark_objects_and_neither_road_nor_bright_ones():
    points, _ = dark_and_bright()
    lost = [~np.isin(np.arange(6000), corrupt(points, "incomplete_echo", level, 0).source) for level in LEVELS]
    assert not any(mask[:4000].any() or mask[5000:].any() for mask in lost)
    dark = [mask[4000:5000].mean() for mask in lost]
    strength = 0.04 / (12.0**2 + 4.0**2) / 4e-5
    for share, level in zip(dark, PARAMETERS["incomplete_echo"], strict=True):
        assert share == pytest.approx(1 - np.exp(-(10 ** (level.lost_decibels / 10)) / strength), abs=0.12)


def test_with_labels_an_incomplete_echo_concerns_the_labelled_points_alone():
    points, things = dark_and_bright()
    source = corrupt(points, "incomplete_echo", "heavy", 0, things).source
    lost = ~np.isin(np.arange(6000), source)
    assert not lost[:4000].any()
    assert lost[4000:5000].mean() > lost[5000:].mean() > 0.1


def test_labels_of_another_length_are_refused():
    points, things = dark_and_bright()
    with pytest.raises(CloudError, match=r"Expected things to be bool \(6000,\), got bool \(5999,\)"):
        corrupt(points, "incomplete_echo", "heavy", 0, things[1:])
