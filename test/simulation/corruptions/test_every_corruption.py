"""What all corruptions keep: sources, determinism, severity, clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.data.simulation.corruptions import ADDED, CORRUPTIONS, LEVELS, PARAMETERS, corrupt
from pasco_core.errors import CloudError, ConfigError

MOVES = ("motion_blur",)
DIMS = ("fog", "wet_ground", "snow")
EVERY = [(name, level) for name in CORRUPTIONS for level in LEVELS]


def damage(clean: np.ndarray, name: str, level: str, seed: int) -> float:
    """How far a corrupted scan is from the clean one: lost, added and moved points, and lost intensity."""
    result = corrupt(clean, name, level, seed)
    same = result.source != ADDED
    moved = np.abs(result.points[same, :3] - clean[result.source[same], :3]).sum() / len(clean)
    dimmed = (clean[result.source[same], 3] - result.points[same, 3]).sum() / len(clean)
    return (len(clean) - same.sum() + (~same).sum()) / len(clean) + moved + dimmed


def test_the_table_has_three_levels_of_every_corruption_and_nothing_else():
    assert set(PARAMETERS) == set(CORRUPTIONS) and len(CORRUPTIONS) == 8
    assert all(len(levels) == len(LEVELS) == 3 for levels in PARAMETERS.values())


@pytest.mark.parametrize(("name", "level"), EVERY)
def test_source_names_the_clean_point_of_every_return(street, name, level):
    result = corrupt(street, name, level, seed=3)
    same = result.source != ADDED
    clean = street[result.source[same]]
    if name not in MOVES:
        assert np.array_equal(result.points[same, :3], clean[:, :3])
    assert (result.points[same, 3] <= clean[:, 3]).all()
    if name not in DIMS:
        assert np.array_equal(result.points[same, 3], clean[:, 3])
    assert len(np.unique(result.source[same])) == same.sum()


@pytest.mark.parametrize(("name", "level"), EVERY)
def test_there_is_at_most_one_return_per_ray_in_the_order_of_the_rays(street, name, level):
    result = corrupt(street, name, level, seed=3)
    assert (np.diff(result.ray) > 0).all()
    same = result.source != ADDED
    assert np.array_equal(result.ray[same], result.source[same])
    if name in MOVES:
        return
    unit, on_ray = street[result.ray, :3], result.points[:, :3]
    cosine = (unit * on_ray).sum(1) / np.linalg.norm(unit, axis=1) / np.linalg.norm(on_ray, axis=1)
    assert cosine.min() > 1 - 1e-6


@pytest.mark.parametrize(("name", "level"), EVERY)
def test_types_and_ranges_are_those_of_a_kitti_scan(street, name, level):
    result = corrupt(street, name, level, seed=3)
    assert result.points.dtype == np.float32 and result.points.shape == (len(result), 4)
    assert result.source.dtype == np.int64 and result.ray.dtype == np.int64
    assert np.isfinite(result.points).all()
    assert result.points[:, 3].min() >= 0.0 and result.points[:, 3].max() <= np.float32(0.99)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(street, name):
    before = street.copy()
    first, second = (corrupt(street, name, "heavy", seed=(7, 2)) for _ in range(2))
    assert first.points.tobytes() == second.points.tobytes()
    assert np.array_equal(first.source, second.source)
    assert first.points.tobytes() != corrupt(street, name, "heavy", seed=(7, 3)).points.tobytes()
    assert np.array_equal(street, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_heavier_level_does_more_damage(street, name, seed):
    light, moderate, heavy = (damage(street, name, level, seed) for level in LEVELS)
    assert 0 < light < moderate < heavy


@pytest.mark.parametrize("name", ["wet_ground", "beam_missing", "crosstalk", "incomplete_echo", "fog"])
def test_what_a_lighter_level_loses_a_heavier_one_of_the_same_seed_loses_too(street, name):
    kept = [set(corrupt(street, name, level, seed=1).source) - {ADDED} for level in LEVELS]
    assert kept[0] > kept[1] > kept[2]


@pytest.mark.parametrize("name", ["fog", "wet_ground", "snow", "beam_missing", "incomplete_echo", "cross_sensor"])
def test_a_real_scan_loses_returns_and_none_beyond_reason(real_scan, name):
    results = [corrupt(real_scan, name, level, 0) for level in LEVELS]
    left = [np.count_nonzero(result.source != ADDED) / len(real_scan) for result in results]
    assert 1 > left[0] > left[1] > left[2] > 0.05


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 40), name=st.sampled_from(CORRUPTIONS), level=st.sampled_from(LEVELS), seed=st.integers(0, 2**40),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e5]),
)
def test_small_and_odd_clouds_give_valid_clouds(n, name, level, seed, scale):
    rng = np.random.default_rng(n)
    points = np.concatenate([rng.normal(0, scale, (n, 3)), rng.random((n, 1))], axis=1).astype(np.float32)
    result = corrupt(points, name, level, seed)
    assert np.isfinite(result.points).all() and len(result) <= n
    assert ((result.source >= -1) & (result.source < n)).all()


def wrong_clouds():
    good = np.ones((4, 4), np.float32)
    nan, infinite, bright = good.copy(), good.copy(), good.copy()
    nan[1, 2], infinite[0, 0], bright[2, 3] = np.nan, np.inf, 37.0
    return {
        "LAYOUT-columns": np.ones((4, 3), np.float32), "LAYOUT-flat": np.ones(4, np.float32),
        "LAYOUT-text": np.full((4, 4), "a"), "LAYOUT-ragged": [[1.0, 2.0], [3.0]],
        "EMPTY-no points": np.zeros((0, 4), np.float32), "NOT_FINITE-nan": nan, "NOT_FINITE-infinite": infinite,
        "NOT_FINITE-too large for float32": np.full((2, 4), 1e300), "INTENSITY-0 to 255": bright,
    }


@pytest.mark.parametrize(("fault", "points"), wrong_clouds().items(), ids=str)
@pytest.mark.parametrize("name", ["fog", "beam_missing"])
def test_a_cloud_that_is_not_one_is_refused_by_name(fault, points, name):
    with pytest.raises(CloudError, match=r"^Expected .*, got ") as caught:
        corrupt(points, name, "light", 0)
    assert caught.value.code == fault.split("-")[0]


def test_whole_numbers_are_corrupted_as_the_float32_they_are():
    whole = np.array([[5, 0, -1, 1], [40, 3, 0, 0], [12, -7, -2, 1]])
    found, expected = (corrupt(points, "fog", "light", 3) for points in (whole, whole.astype(np.float32)))
    np.testing.assert_array_equal(found.points, expected.points)
    assert found.points.dtype == np.float32


@pytest.mark.parametrize(("arguments", "message"), [
    (("rain", "light", 0), "corruption to be one of fog, .* got 'rain'"),
    (("fog", "extreme", 0), "level to be one of light, moderate, heavy, got 'extreme'"),
    (("fog", "light", -1), "seed to be whole numbers from 0, got -1"),
    (("fog", "light", ()), "seed to be whole numbers from 0"),
    (("fog", "light", (1, 0.5)), "seed to be whole numbers from 0"),
])
def test_unknown_names_and_seeds_are_refused(street, arguments, message):
    with pytest.raises(ConfigError, match=message):
        corrupt(street, *arguments)
