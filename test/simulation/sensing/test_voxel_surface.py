"""Occupied voxels are exactly those that a triangle passes through, and are what most of their surface is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from stand_in_world import CLASS, mesh

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.truth.clipped_area import clipped_areas
from pasco_core.data.simulation.truth.voxel_surface import surface_voxels
from pasco_core.geometry import VoxelGrid

GRID = VoxelGrid((0.0, -1.0, -2.0), 0.25, (12, 10, 8))


def clip(polygon: list[np.ndarray], axis: int, bound: float, sign: float) -> list[np.ndarray]:
    """The part of a convex polygon on one side of a plane across an axis, point by point."""
    kept: list[np.ndarray] = []
    for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=False):
        da, db = sign * (a[axis] - bound), sign * (b[axis] - bound)
        if da >= 0:
            kept.append(a)
        if (da > 0 > db) or (da < 0 < db):
            kept.append(a + (b - a) * (da / (da - db)))
    return kept


def area_in_voxel(triangle: np.ndarray, voxel: tuple[int, ...], grid: VoxelGrid) -> float:
    """Reference: clip by the six sides, then sum the fan."""
    low = np.asarray(grid.origin) + np.asarray(voxel) * grid.voxel_size
    polygon = [np.asarray(p, np.float64) for p in triangle]
    for axis in range(3):
        for bound, sign in ((low[axis], 1.0), (low[axis] + grid.voxel_size, -1.0)):
            polygon = clip(polygon, axis, bound, sign)
    normal = sum((np.cross(b - polygon[0], c - polygon[0]) for b, c in itertools.pairwise(polygon)), np.zeros(3))
    return 0.5 * float(np.linalg.norm(normal))


def random_mesh(n: int, seed: int, size: float = 1.5) -> Mesh:
    rng = np.random.default_rng(seed)
    centre = rng.uniform(GRID.origin, GRID.upper, (n, 1, 3))
    vertices = (centre + rng.uniform(-size, size, (n, 3, 3))).reshape(-1, 3)
    parts = mesh(vertices, np.arange(3 * n).reshape(-1, 3), "road")
    category = rng.choice([1, 9, 13], n).astype(np.uint8)
    instance = np.where(category == 1, rng.integers(1, 4, n), 0)
    return Mesh(parts.vertices, parts.triangles, category, instance, parts.material)


def areas(surface: Mesh, voxel: tuple[int, ...]) -> np.ndarray:
    return np.array([area_in_voxel(surface.vertices[t], voxel, GRID) for t in surface.triangles])


@pytest.mark.parametrize(("seed", "size"), [(0, 1.5), (1, 0.2), (2, 5.0)])
def test_voxels_classes_and_instances_equal_those_of_a_clipper(seed: int, size: float):
    surface = random_mesh(9, seed, size)
    voxels, classes, instances = surface_voxels(surface, GRID)
    found = dict(zip(voxels.tolist(), zip(classes.tolist(), instances.tolist(), strict=False), strict=False))
    assert voxels.tolist() == sorted(found)
    for flat in range(GRID.n_voxels):
        inside = areas(surface, tuple(int(i) for i in np.unravel_index(flat, GRID.shape)))
        if 0 < inside.sum() < 1e-7:
            continue  # touched by less than rounding errors
        assert (flat in found) == (inside.sum() > 0)
        if flat in found:
            per_class = {c: inside[surface.category == c].sum() for c in np.unique(surface.category)}
            best = max(per_class.values())
            assert per_class[found[flat][0]] == pytest.approx(best, abs=1e-9)
            mine = surface.category == found[flat][0]
            per_instance = {i: inside[mine & (surface.instance == i)].sum() for i in np.unique(surface.instance[mine])}
            assert per_instance[found[flat][1]] == pytest.approx(max(per_instance.values()), abs=1e-9)


def square(z: float, half: float, category: str, instance: int = 0) -> Mesh:
    """Level, around the middle of voxel (0, 0) of ``ONE``."""
    low, high = 0.5 - half, 0.5 + half
    corners = [(low, low, z), (high, low, z), (high, high, z), (low, high, z)]
    return mesh(corners, [(0, 1, 2), (0, 2, 3)], category, instance)


ONE = VoxelGrid((0.0, 0.0, 0.0), 1.0, (2, 2, 2))


def only(*parts: Mesh) -> tuple[int, int]:
    voxels, classes, instances = surface_voxels(Mesh.joined(parts), ONE)
    assert voxels.tolist() == [0]
    return int(classes[0]), int(instances[0])


def test_the_class_with_the_largest_area_wins():
    assert only(square(0.2, 0.4, "road"), square(0.6, 0.3, "car", 5)) == (CLASS["road"], 0)
    assert only(square(0.2, 0.3, "road"), square(0.6, 0.4, "car", 5)) == (CLASS["car"], 5)


def test_two_small_areas_of_a_class_beat_a_larger_one_of_another():
    assert only(square(0.2, 0.4, "road"), square(0.5, 0.3, "car", 5), square(0.7, 0.31, "car", 6)) == (CLASS["car"], 6)


def test_of_equal_areas_the_smallest_class_and_instance_wins():
    assert only(square(0.2, 0.25, "road"), square(0.6, 0.25, "car", 5)) == (CLASS["car"], 5)
    assert only(square(0.2, 0.25, "car", 9), square(0.6, 0.25, "car", 5)) == (CLASS["car"], 5)


def test_a_surface_on_the_border_of_two_voxels_is_in_one_of_them_at_least():
    voxels, _, _ = surface_voxels(square(1.0, 0.4, "road"), ONE)
    assert 1 <= len(voxels) <= 2
    assert set(voxels.tolist()) <= {0, 1}


def test_nothing_and_what_lies_outside_occupy_nothing():
    for surface in (Mesh.joined([]), square(2.5, 0.4, "road"), square(-0.1, 0.4, "road")):
        voxels, classes, instances = surface_voxels(surface, ONE)
        assert len(voxels) == len(classes) == len(instances) == 0


def test_clipped_areas_equal_the_share_of_random_points_inside():
    rng = np.random.default_rng(4)
    corners = rng.uniform(-1.0, 2.0, (60, 3, 3))
    uv = rng.random((200_000, 2))
    uv = np.where(uv.sum(axis=1, keepdims=True) > 1, 1 - uv, uv)
    for triangle, area in zip(corners, clipped_areas(corners.transpose(1, 2, 0)), strict=True):
        a, b, c = triangle
        points = a + uv[:, :1] * (b - a) + uv[:, 1:] * (c - a)
        whole = 0.5 * np.linalg.norm(np.cross(b - a, c - a))
        share = ((points > 0) & (points < 1)).all(axis=1).mean()
        assert area == pytest.approx(whole * share, abs=0.006 * whole + 1e-12)
