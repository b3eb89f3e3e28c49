"""The fast test of what is seen agrees with single rays."""

from __future__ import annotations

import numpy as np
import pytest
from stand_in_world import BoxWorld, box, ground

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.sensing.rays import RayScene
from pasco_core.data.simulation.truth.seen_voxels import seen_voxels
from pasco_core.data.simulation.truth.sight import COLUMNS, ROWS, Sphere, pixel_directions, pixel_of
from pasco_core.geometry import KITTI_GRID, VoxelGrid


def slow_sight(scene: RayScene, place: np.ndarray, grid: VoxelGrid, pose: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Reference: one ray to the centre of every voxel; is it free until it enters the voxel?"""
    centre = grid.centre_of(np.stack(np.unravel_index(voxels, grid.shape), axis=1))
    local = np.linalg.inv(pose) @ np.append(place, 1.0)
    to = centre - local[:3]
    enters = 1.0 - grid.voxel_size / 2 / np.maximum(np.abs(to).max(axis=1), grid.voxel_size / 2)
    return scene.distances(place, (to @ pose[:3, :3].T).astype(np.float32)) >= enters


def pose_at(x: float, y: float, degrees: float, z: float = 1.73) -> np.ndarray:
    pose, angle = np.eye(4), np.radians(degrees)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = x, y, z
    return pose


@pytest.mark.parametrize(("degrees", "ahead"), [(0.0, 0.0), (17.0, 0.0), (-40.0, 30.0), (3.0, 55.0)])
def test_one_place_sees_what_single_rays_reach(degrees: float, ahead: float):
    scene = RayScene(Mesh.joined(BoxWorld().parts))
    pose = pose_at(1.3, -1.9, degrees)
    place = pose[:3, 3] + pose[:3, 0] * ahead
    voxels = np.sort(np.random.default_rng(0).choice(KITTI_GRID.n_voxels, 120_000, replace=False))
    fast = seen_voxels([Sphere(scene, place)], KITTI_GRID, pose).reshape(-1)[voxels]
    slow = slow_sight(scene, place, KITTI_GRID, pose, voxels)
    assert 0.2 < slow.mean() < 0.95
    assert (fast != slow).mean() < 0.01  # at the edges of shadows, half a pixel off
    assert abs(fast.mean() - slow.mean()) < 0.004


def test_several_places_see_what_any_of_them_sees():
    scene = RayScene(Mesh.joined(BoxWorld().parts))
    pose = pose_at(0.0, 0.0, 5.0)
    spheres = [Sphere(scene, np.array([x, 0.4, 1.73])) for x in (0.0, 25.0, 48.0)]
    together = seen_voxels(spheres, KITTI_GRID, pose)
    alone = [seen_voxels([sphere], KITTI_GRID, pose) for sphere in spheres]
    assert np.array_equal(together, alone[0] | alone[1] | alone[2])
    assert np.array_equal(together, seen_voxels(spheres[::-1], KITTI_GRID, pose))
    assert together.sum() > max(a.sum() for a in alone)


def test_what_was_seen_before_is_kept_and_the_rest_is_asked_for():
    scene = RayScene(Mesh.joined(BoxWorld().parts))
    grid = VoxelGrid((0.0, -6.0, -2.1), 0.2, (61, 59, 30))  # not a multiple of the blocks' size
    pose = pose_at(0.0, 0.0, 5.0)
    near, far = (seen_voxels([Sphere(scene, np.array([x, 0.4, 1.73]))], grid, pose) for x in (0.0, 25.0))
    scattered = np.random.default_rng(0).random(grid.shape) < 0.3
    for before in (near, scattered, np.ones(grid.shape, bool)):
        together = seen_voxels([Sphere(scene, np.array([25.0, 0.4, 1.73]))], grid, pose, before=before)
        assert np.array_equal(together, before | far)


def test_above_a_plane_everything_is_seen_and_below_it_nothing():
    grid = VoxelGrid((0.0, -6.0, -2.1), 0.2, (61, 59, 30))  # not a multiple of the blocks' size
    place = np.array([0.0, 0.0, 0.0])
    seen = seen_voxels([Sphere(RayScene(ground(200.0, z=-1.7)), place)], grid, np.eye(4))
    top = -2.1 + 0.2 * (np.arange(30) + 1)
    assert seen[:, :, top - 0.2 > -1.69].all()
    assert not seen[:, :, top < -1.71].any()


def test_a_thin_pole_casts_a_thin_shadow():
    pole = RayScene(box((5.0, -0.06, -5.0), (5.12, 0.06, 5.0), "pole"))
    seen = seen_voxels([Sphere(pole, np.zeros(3))], KITTI_GRID, np.eye(4))
    far = seen[200, :, 10]  # x = 40.1 m
    hidden = np.flatnonzero(~far)
    width = 2 * 0.06 / 5.0 * 40.1
    assert 0 < len(hidden) <= width / 0.2 + 3
    assert np.abs(hidden - 127.5).max() < width / 0.4 + 2


def test_in_empty_space_everything_is_seen():
    assert seen_voxels([Sphere(RayScene(Mesh.joined([])), np.zeros(3))], KITTI_GRID, np.eye(4)).all()


def test_without_a_place_nothing_is_seen():
    assert not seen_voxels([], KITTI_GRID, np.eye(4)).any()


def test_every_pixel_s_direction_is_found_in_that_pixel():
    directions = pixel_directions()
    assert np.array_equal(pixel_of(*directions.T), np.arange(ROWS * COLUMNS))
    np.testing.assert_allclose(np.abs(directions[:, :2]).sum(axis=1), 1.0, atol=1e-6)
