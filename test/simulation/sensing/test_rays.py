"""Rays meet what a calculator says they meet."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from stand_in_world import CLASS, box, ground, mesh

from pasco_core.data.simulation.materials import MATERIAL, MATERIALS
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.sensing.rays import RayScene, first_hits, hits_through_glass
from pasco_core.errors import ConfigError


def fan(n: int, seed: int = 0) -> np.ndarray:
    directions = np.random.default_rng(seed).normal(size=(n, 3))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)


def wall(x: float, material: str = "plaster", category: str = "building") -> Mesh:
    corners = [(x, -50, -50), (x, 50, -50), (x, 50, 50), (x, -50, 50)]
    return mesh(corners, [(0, 1, 2), (0, 2, 3)], category, 0, material)


def test_rays_inside_a_box_meet_its_walls_where_geometry_says():
    low, high = np.array([-3.0, -2.0, -1.0]), np.array([4.0, 5.0, 6.0])
    hits = first_hits([RayScene(box(low, high, "car", 7))], np.zeros(3), directions := fan(5000))
    with np.errstate(divide="ignore"):
        steps = np.where(directions > 0, high / directions, low / directions)
    np.testing.assert_allclose(hits.distance, steps.min(axis=1), rtol=2e-6)
    axis = steps.argmin(axis=1)
    np.testing.assert_allclose(np.abs(hits.normal[np.arange(5000), axis]), 1.0, atol=1e-6)
    assert (hits.category == CLASS["car"]).all()
    assert (hits.instance == 7).all()


def test_far_from_the_origin_distances_keep_their_precision_thanks_to_the_anchor():
    away = np.array([8192.0, -4096.0, 16.0])
    low, high = np.array([3.0, -1.0, -1.0]), np.array([4.0, 1.0, 1.0])
    near, far = box(low, high, "car"), box(low + away, high + away, "car")
    directions = fan(2000)
    expected = RayScene(near).distances(np.zeros(3), directions)
    np.testing.assert_allclose(RayScene(far, away).distances(away, directions), expected, rtol=1e-5)


def test_rays_between_touching_triangles_do_not_slip_through():
    n = 40
    at = np.stack(np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0), indexing="ij"), axis=-1).reshape(-1, 2)
    i, j = (k.ravel() for k in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    corner = i * (n + 1) + j
    triangles = np.concatenate(
        [np.stack([corner, corner + n + 1, corner + 1], 1), np.stack([corner + 1, corner + n + 1, corner + n + 2], 1)]
    )
    floor = mesh(np.column_stack([at, np.zeros(len(at))]), triangles, "road")
    corners, middles = at[(at > 0).all(1) & (at < n).all(1)], at[(at > 0).all(1)] - (0.5, 0.5)
    targets = np.concatenate([corners, middles])
    origin = np.array([11.3, 17.7, 5.0])
    directions = (np.column_stack([targets, np.zeros(len(targets))]) - origin).astype(np.float32)
    np.testing.assert_allclose(RayScene(floor).distances(origin, directions), 1.0, rtol=1e-5)


def test_of_several_scenes_the_nearest_surface_counts():
    scenes = [RayScene(wall(20.0)), RayScene(wall(10.0, category="fence")), RayScene(wall(30.0, category="car"))]
    hits = first_hits(scenes, np.zeros(3), np.array([[1.0, 0, 0], [-1.0, 0, 0]], np.float32))
    assert hits.distance.tolist() == [10.0, np.inf]
    assert hits.category.tolist() == [CLASS["fence"], 0]
    assert hits.scene.tolist() == [1, -1]
    assert hits.met.tolist() == [True, False]


def test_an_empty_mesh_is_met_by_nothing():
    hits = first_hits([RayScene(Mesh.joined([]))], np.zeros(3), fan(10))
    assert not hits.met.any()


def test_the_share_of_rays_that_glass_lets_through_goes_on_to_what_is_behind():
    scenes = [RayScene(Mesh.joined([wall(5.0, "window"), wall(9.0)]))]
    directions = np.tile(np.array([[1.0, 0, 0]], np.float32), (20000, 1))
    chance = np.random.default_rng(0).random(20000, np.float32)
    hits = hits_through_glass(scenes, np.zeros(3), directions, chance)
    through = hits.material == MATERIAL["plaster"]
    assert through.mean() == pytest.approx(MATERIALS[MATERIAL["window"]].passes, abs=0.015)
    np.testing.assert_allclose(hits.distance[through], 9.0, rtol=1e-5)
    np.testing.assert_allclose(hits.distance[~through], 5.0, rtol=1e-6)


def test_two_panes_let_through_the_product_of_their_shares():
    scenes = [RayScene(Mesh.joined([wall(5.0, "window"), wall(6.0, "window"), wall(9.0)]))]
    directions = np.tile(np.array([[1.0, 0, 0]], np.float32), (40000, 1))
    hits = hits_through_glass(scenes, np.zeros(3), directions, np.random.default_rng(1).random(40000, np.float32))
    share = MATERIALS[MATERIAL["window"]].passes
    assert (hits.distance > 8).mean() == pytest.approx(share**2, abs=0.015)
    assert np.abs(hits.distance - 6.0).min() < 1e-4


def test_the_same_rays_give_the_same_bits_from_scenes_built_twice():
    scene = Mesh.joined([ground(), *(box((k, k, 0), (k + 2, k + 1, 3), "building") for k in range(1, 60, 3))])
    directions = fan(20000, seed=3)
    first, second = (RayScene(scene).nearest(np.array([0.0, 0.0, 1.7]), directions) for _ in range(2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=False))


def test_without_embreex_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "embreex", None)
    monkeypatch.setitem(sys.modules, "embreex.mesh_construction", None)
    with pytest.raises(ConfigError, match=r"Expected embreex.*pip install 'pasco-ros\[sim\]'"):
        RayScene(ground())
