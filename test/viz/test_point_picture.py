"""Points in perspective."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.errors import DataError
from pasco_core.viz import Camera, render_points
from pasco_core.viz.point_picture import NIGHT

CAMERA = Camera((0.0, 0.0, 2.0), (10.0, 0.0, 2.0), 120, 80, 60.0)
RED, BLUE = (250, 10, 10), (10, 10, 250)


def test_a_point_appears_at_the_pixel_it_projects_to():
    image = render_points(np.array([[60.0, 12.0, 5.0]]), np.array([RED]), CAMERA, supersample=1)
    column, row = np.floor(CAMERA.project(np.array([[60.0, 12.0, 5.0]]))[0][0]).astype(int)
    assert np.argwhere((image != NIGHT).any(axis=2)).tolist() == [[row, column]]
    assert image[row, column].tolist() == list(RED)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_the_nearer_point_wins_in_whatever_order_they_come(order: slice):
    points, colours = np.array([[10.0, 0.0, 2.0], [60.0, 0.0, 2.0]])[order], np.array([RED, BLUE])[order]
    image = render_points(points, colours, CAMERA, supersample=1)
    assert image[40, 60].tolist() == list(RED)


def test_a_near_point_covers_more_pixels_than_a_far_one():
    near = render_points(np.array([[2.0, 0.0, 2.0]]), np.array([RED]), CAMERA, supersample=1)
    far = render_points(np.array([[50.0, 0.0, 2.0]]), np.array([RED]), CAMERA, supersample=1)
    assert (near != NIGHT).any(axis=2).sum() > (far != NIGHT).any(axis=2).sum() == 1


def test_points_behind_the_camera_and_not_finite_are_not_drawn():
    points = np.array([[-5.0, 0.0, 2.0], [np.nan, 0.0, 2.0], [np.inf, 0.0, 2.0], [1e30, 1e30, 1e30]])
    image = render_points(points, np.tile(RED, (4, 1)), CAMERA)
    assert (image == NIGHT).all()


def test_no_points_are_a_valid_picture():
    assert (render_points(np.zeros((0, 4)), np.zeros((0, 3)), CAMERA) == NIGHT).all()


def test_points_or_colours_of_the_wrong_shape_are_refused():
    with pytest.raises(DataError, match=r"points to be numbers \(N, 3 or more\), got float64 \(5, 2\)"):
        render_points(np.zeros((5, 2)), np.zeros((5, 3)), CAMERA)
    with pytest.raises(DataError, match=r"one RGB per point, \(5, 3\), got \(4, 3\)"):
        render_points(np.zeros((5, 4)), np.zeros((4, 3)), CAMERA)
