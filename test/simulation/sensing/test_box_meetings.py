"""A triangle meets exactly the voxels that hold a part of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pasco_core.data.simulation.truth.box_meetings import meetings
from pasco_core.data.simulation.truth.clipped_area import clipped_areas

SHAPE = (9, 7, 5)
_UNSURE = 1e-4  # voxels: single precision may tell less than this wrong


def part_inside(triangle: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """Reference: the triangle's corners after six cuts, one after the other, point by point."""
    polygon = list(triangle)
    for axis, (bound, sign) in itertools.product(range(3), ((low, 1.0), (high, -1.0))):
        kept: list[np.ndarray] = []
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            da, db = sign * (a[axis] - bound[axis]), sign * (b[axis] - bound[axis])
            if da >= 0:
                kept.append(a)
            if (da > 0 > db) or (da < 0 < db):
                kept.append(a + (b - a) * (da / (da - db)))
        polygon = kept
    return polygon


def area_of(polygon: list[np.ndarray]) -> float:
    normal = sum((np.cross(b - polygon[0], c - polygon[0]) for b, c in itertools.pairwise(polygon)), np.zeros(3))
    return 0.5 * float(np.linalg.norm(normal))


def random_triangles(n: int, size: float, seed: int) -> np.ndarray:
    """(n, 3, 3): some flat along an axis, some thin, some partly outside the grid."""
    rng = np.random.default_rng(seed)
    triangles = rng.uniform(-0.5, np.array(SHAPE) + 0.5, (n, 1, 3)) + rng.uniform(-size, size, (n, 3, 3))
    triangles[::5, :, 2] = triangles[::5, :1, 2]
    triangles[1::5, 2] = triangles[1::5, :2].mean(axis=1) + rng.uniform(-0.02, 0.02, (len(triangles[1::5]), 3))
    near = ((triangles.max(axis=1) > 0) & (triangles.min(axis=1) < SHAPE)).all(axis=1)
    return triangles[near]


@pytest.mark.parametrize(("size", "seed"), [(0.3, 0), (1.0, 1), (1.9, 2)])
def test_pairs_are_those_in_which_a_part_of_the_triangle_is_left(size: float, seed: int):
    triangles = random_triangles(40, size, seed)
    found = np.zeros((len(triangles), *SHAPE), bool)
    triangle, voxel = meetings(np.moveaxis(triangles, 0, 2), SHAPE)
    assert len(set(zip(triangle.tolist(), voxel.tolist(), strict=True))) == len(triangle)  # each pair once
    found.reshape(len(triangles), -1)[triangle, voxel] = True
    for row, *place in itertools.product(range(len(triangles)), *(range(n) for n in SHAPE)):
        low = np.array(place, np.float64)
        if found[(row, *place)]:
            assert part_inside(triangles[row], low - _UNSURE, low + 1 + _UNSURE)
        else:
            assert not part_inside(triangles[row], low + _UNSURE, low + 1 - _UNSURE)
    assert found.any(axis=(1, 2, 3)).mean() > 0.5


def test_what_passes_by_a_corner_of_the_grid_meets_nothing():
    beside = np.array([[[-1.0, 0.4, 0.5], [0.4, -1.0, 0.5], [-1.0, -1.0, 0.5]]])  # its bounds reach one voxel
    assert len(meetings(np.moveaxis(beside, 0, 2), SHAPE)[0]) == 0


def test_triangles_of_equal_bounds_are_not_mixed_up_however_many_there_are():
    one = np.array([[0.2, 0.2, 0.5], [1.8, 0.3, 0.6], [0.4, 1.7, 0.4]])
    numbers = np.arange(30_000)
    many = one + np.stack([numbers % 7, numbers % 5, numbers % 4], axis=1)[:, None]
    triangle, voxel = meetings(np.moveaxis(many, 0, 2), SHAPE)
    alone = {tuple(np.unravel_index(v, SHAPE)) for v in meetings(np.moveaxis(one[None], 0, 2), SHAPE)[1]}
    for i in (0, 1, 12_345, 29_999):
        step = np.array([i % 7, i % 5, i % 4])
        mine = {tuple(np.array(np.unravel_index(v, SHAPE)) - step) for v in voxel[triangle == i]}
        assert mine == alone
    assert len(triangle) == 30_000 * len(alone)


def test_clipped_areas_equal_those_of_the_point_by_point_clipper():
    rng = np.random.default_rng(5)
    triangles = rng.uniform(-1.0, 2.0, (600, 3, 3))
    triangles[::7] = np.round(triangles[::7])  # corners, edges and faces on the box
    areas = clipped_areas(np.moveaxis(triangles, 0, 2))
    for triangle, area in zip(triangles, areas, strict=True):
        polygon = part_inside(triangle, np.zeros(3), np.ones(3))
        assert area == pytest.approx(area_of(polygon) if polygon else 0.0, abs=1e-12)
    assert 0.2 < (areas > 0).mean() < 0.9


def test_no_triangles_have_no_pairs_and_no_areas():
    triangle, voxel = meetings(np.zeros((3, 3, 0)), SHAPE)
    assert len(triangle) == len(voxel) == len(clipped_areas(np.zeros((3, 3, 0)))) == 0
