"""The stepped ground against the flat-ground formula and small steps along the ray."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.simulation.ground import SteppedGround

FLAT = SteppedGround(edges=(), heights=(0.0,), categories=(9,))
STREET = SteppedGround(
    edges=(3.0, 5.0, 8.0), heights=(0.0, 0.15, 0.3, 0.05), categories=(9, 11, 13, 17), bend=6.0, wavelength=90.0
)


def test_range_to_flat_ground_is_height_over_the_sine_of_the_depression():
    elevation = np.radians([-1.0, -5.0, -24.0])
    directions = np.stack([np.cos(elevation), np.zeros(3), np.sin(elevation)])
    distance, kerb = FLAT.first_hits(np.array([3.0, 4.0, 1.73]), directions)
    assert distance == pytest.approx(1.73 / np.sin(-elevation))
    assert not kerb.any()


def test_a_ray_that_does_not_descend_never_meets_the_ground():
    directions = np.array([[1.0, 0.8], [0.0, 0.0], [0.0, 0.6]])
    assert np.isinf(FLAT.first_hits(np.array([0.0, 0.0, 1.73]), directions)[0]).all()


def test_a_low_ray_across_the_road_hits_the_face_of_the_kerb():
    straight = SteppedGround(edges=(3.0,), heights=(0.0, 0.15), categories=(9, 11))
    # From 1.15 m above the road it would land 3.08 m away; the kerb at 3 m is in the way, at z = 0.03.
    direction = np.array([[0.0], [3.08], [-1.15]]) / np.hypot(3.08, 1.15)
    distance, kerb = straight.first_hits(np.array([0.0, 0.0, 1.15]), direction)
    assert kerb[0]
    assert distance[0] * direction[1, 0] == pytest.approx(3.0, abs=1e-4)


def test_hits_agree_with_small_steps_along_the_ray():
    rng = np.random.default_rng(0)
    origin = np.array([12.0, float(STREET.centre_line(12.0)) - 1.5, 1.73])
    azimuth, elevation = rng.uniform(0, 2 * np.pi, 300), np.radians(rng.uniform(-30, -3, 300))
    directions = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    distance, kerb = STREET.first_hits(origin, directions)
    steps = np.arange(0.0, 36.0, 0.005)
    for ray in range(300):
        x, y, z = origin[:, None] + steps * directions[:, ray : ray + 1]
        under = z < STREET.height_at(x, y)
        assert distance[ray] == pytest.approx(steps[under.argmax()], abs=0.006)
    assert 10 < kerb.sum() < 150


def test_the_heading_is_the_slope_of_the_centre_line():
    slope = (STREET.centre_line(20.001) - STREET.centre_line(19.999)) / 0.002
    assert np.tan(STREET.heading(20.0)) == pytest.approx(slope, abs=1e-6)
