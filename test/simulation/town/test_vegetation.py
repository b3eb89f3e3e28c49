"""Crowns let rays through as real ones do; prototypes stand upright on their origin."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.town.vegetation import SPECIES, Plants, leaves, tree

CLASS = {name: index for index, name in enumerate(SEMANTIC_KITTI.class_names)}


def crossings(triangles: np.ndarray, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """How many of (T, 3, 3) triangles each ray crosses, by solving for barycentric coordinates."""
    a, b, c = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    count = np.zeros(len(origin), int)
    for k, (o, d) in enumerate(zip(origin, direction, strict=True)):
        p = np.cross(d, c)
        scale = (b * p).sum(axis=1)
        s = o - a
        u = (s * p).sum(axis=1) / scale
        q = np.cross(s, b)
        v, t = (q @ d) / scale, (c * q).sum(axis=1) / scale
        count[k] = ((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)).sum()
    return count


@pytest.mark.parametrize("free_path", [0.5, 0.9])
def test_rays_through_a_crown_are_stopped_about_once_per_free_path(free_path):
    rng = np.random.default_rng(3)
    half = 1.6
    mesh = leaves(np.zeros((1, 3)), np.full((1, 3), half), 2500, free_path, rng)
    turn, low = rng.uniform(0, 2 * np.pi, 400), rng.uniform(-1.2, 1.2, (400, 2))
    side = np.stack([-np.sin(turn), np.cos(turn), np.zeros(400)], axis=1)
    ahead = np.stack([np.cos(turn), np.sin(turn), np.zeros(400)], axis=1)
    origin = -5.0 * ahead + low[:, :1] * side + low[:, 1:] * [0.0, 0.0, 1.0]
    inside = 2.0 * np.sqrt(np.maximum(half**2 - (low**2).sum(axis=1), 0.0))
    found = crossings(mesh.vertices[mesh.triangles].astype(float), origin, ahead)
    assert 0.75 < inside.sum() / found.sum() / free_path < 1.35


@pytest.mark.parametrize("name", SPECIES)
def test_a_tree_has_a_trunk_in_the_ground_below_a_crown_of_its_species_height(name):
    species = SPECIES[name]
    mesh = tree(species, np.random.default_rng(1))
    corner = mesh.vertices[mesh.triangles]
    trunk, crown = (corner[mesh.category == CLASS[c]].reshape(-1, 3) for c in ("trunk", "vegetation"))
    assert -0.6 < trunk[:, 2].min() < 0.0
    assert np.abs(trunk[:, :2]).max() < 0.8
    assert species.fork - 0.1 < trunk[:, 2].max() < species.fork + 0.1
    assert 0.75 * species.height < crown[:, 2].max() < 1.25 * species.height
    assert len(mesh) < 5000


def test_plants_of_a_seed_are_the_same_again_and_of_another_seed_are_not():
    one, two, other = Plants(1), Plants(1), Plants(2)
    for a, b in ((one.trees["oak"][1], two.trees["oak"][1]), (one.bushes[0], two.bushes[0])):
        assert np.array_equal(a.vertices, b.vertices)
    assert not np.array_equal(one.bushes[0].vertices, other.bushes[0].vertices)
