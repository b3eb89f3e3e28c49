"""Subnet transforms and the boxes they give."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID, VoxelGrid
from pasco_core.geometry.rigid import warp_voxels, yaw
from pasco_core.systems.pasco.transforms import (
    GridWarp,
    check_transforms,
    fixed_transforms,
    random_near_transforms,
    random_transforms,
)

SMALL_GRID = VoxelGrid((0.0, -1.6, -0.8), 0.2, (16, 16, 8))


def test_the_first_fixed_transform_is_the_identity_and_its_box_the_whole_grid():
    warp = GridWarp.of(fixed_transforms(1)[0], KITTI_GRID)
    assert warp.box_min.tolist() == [0, 0, 0] and warp.box_max.tolist() == [255, 255, 31]
    np.testing.assert_array_equal(warp.cells, np.arange(KITTI_GRID.n_voxels))


@pytest.mark.parametrize("matrix", [*fixed_transforms(4), yaw(37.0)])
def test_the_box_holds_every_warped_voxel_and_starts_at_a_multiple_of_8(matrix):
    warp = GridWarp.of(matrix, SMALL_GRID)
    voxels = np.stack(np.meshgrid(*map(np.arange, SMALL_GRID.shape), indexing="ij"), -1).reshape(-1, 3)
    warped = warp_voxels(voxels, matrix, SMALL_GRID)
    assert (warp.box_min % 8 == 0).all()
    assert (warped >= warp.box_min).all() and (warped.max(0) == warp.box_max).all()
    np.testing.assert_array_equal(
        np.stack(np.unravel_index(warp.cells.numpy(), warp.box_shape), 1) + warp.box_min, warped
    )


def test_random_transforms_stay_within_the_published_ranges_and_follow_the_seed():
    draws = random_transforms(400, np.random.default_rng(0))
    again = random_transforms(400, np.random.default_rng(0))
    assert all(np.array_equal(a, b) for a, b in zip(draws, again))
    mirrored = [np.linalg.det(matrix[:3, :3]) < 0 for matrix in draws]
    assert 140 < sum(mirrored) < 260
    for matrix, mirror in zip(draws, mirrored):
        turn = matrix[:3, :3] @ np.diag([1, -1 if mirror else 1, 1])
        assert abs(np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))) <= 30.001
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
        assert (np.abs(matrix[:3, 3]) <= [0.3001, 0.3001, 0.2001]).all()


def test_another_number_of_transforms_than_subnets_is_refused():
    with pytest.raises(ConfigError, match="Expected 2 transforms, one per subnet, got 1"):
        check_transforms([np.eye(4)], 2)


def test_a_grid_off_the_multiples_of_8_is_refused():
    with pytest.raises(ConfigError, match=r"multiples of 8, got \(16, 16, 9\)"):
        GridWarp.of(np.eye(4, dtype=np.float32), VoxelGrid((0, 0, 0), 0.2, (16, 16, 9)))


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """Degrees of the rotation that leads from one view to the other; NaN if it mirrors."""
    turn = a[:3, :3] @ np.linalg.inv(b[:3, :3])
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))) if np.linalg.det(turn) > 0 else np.nan


def test_views_of_networks_without_mirrored_views_differ_by_some_degrees_only():
    fixed = fixed_transforms(4, mirrored=False)
    np.testing.assert_array_equal(fixed[0], np.eye(4))
    assert 0 < max(angle_between(view, fixed[0]) for view in fixed[1:]) <= 5.0
    mirrored = 0
    for seed in range(40):
        views = random_near_transforms(3, np.random.default_rng(seed), max_angle=30.0, max_shift=0.2)
        assert all(angle_between(view, views[0]) <= 10.0 + 1e-3 for view in views[1:])
        mirrored += np.linalg.det(views[0][:3, :3]) < 0
    assert 8 < mirrored < 32
