"""Fog, snow and wet ground against their formulas, evaluated another way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from pasco_core.data.simulation.corruptions import ADDED, LEVELS, PARAMETERS, corrupt
from pasco_core.data.simulation.corruptions.echo import WEAKEST_ECHO, overlap, signal_to_noise
from pasco_core.data.simulation.corruptions.fog import (
    PULSE_LENGTH,
    backscatter_of,
    droplet_response,
    extinction_of,
    mean_soft_echo,
)
from pasco_core.data.simulation.corruptions.ground import fit_ground
from pasco_core.data.simulation.corruptions.levels import Fog, Snow
from pasco_core.data.simulation.corruptions.snow import FLAKE_REFLECTIVITY, flakes_of, flakes_stronger_than
from pasco_core.data.simulation.corruptions.wet_ground import fresnel_transmittance, wet_share


def ranges(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, :3].astype(np.float64), axis=1)


def test_at_the_visibility_five_percent_of_the_light_is_left_one_way():
    fog = Fog(80.0)
    assert np.exp(-extinction_of(fog) * 80.0) == pytest.approx(0.05)


@pytest.mark.parametrize("level", range(3))
def test_a_target_in_fog_keeps_the_intensity_of_the_two_way_law(street, level):
    fog = PARAMETERS["fog"][level]
    result = corrupt(street, "fog", LEVELS[level], 2)
    same = result.source != ADDED
    clean = street[result.source[same]]
    expected = clean[:, 3] * 20.0 ** (-2.0 * ranges(clean) / fog.visibility)  # 5 % per visibility, twice
    assert np.abs(result.points[same, 3] - expected).max() <= 0.005 + 1e-6


@pytest.mark.parametrize("visibility", [50.0, 300.0])
@pytest.mark.parametrize("target", [2.5, 4.0, 60.0])
def test_the_fogs_echo_is_the_integral_of_hahners_equation(visibility, target):
    fog = Fog(visibility)
    light = 299_792_458.0
    width = PULSE_LENGTH / light

    def received(at: float) -> float:
        """Power at the time at which a hard target at ``at`` would begin to answer (equation 14, over time)."""
        def integrand(t: float) -> float:
            r = at - light * t / 2.0
            if not 0.0 < r < target:
                return 0.0
            beam = np.clip((r - 1.0) / 7.0, 0.0, 1.0)
            return np.sin(np.pi * t / (2.0 * width)) ** 2 * np.exp(-2.0 * np.log(20.0) / visibility * r) * beam / r**2
        times = np.linspace(0.0, 2.0 * width, 1500)
        return integrate.trapezoid([integrand(t) for t in times], times) * light / 2.0

    peak = max(received(at) for at in np.arange(1.2, 5.0, 0.05))
    expected = np.pi * 0.046 / visibility * peak / WEAKEST_ECHO
    assert mean_soft_echo(fog, np.array([target]))[0] == pytest.approx(expected, rel=0.03)


def test_denser_fog_shortens_the_view_and_loses_more(street):
    clean, previous = ranges(street).mean(), len(street)
    for level in LEVELS:
        result = corrupt(street, "fog", level, 0)
        kept = result.points[result.source != ADDED]
        assert ranges(result.points).mean() < clean and len(result) < previous
        assert ranges(kept).mean() < clean
        clean, previous = ranges(result.points).mean(), len(result)


@pytest.mark.parametrize("name", ["fog", "snow"])
@pytest.mark.parametrize("level", LEVELS)
def test_added_returns_lie_on_their_ray_between_the_sensor_and_the_clean_point(street, name, level):
    result = corrupt(street, name, level, 4)
    added = result.source == ADDED
    assert added.sum() > 10
    clean = ranges(street[result.ray[added]])
    at = ranges(result.points[added])
    assert (at > 0.25).all() and (at <= clean * (1 + 1e-6)).all()
    assert np.median(at) < 10.0


def test_fog_is_returned_at_ranges_distributed_as_its_response():
    fog, n = PARAMETERS["fog"][2], 60_000
    far = np.zeros((n, 4), np.float32)
    far[:, 0], far[:, 3] = 75.0, 0.05
    result = corrupt(far, "fog", "heavy", 0)
    at = ranges(result.points[result.source == ADDED])
    assert len(at) > 20_000
    edges = np.array([1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 75.0])
    mass = [integrate.quad(lambda r: float(droplet_response(fog, np.array(r))), a, b)[0]
            for a, b in pairwise(edges)]
    share = np.histogram(at, edges)[0] / len(at)
    assert np.abs(share - np.array(mass) / sum(mass)).max() < 0.015


def test_the_share_of_rays_that_fog_answers_is_that_of_an_exponential_echo():
    n = 100_000
    far = np.zeros((n, 4), np.float32)
    far[:, 0], far[:, 3] = 79.0, 0.01
    for fog, level in zip(PARAMETERS["fog"][1:], LEVELS[1:], strict=True):
        result = corrupt(far, "fog", level, 0)
        mean = mean_soft_echo(fog, np.array([79.0]))[0]
        assert np.mean(result.source == ADDED) * len(result) / n == pytest.approx(np.exp(-1.0 / mean), abs=0.01)
        assert backscatter_of(fog) == pytest.approx(0.046 / fog.visibility)


def test_every_return_of_a_clear_scan_exceeds_the_noise(street):
    strength = signal_to_noise(street, np.random.default_rng(0))
    assert strength.min() >= 1.0
    near = ranges(street) < 15.0
    direct = np.maximum(street[near, 3], 0.005) / ranges(street[near]) ** 2 / WEAKEST_ECHO
    assert (strength[near] >= direct * (1 - 1e-6)).all()


def test_snowflakes_have_gunn_and_marshalls_sizes():
    flakes = flakes_of(Snow(1.0))
    assert flakes.per_cubic_metre == pytest.approx(3800.0 / 2.55)
    assert flakes.mean_diameter == pytest.approx(1e-3 / 2.55 * 10.0 ** (1 / 3), rel=1e-6)
    square, _ = integrate.quad(lambda d: d**2 * np.exp(-d / flakes.mean_diameter) / flakes.mean_diameter, 0, 0.05)
    assert flakes.extinction == pytest.approx(2.0 * flakes.per_cubic_metre * np.pi / 4.0 * square, rel=1e-6)


def test_the_strongest_flake_is_that_of_flakes_placed_one_by_one():
    """Brute force: a Poisson number of flakes in the beam, each with its own echo."""
    n, target = 20_000, 30.0
    flakes, rng = flakes_of(PARAMETERS["snow"][2]), np.random.default_rng(8)
    width = lambda r: 0.01 + 3e-3 * r  # noqa: E731
    density = lambda r: flakes.per_cubic_metre * np.pi / 4 * width(r) ** 2  # noqa: E731
    number = rng.poisson(integrate.quad(density, 1.0, 12.0)[0], n)
    ray = np.repeat(np.arange(n), number)
    grid = np.linspace(1.0, 12.0, 4000)
    cumulative = integrate.cumulative_trapezoid(density(grid), grid, initial=0.0)
    at = np.interp(rng.random(len(ray)) * cumulative[-1], cumulative, grid)
    size = rng.exponential(flakes.mean_diameter, len(ray))
    echo = FLAKE_REFLECTIVITY * overlap(at) * (size / width(at)) ** 2 / at**2 / WEAKEST_ECHO
    strongest = np.zeros(n)
    np.maximum.at(strongest, ray, echo)

    points = np.zeros((n, 4), np.float32)
    points[:, 0], points[:, 3] = target, 0.0  # so dark that nearly any flake is stronger
    result = corrupt(points, "snow", "heavy", 0)
    clean = signal_to_noise(points, np.random.default_rng(1)) * np.exp(-2.0 * flakes.extinction * target)
    expected = strongest > np.maximum(clean, 1.0)
    added = result.source == ADDED
    assert added.sum() / n == pytest.approx(expected.mean(), abs=0.02)
    order = np.argsort(-echo)
    first = order[np.unique(ray[order], return_index=True)[1]]
    wins = first[expected[ray[first]]]
    assert np.median(ranges(result.points[added])) == pytest.approx(np.median(at[wins]), abs=0.25)


def test_a_stronger_echo_needs_a_larger_and_therefore_rarer_flake():
    flakes = flakes_of(Snow(1.0))
    strength = np.geomspace(1, 100, 9)
    rates = flakes_stronger_than(flakes, strength, np.full(9, 4.0))
    assert (np.diff(rates) < 0).all() and rates[0] > 0


def test_water_lets_light_in_as_fresnel_says():
    assert fresnel_transmittance(np.array(1.0)) == pytest.approx(1 - (0.33 / 2.33) ** 2)
    brewster = np.cos(np.arctan(1.33))  # only the crosswise polarisation is reflected
    angle = np.arccos(brewster)
    inside = np.arcsin(np.sin(angle) / 1.33)
    assert fresnel_transmittance(np.array(brewster)) == pytest.approx(1 - np.sin(angle - inside) ** 2 / 2)
    assert fresnel_transmittance(np.array(1e-6)) < 1e-4


def test_wet_ground_is_darker_the_more_water_and_the_flatter_the_ray():
    cosine = np.linspace(0.02, 1.0, 30)
    dry, thin, thick = (wet_share(cosine, np.full(30, 0.3), height) for height in (0.0, 0.3, 1.2))
    assert np.allclose(dry, 1.0) and (thin < dry).all() and (thick < thin).all()
    assert (np.diff(thick) > 0).all() and (thick > 0).all()


@pytest.mark.parametrize("level", LEVELS)
def test_wet_ground_changes_nothing_but_points_near_the_road(street, level):
    result = corrupt(street, "wet_ground", level, 0)
    height = 1.73 + street[:, 2]
    high = np.flatnonzero(height > 1.1)  # 0.2 m and 1 % of at most 80 m
    assert np.isin(high, result.source).all()
    at = np.searchsorted(result.source, high)
    assert np.array_equal(result.points[at], street[high])
    road = np.abs(height) < 0.02
    kept = road[result.source]
    assert result.points[kept, 3].mean() < street[road, 3].mean()


def test_wet_ground_loses_what_is_far(street):
    result = corrupt(street, "wet_ground", "heavy", 0)
    road = np.abs(1.73 + street[:, 2]) < 0.02
    lost = road & ~np.isin(np.arange(len(street)), result.source)
    share = [lost[part].sum() / part.sum() for part in (road & (ranges(street) < 12), road & (ranges(street) > 35))]
    assert share[0] < 0.02 and share[1] > 0.3


def test_the_fitted_ground_is_the_road(street, real_scan):
    rng = np.random.default_rng(0)
    points = street.copy()
    points[:, 2] += 0.03 * points[:, 0] - 0.01 * points[:, 1] + rng.normal(0, 0.01, len(points))
    plane = fit_ground(points)
    assert (plane.a, plane.b, plane.c) == pytest.approx((0.03, -0.01, -1.73), abs=0.01)
    assert fit_ground(real_scan).c == pytest.approx(-1.73, abs=0.15)


def test_without_ground_wet_ground_changes_nothing(street):
    above = street[street[:, 2] > -0.4]
    assert fit_ground(above) is None
    assert np.array_equal(corrupt(above, "wet_ground", "heavy", 0).points, above)
