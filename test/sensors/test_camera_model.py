"""Cameras with lens distortion: closed formulas, root finding, and calibrations that are none (row 11)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import fsolve

from pasco_core.errors import ImageError
from pasco_core.geometry.camera_model import camera_model

K = [500.0, 0.0, 320.5, 0.0, 510.0, 200.25, 0.0, 0.0, 1.0]
LENSES = {
    "none": ("plumb_bob", [0.0] * 5),
    "plumb_bob": ("plumb_bob", [-0.3, 0.12, 0.001, -0.0007, -0.02]),
    "barrel": ("plumb_bob", [-0.35, 0.0, 0.0, 0.0]),
    "rational": ("rational_polynomial", [0.4, -0.1, 0.0005, 0.001, 0.01, 0.7, -0.05, 0.02]),
    "fisheye": ("equidistant", [0.02, -0.01, 0.003, -0.0005]),
}


def info(lens="none", **changes):
    model, d = LENSES[lens]
    values = {"width": 640, "height": 400, "k": K, "d": d, "distortion_model": model, "r": [0.0] * 9, "p": [0.0] * 12,
              "binning_x": 0, "binning_y": 0, "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)}
    return SimpleNamespace(**{**values, **changes})


def by_formula(point, model, d):
    """The formulas of OpenCV's documentation, for one point."""
    x, y = point[0] / point[2], point[1] / point[2]
    if model == "equidistant":
        r = np.hypot(x, y)
        theta = np.arctan(r)
        bent = theta * (1 + d[0] * theta**2 + d[1] * theta**4 + d[2] * theta**6 + d[3] * theta**8)
        x, y = x / r * bent, y / r * bent
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = [*d, *[0.0] * (8 - len(d))]
        r2 = x * x + y * y
        radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
        x, y = (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y)
    return K[0] * x + K[2], K[4] * y + K[5]


@pytest.mark.parametrize("lens", LENSES)
def test_points_land_where_the_documented_formula_puts_them(lens):
    points = np.random.default_rng(0).uniform((-2, -1.5, 4), (2, 1.5, 9), (200, 3))
    pixels, depth = camera_model(info(lens)).project(points)
    expected = [by_formula(point, *LENSES[lens]) for point in points]
    np.testing.assert_allclose(pixels, expected, atol=1e-9)
    np.testing.assert_array_equal(depth, points[:, 2])


@pytest.mark.parametrize("lens", LENSES)
def test_rays_of_pixels_are_the_roots_of_the_formula(lens):
    camera = camera_model(info(lens))
    pixels = np.random.default_rng(1).uniform((60, 40), (580, 360), (40, 2))
    rays = camera.rays(pixels)
    for pixel, ray in zip(pixels, rays, strict=True):
        start = ((pixel[0] - K[2]) / K[0], (pixel[1] - K[5]) / K[4])
        root = fsolve(lambda p, at=pixel: np.subtract(by_formula((*p, 1.0), *LENSES[lens]), at), start, xtol=1e-12)
        np.testing.assert_allclose(ray, [*root, 1.0], atol=1e-7)
    np.testing.assert_allclose(camera.project(rays * 7)[0], pixels, atol=1e-4)


def test_a_point_behind_the_camera_or_folded_back_by_the_formula_has_no_pixel():
    camera = camera_model(info("barrel"))
    folded = (16.9, 0.0, 10.0)
    assert abs(by_formula(folded, *LENSES["barrel"])[0] - K[2]) < 1  # the bare formula puts it into the middle
    pixels, _ = camera.project(np.array([[0, 0, -5.0], [0, 0, 0.0], folded, [0.1, 0, 10]]))
    assert np.isnan(pixels[:3]).all() and np.isfinite(pixels[3]).all()


def test_a_pixel_that_no_ray_reaches_has_none():
    camera = camera_model(info("barrel"))
    assert np.isnan(camera.rays(np.array([[K[2] + 5 * K[0], K[5]]]))[0, :2]).all()


def test_rectified_images_use_p_with_its_baseline_and_r():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    p = [400.0, 0, 300, -400 * 0.12, 0, 400, 150, 0, 0, 0, 1, 0]
    camera = camera_model(info("plumb_bob", p=p, r=turn.ravel().tolist()), rectified=True)
    point = np.array([[1.0, 0.5, 5.0]])
    moved = np.array(p).reshape(3, 4) @ [*(turn @ point[0]), 1]
    np.testing.assert_allclose(camera.project(point)[0][0], moved[:2] / moved[2])


def test_region_of_interest_and_binning_move_and_shrink_the_image():
    whole = camera_model(info("plumb_bob"))
    part = camera_model(info("plumb_bob", binning_x=2, binning_y=2,
                             roi=SimpleNamespace(x_offset=100, y_offset=40, width=400, height=300)))
    assert (part.width, part.height) == (200, 150)
    point = np.array([[0.3, -0.2, 4.0]])
    np.testing.assert_allclose(part.project(point)[0], (whole.project(point)[0] - [100, 40]) / 2)


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"k": [0.0] * 9}, "CALIBRATION", "not calibrated"),
        ({"k": [float("nan")] * 9}, "CALIBRATION", "nan"),
        ({"width": 0}, "CALIBRATION", "0 x 400"),
        ({"distortion_model": "ftheta", "d": [1.0]}, "DISTORTION", "'ftheta' with 1"),
        ({"distortion_model": "plumb_bob", "d": [0.1, 0.2]}, "DISTORTION", "'plumb_bob' with 2"),
        ({"distortion_model": "plumb_bob", "d": [float("inf")] * 5}, "DISTORTION", "plumb_bob"),
    ],
)
def test_row_11_a_calibration_that_is_none_is_refused_by_name(changes, code, text):
    with pytest.raises(ImageError) as caught:
        camera_model(info(**changes), topic="/front/camera_info")
    assert caught.value.code == code and text in str(caught.value) and "/front/camera_info" in str(caught.value)


@pytest.mark.parametrize("changes", [{"distortion_model": "", "d": []}, {"distortion_model": "plumb_bob", "d": []}])
def test_no_coefficients_are_no_distortion(changes):
    camera = camera_model(info(**changes))
    np.testing.assert_allclose(camera.project(np.array([[1.0, 1, 4]]))[0], [[K[0] / 4 + K[2], K[4] / 4 + K[5]]])
