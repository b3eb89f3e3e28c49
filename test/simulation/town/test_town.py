"""The town as a whole: same seed same bits, classes, ids, ground without holes, room for the car."""

from __future__ import annotations

import numpy as np
import pytest
from town_rays import first_hits, only

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.materials import MATERIALS
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town import Town
from pasco_core.errors import ConfigError

GROUND = np.array(sorted(SEMANTIC_KITTI.ground_ids))
CLASS = {name: index for index, name in enumerate(SEMANTIC_KITTI.class_names)}


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(3)


def around(town: Town, time: float, radius: float = 60.0) -> Mesh:
    return town.geometry(town.ego_pose(time)[:2, 3], radius, time)


def assert_same(one: Mesh, two: Mesh) -> None:
    for name in ("vertices", "triangles", "category", "instance", "material"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_the_same_seed_gives_the_same_bits_in_whatever_order_one_looks():
    first, second = Town(5), Town(5)
    times = (40.0, 3.0, 95.0)
    forth = {t: around(first, t) for t in times}
    back = {t: around(second, t) for t in reversed(times)}
    for t in times:
        assert_same(forth[t], back[t])
        assert np.array_equal(first.ego_pose(t), second.ego_pose(t))
    assert_same(forth[3.0], around(first, 3.0))


def test_a_late_first_look_does_not_change_the_way_or_the_traffic():
    early, late = Town(6), Town(6)
    late.ego_pose(2000.0)
    for t in (0.0, 123.4, 700.0):
        assert np.array_equal(early.ego_pose(t), late.ego_pose(t))
    assert_same(around(early, 50.0, 40.0), around(late, 50.0, 40.0))


def test_what_stands_and_what_moves_make_up_the_whole(town):
    centre = town.ego_pose(20.0)[:2, 3]
    whole, standing = town.geometry(centre, 60.0, 20.0), town.standing(centre, 60.0)
    moving = town.moving(centre, 60.0, 20.0)
    assert len(whole) == len(standing) + len(moving)
    assert standing.instance.max() < moving.instance.min()  # a thing is in one of them
    assert_same(standing, town.standing(centre, 60.0))
    later = town.moving(centre, 60.0, 21.0)
    moved = []
    for number in np.intersect1d(moving.instance, later.instance):
        one, two = (m.vertices[m.triangles[m.instance == number]].mean(axis=(0, 1)) for m in (moving, later))
        moved.append(np.linalg.norm(one - two) > 0.3)
    assert any(moved)


def test_another_seed_gives_another_town(town):
    assert not np.array_equal(Town(4).ego_pose(30.0), town.ego_pose(30.0))


@pytest.mark.parametrize("seed", [-1, 1.5, "7", None, True])
def test_a_seed_that_is_no_whole_number_from_0_is_refused(seed):
    with pytest.raises(ConfigError, match="Expected the seed of a town to be a whole number from 0, got"):
        Town(seed)


def test_a_time_before_the_drive_a_bad_radius_and_a_bad_centre_are_refused(town):
    with pytest.raises(ConfigError, match="from -5 seconds on, got -9"):
        town.ego_pose(-9.0)
    with pytest.raises(ConfigError, match="from -5 seconds on, got nan"):
        town.geometry((0.0, 0.0), 50.0, float("nan"))
    with pytest.raises(ConfigError, match="radius to be a positive number of metres, got 0"):
        town.geometry((0.0, 0.0), 0.0, 0.0)
    with pytest.raises(ConfigError, match="centre to be two finite numbers"):
        town.geometry((0.0, 0.0, 0.0), 50.0, 0.0)


def test_arrays_have_the_agreed_types_and_ranges(town):
    mesh = around(town, 20.0)
    assert [a.dtype for a in (mesh.vertices, mesh.triangles, mesh.category, mesh.instance, mesh.material)] == [
        np.float32, np.int32, np.uint8, np.int32, np.uint8,
    ]  # fmt: skip
    assert mesh.triangles.min() >= 0
    assert mesh.triangles.max() < len(mesh.vertices)
    assert np.isfinite(mesh.vertices).all()
    assert mesh.category.min() >= 1
    assert mesh.category.max() < SEMANTIC_KITTI.n_classes
    assert mesh.material.max() < len(MATERIALS)
    assert len(mesh) < 1_200_000


def test_things_and_nothing_else_have_an_instance_of_one_class(town):
    seen: dict[int, int] = {}
    for t in (0.0, 30.0, 31.0, 90.0):
        mesh = around(town, t)
        thing = np.isin(mesh.category, sorted(SEMANTIC_KITTI.thing_ids))
        assert np.array_equal(mesh.instance > 0, thing)
        pairs = np.unique(np.stack([mesh.instance[thing], mesh.category[thing].astype(np.int32)]), axis=1)
        for number, category in pairs.T:
            assert seen.setdefault(int(number), int(category)) == category


def middles(mesh: Mesh) -> dict[int, np.ndarray]:
    """Middle of the box around each thing."""
    corner = mesh.vertices[mesh.triangles].reshape(len(mesh), 9)
    found = {}
    for number in np.unique(mesh.instance[mesh.instance > 0]):
        points = corner[mesh.instance == number].reshape(-1, 3)
        found[int(number)] = (points.min(axis=0) + points.max(axis=0)) / 2.0
    return found


def test_a_thing_keeps_its_number_and_moves_no_faster_than_traffic_may(town):
    before, after = middles(around(town, 60.0)), middles(around(town, 60.1))
    both = before.keys() & after.keys()
    assert len(both) > 0.8 * max(len(before), len(after))
    moved = np.array([np.linalg.norm(after[n] - before[n]) for n in both])
    assert moved.max() < 14.5 * 0.1 + 0.35
    assert (moved < 1e-3).any()
    assert (moved > 0.05).any()


def test_a_thing_is_no_larger_than_things_of_its_class_are(town):
    longest = {
        "car": 6.0,
        "bicycle": 2.5,
        "motorcycle": 3.0,
        "truck": 10.0,
        "other-vehicle": 13.0,
        "person": 2.2,
        "bicyclist": 2.6,
        "motorcyclist": 3.0,
    }
    mesh = around(town, 15.0)
    corner = mesh.vertices[mesh.triangles].reshape(len(mesh), 9)
    for number in np.unique(mesh.instance[mesh.instance > 0]):
        own = mesh.instance == number
        size = np.ptp(corner[own].reshape(-1, 3), axis=0)
        assert np.hypot(*size[:2]) < longest[SEMANTIC_KITTI.class_names[mesh.category[own][0]]]


def test_every_class_occurs_within_some_hundred_metres_of_a_few_towns():
    found: set[int] = set()
    for seed in range(4):
        town = Town(seed)
        for t in (10.0, 45.0, 80.0):
            found |= set(np.unique(around(town, t, 80.0).category).tolist())
    assert found == set(range(1, SEMANTIC_KITTI.n_classes))


@pytest.mark.parametrize("seed", [0, 3, 8])
def test_a_ray_from_above_always_meets_the_ground_where_the_height_function_says(seed):
    town = Town(seed)
    centre = town.ego_pose(33.0)[:2, 3]
    mesh = town.geometry(centre, 80.0, 33.0)
    ground = only(mesh, np.isin(mesh.category, GROUND))
    rng = np.random.default_rng(seed)
    turn, out = rng.uniform(0, 2 * np.pi, 40_000), 80.0 * np.sqrt(rng.random(40_000))
    xy = (centre + (out * np.stack([np.cos(turn), np.sin(turn)])).T).astype(np.float32)
    origins = np.concatenate([xy, np.full((len(xy), 1), 200.0)], axis=1)
    hit, distance = first_hits(ground, origins, np.tile([0.0, 0.0, -1.0], (len(xy), 1)))
    assert (hit >= 0).all()
    error = np.abs(200.0 - distance[:2000] - town.height(xy[:2000]))
    assert np.quantile(error, 0.98) < 0.03  # the rest lies on a kerb's edge
    assert error.max() < 0.2


def test_slanted_rays_below_the_horizon_meet_something(town):
    pose = town.ego_pose(12.0)
    mesh = town.geometry(pose[:2, 3], 100.0, 12.0)
    turn, fall = np.meshgrid(np.arange(0, 2 * np.pi, 0.004), np.radians([-4.0, -7.0, -12.0, -20.0]))
    directions = np.stack([np.cos(fall) * np.cos(turn), np.cos(fall) * np.sin(turn), np.sin(fall)], axis=-1).reshape(
        -1, 3
    )
    origins = np.repeat((pose[:3, 3] + [0.0, 0.0, 1.73])[None], len(directions), axis=0)
    assert (first_hits(mesh, origins, directions)[0] >= 0).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_but_ground_is_where_the_car_drives(seed):
    town = Town(seed)
    for t in np.arange(0.0, 150.0, 2.5):
        pose = town.ego_pose(float(t))
        mesh = town.geometry(pose[:2, 3], 12.0, float(t))
        own = (mesh.vertices - pose[:3, 3]) @ pose[:3, :3]
        near = (np.abs(own).max(axis=1) < 25.0)[mesh.triangles[:, 0]]
        others = only(mesh, near & ~np.isin(mesh.category, GROUND))
        corner = own[others.triangles]
        low, high = corner.min(axis=1), corner.max(axis=1)
        inside = (low[:, 0] < 2.9) & (high[:, 0] > -1.7) & (low[:, 1] < 0.95) & (high[:, 1] > -0.95) & (low[:, 2] < 2.0)
        assert not inside.any(), (t, np.unique(others.category[inside]))


def test_the_wheels_of_the_car_stand_on_road(town):
    for t in np.arange(0.0, 240.0, 3.0):
        pose = town.ego_pose(float(t))
        spots = (
            pose[:3, 3] + np.array([[1.9, 0.8, 0], [1.9, -0.8, 0], [-0.8, 0.8, 0], [-0.8, -0.8, 0]]) @ pose[:3, :3].T
        )
        assert np.abs(town.height(spots[:, :2]) - spots[:, 2]).max() < 0.03


def test_things_stand_on_the_ground(town):
    mesh = around(town, 25.0)
    corner = mesh.vertices[mesh.triangles].reshape(len(mesh), 9)
    for number, middle in middles(mesh).items():
        lowest = corner[mesh.instance == number].reshape(-1, 3)[:, 2].min()
        assert abs(lowest - town.height(middle[None, :2])[0]) < 0.25


def test_the_own_car_lies_under_the_sensor_and_is_no_thing(town):
    car = town.ego_car()
    assert set(np.unique(car.instance)) == {0}
    low, high = car.vertices.min(axis=0), car.vertices.max(axis=0)
    assert low[0] < 0 < high[0] and low[1] < 0 < high[1]
    assert abs(low[2]) < 0.05 and 1.3 < high[2] < 1.7


def parked_inside(mesh: Mesh, solid: np.ndarray) -> list[tuple[int, int]]:
    """Cars with one of the ``solid`` triangles in the box around their body less 10 cm, and its class."""
    corner = mesh.vertices[mesh.triangles]
    found = []
    for number in np.unique(mesh.instance[mesh.category == CLASS["car"]]):
        body = corner[mesh.instance == number].reshape(-1, 3)
        middle = (body.min(axis=0) + body.max(axis=0)) / 2.0
        axes = np.linalg.svd((body - body.mean(axis=0))[:, :2], full_matrices=False)[2]
        own = (body[:, :2] - middle[:2]) @ axes.T
        low, high = own.min(axis=0) + 0.1, own.max(axis=0) - 0.1
        near = solid[np.abs(corner[solid, 0, :2] - middle[:2]).max(axis=1) < 25.0]
        flat = (corner[near][..., :2] - middle[:2]) @ axes.T
        reach = (flat.min(axis=1) < high).all(axis=1) & (flat.max(axis=1) > low).all(axis=1)
        z = corner[near][..., 2] - body[:, 2].min()
        reach &= (z.min(axis=1) < 1.2) & (z.max(axis=1) > 0.3)
        if reach.any():
            found.append((int(number), int(mesh.category[near[reach]][0])))
    return found


@pytest.mark.parametrize("seed", [0, 2])
def test_no_car_stands_in_a_house_a_fence_a_tree_a_post_or_another_thing(seed):
    town = Town(seed)
    for t in (5.0, 40.0, 90.0):
        mesh = around(town, t, 70.0)
        names = ("building", "fence", "trunk", "pole", "truck", "other-vehicle", "person", "motorcycle", "bicycle")
        solid = np.flatnonzero(np.isin(mesh.category, [CLASS[n] for n in names]))
        assert parked_inside(mesh, solid) == []
