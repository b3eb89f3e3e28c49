"""Grid and rigid transforms against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.rigid import check_transform, mirror_y, warp_voxels, yaw

VOXELS = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 31))


@given(st.lists(VOXELS, min_size=1))
def test_the_centre_of_a_voxel_lies_in_it(voxels):
    voxels = np.array(voxels)
    np.testing.assert_array_equal(KITTI_GRID.voxel_of(KITTI_GRID.centre_of(voxels)), voxels)


def test_the_grid_contains_its_lower_corner_but_not_its_upper_one():
    corners = np.array([[0, -25.6, -2.0], [51.2, 0, 0], [0, 25.6, 0], [0, 0, 4.4], [51.19, 25.59, 4.39]])
    assert KITTI_GRID.contains(corners).tolist() == [True, False, False, False, True]


def test_a_point_just_below_the_upper_bound_is_in_the_last_voxel():
    point = np.nextafter(np.array([[51.2, 25.6, 4.4]], np.float32), np.float32(0))
    assert KITTI_GRID.contains(point).all()
    assert KITTI_GRID.voxel_of(point).tolist() == [[255, 255, 31]]


@given(st.lists(VOXELS, min_size=1))
def test_the_identity_moves_no_voxel_and_the_mirror_swaps_left_and_right(voxels):
    voxels = np.array(voxels)
    np.testing.assert_array_equal(warp_voxels(voxels, np.eye(4, dtype=np.float32), KITTI_GRID), voxels)
    mirrored = voxels * [1, -1, 1] + [0, 255, 0]
    np.testing.assert_array_equal(warp_voxels(voxels, mirror_y(), KITTI_GRID), mirrored)


def test_a_quarter_turn_takes_forward_to_left():
    np.testing.assert_allclose(yaw(90.0) @ [1, 0, 0, 1], [0, 1, 0, 1], atol=1e-7)


def test_warping_rounds_the_moved_centre_to_the_nearest_voxel():
    voxels = np.random.default_rng(0).integers(0, [256, 256, 32], (500, 3))
    matrix = yaw(17.0)
    matrix[:3, 3] = [0.13, -0.27, 0.08]
    moved = KITTI_GRID.centre_of(voxels) @ matrix[:3, :3].T.astype(float) + matrix[:3, 3]
    exact = (moved - KITTI_GRID.origin) / 0.2 - 0.5
    assert np.abs(warp_voxels(voxels, matrix, KITTI_GRID) - exact).max() < 0.5 + 1e-3


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"4×4 matrix, got shape \(3, 3\)"),
        (np.full((4, 4), np.nan), "to be finite"),
        (np.zeros((4, 4)), "affine and invertible"),
        (np.diag([1, 1, 1, 2]), "affine and invertible"),
    ],
)
def test_a_matrix_that_is_no_transform_is_refused(matrix, message):
    with pytest.raises(ConfigError, match=message):
        check_transform(matrix)
