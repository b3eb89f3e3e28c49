"""Images show the same world as the LiDAR, where the calibration says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_in_world import CLASS, BoxWorld, box, ground

from pasco_core.data.datasets.calibration import Calibration
from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.sensing.beam_tables import HDL_64E
from pasco_core.data.simulation.sensing.camera import (
    HEIGHT,
    KITTI_CALIBRATION,
    WIDTH,
    CameraImage,
    pixel_rays,
    take_image,
)
from pasco_core.data.simulation.sensing.rays import RayScene
from pasco_core.errors import ConfigError

EXACT = replace(HDL_64E, range_noise=0.0, dropout=0.0)
SUN = np.array([0.36, 0.48, 0.8])


@pytest.fixture(scope="module")
def drive() -> SimulatedDrive:
    return SimulatedDrive(0, EXACT, BoxWorld())


@pytest.fixture(scope="module")
def image(drive: SimulatedDrive) -> CameraImage:
    return drive.image(4)


def test_an_image_has_kitti_s_size_and_types(image: CameraImage):
    assert image.rgb.shape == (376, 1241, 3)
    assert image.rgb.dtype == image.semantics.dtype == np.uint8
    assert image.depth.dtype == np.float32
    assert image.depth.shape == image.semantics.shape == image.instances.shape == (376, 1241)


def test_points_of_the_scan_project_onto_pixels_of_their_depth_class_and_instance(
    drive: SimulatedDrive, image: CameraImage
):
    scan = drive.scan(4)
    xyz1 = np.column_stack([scan.points[:, :3].astype(np.float64), np.ones(len(scan))])
    u, v, depth = (KITTI_CALIBRATION.p2 @ KITTI_CALIBRATION.tr @ xyz1.T)
    column, row = np.rint(u / depth), np.rint(v / depth)
    inside = (depth > 0.5) & (column >= 0) & (column < WIDTH) & (row >= 0) & (row < HEIGHT)
    pixel = row[inside].astype(int), column[inside].astype(int)
    assert inside.sum() > 8000
    near = np.abs(image.depth[pixel] - depth[inside]) < 0.03 * depth[inside]
    assert near.mean() > 0.93  # the rest lies on edges, or is hidden from the camera and not from the LiDAR
    assert (image.semantics[pixel] == scan.semantics[inside])[near].mean() > 0.99
    assert (image.instances[pixel] == scan.instances[inside])[near].mean() > 0.99


def test_depth_is_the_range_of_the_same_ray():
    together = Calibration(
        tr=np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]),
        p2=np.array([[300.0, 0, 159.5, 0], [0, 300, 99.5, 0], [0, 0, 1, 0]]),
    )
    scene = RayScene(Mesh.joined([ground(80.0), box((9.0, -3.0, 0.0), (12.0, 1.0, 3.0), "car", 4)]))
    pose = np.eye(4)
    pose[2, 3] = 1.73
    image = take_image([scene], pose, SUN, together, (320, 200))
    centre, rays = pixel_rays(together, 320, 200)
    np.testing.assert_allclose(centre, 0.0, atol=1e-12)
    length = np.linalg.norm(rays, axis=-1)
    ranges = scene.distances(pose[:3, 3], (rays / length[..., None]).reshape(-1, 3).astype(np.float32))
    np.testing.assert_allclose(image.depth * length, ranges.reshape(200, 320), rtol=1e-4)
    assert (image.semantics == CLASS["car"]).sum() > 500
    assert np.array_equal(image.instances == 4, image.semantics == CLASS["car"])


def test_the_sky_has_no_depth_class_or_instance(image: CameraImage):
    sky = np.isinf(image.depth)
    assert sky[:80, 550:680].all()
    assert (image.semantics[sky] == 0).all()
    assert (image.semantics[~sky] > 0).all()
    blue, red = image.rgb[sky][:, 2].astype(int), image.rgb[sky][:, 0].astype(int)
    assert (blue >= red).mean() > 0.99


def test_what_is_in_the_shade_is_darker():
    roof = box((6.0, -3.0, 4.0), (14.0, 3.0, 4.2), "building")
    pose = np.eye(4)
    pose[2, 3] = 1.73
    lit, shaded = (
        take_image([RayScene(Mesh.joined([ground(80.0), *extra]))], pose, np.array([0.0, 0.0, 1.0]), size=(1241, 376))
        for extra in ([], [roof])
    )
    place = (slice(330, 350), slice(600, 620))  # the road 8 to 9 m ahead
    assert 6.5 < lit.depth[place].mean() < 12.0
    assert shaded.rgb[place].mean() < 0.7 * lit.rgb[place].mean()


def test_calibration_looks_forward_with_kitti_s_focal_length():
    centre, rays = pixel_rays(KITTI_CALIBRATION, WIDTH, HEIGHT)
    np.testing.assert_allclose(centre, [0.27, 0.06, -0.08], atol=1e-9)
    np.testing.assert_allclose(rays[185, 607], [1.0, 0.1928 / 718.856, 0.2157 / 718.856], atol=1e-9)
    half = np.degrees(np.arctan2(np.abs(rays[185, (0, -1), 1]), rays[185, (0, -1), 0]))
    np.testing.assert_allclose(half.sum(), 81.6, atol=0.2)


def test_images_have_the_same_bits_in_any_order(drive: SimulatedDrive, image: CameraImage):
    other = SimulatedDrive(0, EXACT, BoxWorld())
    other.image(9, (64, 48))
    assert other.image(4).rgb.tobytes() == image.rgb.tobytes()


def test_an_image_without_pixels_is_refused(drive: SimulatedDrive):
    with pytest.raises(ConfigError, match="at least 1 x 1 pixel, got 0 x 376"):
        drive.image(4, (0, 376))
