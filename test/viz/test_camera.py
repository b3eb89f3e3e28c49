"""The pinhole camera against hand-made projections."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID, VoxelGrid
from pasco_core.viz import Camera, chase_camera

CAMERA = Camera(position=(0.0, 0.0, 2.0), target=(10.0, 0.0, 2.0), width=200, height=100, vertical_fov=90.0)


def test_left_is_left_and_up_is_up_in_the_picture():
    pixels, depth = CAMERA.project(np.array([[10.0, 0.0, 2.0], [10.0, 5.0, 2.0], [10.0, 0.0, 7.0]]))
    # 90 degrees over 100 rows: 50 pixels per metre at 1 m, so 5 m aside at 10 m are 25 pixels.
    assert pixels == pytest.approx(np.array([[100.0, 50.0], [75.0, 50.0], [100.0, 25.0]]))
    assert depth == pytest.approx(10.0)


def test_a_point_behind_the_camera_has_no_pixel():
    pixels, depth = CAMERA.project(np.array([[-1.0, 0.0, 2.0]]))
    assert np.isnan(pixels).all()
    assert depth[0] < 0


def test_the_ray_of_a_pixel_projects_back_to_that_pixel():
    camera = Camera((-17.0, 3.0, 19.0), (20.0, -2.0, -3.0), 64, 48, 42.0)
    rays = camera.ray_directions().reshape(-1, 3)
    pixels, depth = camera.project(camera.position + 7.0 * rays)
    columns, rows = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    assert pixels == pytest.approx(np.stack([columns.ravel(), rows.ravel()], axis=1))
    assert depth == pytest.approx(7.0)


@pytest.mark.parametrize("size", [(1242, 568), (619, 225), (960, 560), (408, 272), (400, 400), (300, 600)])
@pytest.mark.parametrize("grid", [KITTI_GRID, VoxelGrid((-25.6, -25.6, -2.0), 0.4, (128, 128, 16))])
def test_from_behind_the_car_the_whole_grid_is_in_the_picture_and_fills_it(size: tuple[int, int], grid: VoxelGrid):
    ends = np.array([grid.origin, grid.upper])
    corners = np.array([ends[list(which), range(3)] for which in np.ndindex(2, 2, 2)])
    car = np.array([[x, y, -1.5] for x in (-1.9, 2.6) for y in (-0.9, 0.9)])
    pixels, depth = chase_camera(*size, grid).project(np.concatenate([corners, car]))
    assert (depth > 0).all()
    assert (pixels >= 0).all() and (pixels <= size).all()
    assert (np.ptp(pixels, axis=0) / size).max() > 0.9
    left, right = pixels[np.r_[2, 3, 6, 7], 0], pixels[np.r_[0, 1, 4, 5], 0]
    assert left.max() < right.min()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "picture size to be at least 1 x 1"),
        ({"vertical_fov": 180.0}, "vertical_fov to be between 0 and 180"),
        ({"target": (0.0, 0.0, -5.0)}, "neither straight down nor up"),
    ],
)
def test_an_impossible_camera_is_refused_by_the_broken_rule(change: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        Camera(**{"position": (0.0, 0.0, 2.0), "target": (10.0, 0.0, 2.0), **change})
