"""Rays against one primitive, compared with distances worked out by hand and with small steps along the ray."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.simulation.solids import Shape, Solid, unit_gradient, unit_interval

STEP = 0.01


def interval(solid: Solid, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enter and leave distances of rays (3, n) in the world."""
    return unit_interval(solid, solid.to_local(np.subtract(origin, solid.centre)), solid.to_local(directions))


def is_inside(solid: Solid, xyz: np.ndarray) -> np.ndarray:
    """Whether world points (..., 3) lie in the solid, from its definition: turned back, then compared with metres."""
    c, s = np.cos(-solid.yaw), np.sin(-solid.yaw)
    x, y, z = np.moveaxis(xyz - np.asarray(solid.centre), -1, 0)
    x, y = c * x - s * y, s * x + c * y
    hx, hy, hz = solid.half
    if solid.shape is Shape.ELLIPSOID:
        return (x / hx) ** 2 + (y / hy) ** 2 + (z / hz) ** 2 <= 1
    if solid.shape is Shape.CYLINDER:
        return ((x / hx) ** 2 + (y / hy) ** 2 <= 1) & (np.abs(z) <= hz)
    share = (z + hz) / (2 * hz)  # 0 at the bottom, 1 at the top
    width, depth = hx * (1 - solid.taper[0] * share), hy * (1 - solid.taper[1] * share)
    return (np.abs(x) <= width) & (np.abs(y) <= depth) & (np.abs(z) <= hz)


def random_solid(shape: Shape, rng: np.random.Generator) -> Solid:
    taper = tuple(rng.uniform(0, 0.9, 2)) if shape is Shape.BOX else (0.0, 0.0)
    centre, half = rng.uniform(-3, 3, 3), rng.uniform(0.3, 2.0, 3)
    return Solid(shape, tuple(centre), tuple(half), rng.uniform(-4, 4), category=1, taper=taper)


def test_a_ray_along_x_enters_a_box_at_its_near_side_and_leaves_at_its_far_side():
    box = Solid(Shape.BOX, (10.0, 0.0, 0.0), (1.0, 2.0, 3.0), 0.0, category=1)
    enter, leave = interval(box, np.zeros(3), np.array([[1.0], [0.0], [0.0]]))
    assert (enter[0], leave[0]) == pytest.approx((9.0, 11.0))


def test_a_box_turned_by_45_degrees_is_met_at_its_corner():
    box = Solid(Shape.BOX, (10.0, 0.0, 0.0), (1.0, 1.0, 1.0), np.pi / 4, category=1)
    enter, leave = interval(box, np.zeros(3), np.array([[1.0], [0.0], [0.0]]))
    assert (enter[0], leave[0]) == pytest.approx((10 - np.sqrt(2), 10 + np.sqrt(2)))


def test_a_cylinder_is_met_at_its_radius_from_the_side_and_at_its_lid_from_above():
    cylinder = Solid(Shape.CYLINDER, (5.0, 0.0, 0.0), (0.5, 0.5, 1.0), 0.0, category=1)
    side, _ = interval(cylinder, np.zeros(3), np.array([[1.0], [0.0], [0.0]]))
    lid, floor = interval(cylinder, np.array([5.0, 0.0, 4.0]), np.array([[0.0], [0.0], [-1.0]]))
    assert (side[0], lid[0], floor[0]) == pytest.approx((4.5, 3.0, 5.0))


def test_a_ray_that_passes_above_a_cylinder_misses_it():
    cylinder = Solid(Shape.CYLINDER, (5.0, 0.0, 0.0), (0.5, 0.5, 1.0), 0.0, category=1)
    enter, leave = interval(cylinder, np.array([0.0, 0.0, 1.2]), np.array([[1.0], [0.0], [0.0]]))
    assert enter[0] >= leave[0]


@pytest.mark.parametrize("shape", list(Shape))
def test_entering_and_leaving_agree_with_small_steps_along_the_ray(shape: Shape):
    rng = np.random.default_rng(list(Shape).index(shape))
    steps = np.arange(0.0, 14.0, STEP)
    met = 0
    for _ in range(12):
        solid = random_solid(shape, rng)
        origin = rng.normal(size=3)
        origin *= 7.0 / np.linalg.norm(origin)
        # Aimed at the solid's surroundings, so that a good part of the rays meets it and a good part does not.
        directions = np.asarray(solid.centre)[:, None] + rng.uniform(-2, 2, (3, 40)) - origin[:, None]
        directions /= np.linalg.norm(directions, axis=0)
        enter, leave = interval(solid, origin, directions)
        inside = is_inside(solid, origin + steps[:, None, None] * directions.T)
        for ray in range(directions.shape[1]):
            on = steps[inside[:, ray]]
            if len(on):
                met += 1
                assert enter[ray] == pytest.approx(on[0], abs=STEP * 1.01)
                assert leave[ray] == pytest.approx(on[-1], abs=STEP * 1.01)
            else:
                assert leave[ray] - enter[ray] < STEP * 1.01
    assert 100 < met < 400


@pytest.mark.parametrize("shape", list(Shape))
def test_normals_point_out_of_the_solid_and_are_perpendicular_to_its_surface(shape: Shape):
    rng = np.random.default_rng(7)
    solid = random_solid(shape, rng)
    origin = np.add(solid.centre, (6.0, 3.0, 4.0))
    directions = np.asarray(solid.centre)[:, None] + rng.uniform(-0.5, 0.5, (3, 50)) - origin[:, None]
    enter, leave = interval(solid, origin, directions)
    hit = enter < leave
    assert hit.sum() > 20
    surface = origin[:, None] + enter[hit] * directions[:, hit]
    start = solid.to_local(np.subtract(origin, solid.centre))
    local = start[:, None] + enter[hit] * solid.to_local(directions[:, hit])
    normals = solid.to_world_normal(unit_gradient(solid, local))
    assert np.linalg.norm(normals, axis=0) == pytest.approx(np.ones(hit.sum()))
    assert is_inside(solid, (surface - 1e-3 * normals).T).all()
    assert not is_inside(solid, (surface + 1e-3 * normals).T).any()
    # Perpendicular: a small step along the surface's tangent leaves the surface only to second order.
    tangent = np.cross(normals.T, (0.3, -0.5, 0.8)).T * 1e-3
    assert is_inside(solid, (surface + tangent - 2e-4 * normals).T).mean() > 0.9
    assert not is_inside(solid, (surface + tangent + 2e-4 * normals).T).any()
