"""The pinhole camera against hand-made projections."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.errors import ConfigError
from pasco_core.viz import Camera

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
