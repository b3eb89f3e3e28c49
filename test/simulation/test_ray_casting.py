"""First hits among many solids, compared with testing every ray against every solid."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.simulation.ground import SteppedGround
from pasco_core.data.simulation.ray_casting import cast
from pasco_core.data.simulation.sensor import SpinningLidar
from pasco_core.data.simulation.solids import Shape, Solid, unit_interval

GROUND = SteppedGround(edges=(), heights=(0.0,), categories=(9,))
SENSOR = SpinningLidar(tuple(np.linspace(12.0, -25.0, 20)), 180, 1.73, 80.0, 0.0, 0.0)
ORIGIN = np.array([1.0, -2.0, 1.73])


def random_street(count: int, seed: int) -> list[Solid]:
    rng = np.random.default_rng(seed)
    solids = []
    for _ in range(count):
        shape = list(Shape)[rng.integers(3)]
        centre = (*rng.uniform(-30, 30, 2), rng.uniform(-0.5, 4.0))
        solids.append(Solid(shape, centre, tuple(rng.uniform(0.1, 4.0, 3)), rng.uniform(-4, 4), category=1))
    return solids


def first_hits_of_every_ray(solids: list[Solid], directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance and solid (-2 ground, -1 nothing) with no ray left out."""
    nearest, index = GROUND.first_hits(ORIGIN, directions)[0], None
    index = np.where(np.isfinite(nearest), -2, -1)
    for i, solid in enumerate(solids):
        start = solid.to_local(np.subtract(ORIGIN, solid.centre))
        enter, leave = unit_interval(solid, start, solid.to_local(directions))
        hit = (enter < leave) & (enter > 0) & (enter < nearest)
        nearest, index = np.where(hit, enter, nearest), np.where(hit, i, index)
    return nearest, index


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_leaving_out_rays_that_cannot_meet_a_solid_loses_no_hit(yaw: float):
    solids = random_street(60, seed=5)
    x, y, z = SENSOR.directions()
    turned = np.stack([np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y, z])
    hits = cast(solids, GROUND, ORIGIN, turned, 80.0, np.random.default_rng(0))
    distance, index = first_hits_of_every_ray(solids, turned.reshape(3, -1).astype(np.float64))
    assert len(np.unique(index)) > 15
    assert (hits.solid.ravel() == index).all()
    assert np.allclose(hits.distance.ravel(), distance)


def test_a_solid_straight_ahead_is_hit_on_both_sides_of_azimuth_zero():
    box = Solid(Shape.BOX, (11.0, -2.0, 1.73), (1.0, 3.0, 1.0), 0.0, category=1)
    hits = cast([box], GROUND, ORIGIN, SENSOR.directions(), 80.0, np.random.default_rng(0))
    columns = np.flatnonzero((hits.solid == 0).any(axis=0))
    half = int(np.degrees(np.arctan2(3.0, 9.0)) / 2.0)
    assert columns.tolist() == [*range(half + 1), *range(180 - half, 180)]


def test_nothing_beyond_the_maximum_range_is_tested():
    box = Solid(Shape.BOX, (40.0, -2.0, 1.73), (1.0, 3.0, 1.0), 0.0, category=1)
    hits = cast([box], GROUND, ORIGIN, SENSOR.directions(), 30.0, np.random.default_rng(0))
    assert not (hits.solid == 0).any()


def test_rays_get_into_foliage_by_its_mean_free_path():
    leaves = Solid(Shape.BOX, (15.0, -2.0, 1.73), (8.0, 12.0, 12.0), 0.0, category=15, mean_free_path=0.7)
    surface = Solid(Shape.BOX, (15.0, -2.0, 1.73), (8.0, 12.0, 12.0), 0.0, category=15)
    # A narrow fan straight at the front: there a ray has 16 m of leaves before it.
    directions = SpinningLidar(tuple(np.linspace(12.0, 0.0, 20)), 2000, 1.73, 80.0, 0.0, 0.0).directions()
    into = cast([leaves], GROUND, ORIGIN, directions, 80.0, np.random.default_rng(0))
    onto = cast([surface], GROUND, ORIGIN, directions, 80.0, np.random.default_rng(0))
    both = (np.abs(directions[1]) < 0.3) & (into.solid == 0) & (onto.solid == 0)
    depth = into.distance[both] - onto.distance[both]
    assert depth.min() > 0
    assert len(depth) > 2000
    assert depth.mean() == pytest.approx(0.7, rel=0.1)


def test_the_cosine_is_that_of_the_angle_of_incidence():
    wall = Solid(Shape.BOX, (11.0, -2.0, 1.73), (1.0, 40.0, 40.0), 0.0, category=13)
    directions = SENSOR.directions()
    hits = cast([wall], GROUND, ORIGIN, directions, 80.0, np.random.default_rng(0))
    on_wall = hits.solid == 0
    assert on_wall.sum() > 500
    assert np.allclose(hits.cosine[on_wall], directions[0][on_wall], atol=1e-6)
    assert np.allclose(hits.cosine[hits.on_ground], -directions[2][hits.on_ground], atol=1e-6)
