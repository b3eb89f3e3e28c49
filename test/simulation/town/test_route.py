"""The drive: limits of speed, side force and turning, and nothing that jumps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pasco_core.data.simulation.town import Town
from pasco_core.data.simulation.town.layout import Plan, Sheet


def drive(seed: int, start: float = 0.0, stop: float = 600.0, step: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    town = Town(seed)
    _, xy, heading = town.route.position(np.arange(start, stop, step))
    return xy, heading


@pytest.mark.parametrize("seed", range(6))
def test_ten_minutes_of_driving_keep_the_limits(seed):
    xy, heading = drive(seed)
    speed = np.hypot(*np.diff(xy, axis=0).T) / 0.1
    assert speed.min() > 2.0
    assert speed.max() < 14.5
    assert 6.0 < speed.mean() < 12.5
    turning = np.abs(np.diff(heading)) / 0.1
    assert turning.max() < 0.8
    assert (turning * speed).max() < 2.6  # metres per second squared to the side
    assert np.abs(np.diff(speed)).max() / 0.1 < 3.0


def test_the_pose_changes_without_jumps_and_is_rigid():
    town = Town(2)
    poses = np.array([town.ego_pose(t) for t in np.arange(100.0, 130.0, 0.05)])
    assert np.allclose(poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.linalg.det(poses[:, :3, :3]).min() > 0.999
    assert np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).max() < 14.5 * 0.05
    assert np.abs(np.diff(poses[:, :3, :3], axis=0)).max() < 0.05
    assert poses[:, 2, 2].min() > 0.98


def test_the_car_faces_where_it_goes():
    xy, heading = drive(7, 0.0, 120.0)
    course = np.unwrap(np.arctan2(*np.diff(xy, axis=0).T[::-1]))
    assert np.abs(np.angle(np.exp(1j * (course - (heading[1:] + heading[:-1]) / 2)))).max() < 0.06


def test_roads_go_up_and_down():
    heights = [Town(s).sheet.hills(drive(s, 0, 300, 1.0)[0]) for s in range(4)]
    assert max(np.ptp(h) for h in heights) > 2.5


def test_the_sheet_is_bent_and_unbent_again():
    sheet = Sheet(4)
    uv = np.random.default_rng(0).uniform(-900, 900, (500, 2))
    assert np.allclose(sheet.to_sheet(sheet.to_world(uv)), uv, atol=1e-6)
    step = 1e-3
    change = (sheet.to_world(uv + np.array([step, 0])) - sheet.to_world(uv)) / step
    other = (sheet.to_world(uv + np.array([0, step])) - sheet.to_world(uv)) / step
    assert np.abs((change * other).sum(axis=1)).max() < 0.25  # right angles stay nearly right
    assert np.abs(np.linalg.norm(change, axis=1) - 1).max() < 0.03


def test_streets_are_far_enough_apart_for_blocks_between_them():
    plan = Plan(1)
    for axis in (0, 1):
        edges = [(plan.position(axis, k), plan.profile(axis, k).walk) for k in range(-30, 30)]
        gaps = [b[0] - b[1] - a[0] - a[1] for a, b in itertools.pairwise(edges)]
        assert min(gaps) > 30.0
