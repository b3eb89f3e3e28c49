"""Poses, quaternions and points moved by them, against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from pasco_core.geometry.poses import moved_points, pose_matrix, quaternion_of, rigid_matrix, slerp


def test_roll_pitch_and_yaw_turn_about_fixed_axes_and_a_positive_pitch_looks_down():
    x_axis = pose_matrix([0, 0, 0, 0, 0.1, 0])[:3, 0]
    np.testing.assert_allclose(x_axis, [math.cos(0.1), 0, -math.sin(0.1)], atol=1e-12)
    np.testing.assert_allclose(pose_matrix([0, 0, 0, 0, 0, math.pi / 2])[:3, 0], [0, 1, 0], atol=1e-12)
    roll, pitch, yaw = 0.3, -0.2, 1.1
    by_hand = (Rotation.from_rotvec([0, 0, yaw]) * Rotation.from_rotvec([0, pitch, 0])
               * Rotation.from_rotvec([roll, 0, 0])).as_matrix()
    np.testing.assert_allclose(pose_matrix([1, 2, 3, roll, pitch, yaw])[:3, :3], by_hand, atol=1e-12)
    np.testing.assert_array_equal(pose_matrix([1, 2, 3, roll, pitch, yaw])[:3, 3], [1, 2, 3])


@pytest.mark.parametrize("seed", range(5))
def test_quaternions_points_and_slerp_are_those_of_scipy(seed):
    random = np.random.default_rng(seed)
    first, last = Rotation.random(2, rng=random)
    move, points = random.normal(size=3), random.normal(size=(9, 3))
    pose = rigid_matrix(move, first.as_quat())
    np.testing.assert_allclose(moved_points(points, pose), first.apply(points) + move, atol=1e-12)
    np.testing.assert_allclose(Rotation.from_quat(quaternion_of(pose)).as_matrix(), first.as_matrix(), atol=1e-12)
    assert quaternion_of(pose)[3] >= 0
    for share in (0.0, 0.3, 1.0):
        expected = Slerp([0, 1], Rotation.concatenate([first, last]))([share])[0]
        found = Rotation.from_quat(slerp(first.as_quat(), -last.as_quat(), share))
        assert (found.inv() * expected).magnitude() < 1e-9
    near = Rotation.from_rotvec([1e-12, 0, 0]) * first
    np.testing.assert_allclose(slerp(first.as_quat(), near.as_quat(), 0.5), first.as_quat(), atol=1e-9)
