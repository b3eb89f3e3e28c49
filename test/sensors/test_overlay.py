"""The scene in a camera's picture: hidden voxels stay hidden, and classes lie on what the camera sees."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.camera_image import PosedImage
from pasco_core.data.datasets.calibration import Calibration
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.camera_model import RAY_STRIDE, CameraModel
from pasco_core.prediction import ScenePrediction, Segment
from pasco_core.viz.overlay import camera_colours, draw_overlay, visible_voxels

CAR = SEMANTIC_KITTI.class_names.index("car")
ROAD = SEMANTIC_KITTI.class_names.index("road")
AHEAD = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])  # optical frame -> x forward, z up


def scene_of(semantics, panoptic=None):
    panoptic = np.zeros(KITTI_GRID.shape, np.int32) if panoptic is None else panoptic
    segments = [
        Segment(int(n), CAR, True, 1.0, np.zeros(21, np.float32)) for n in np.unique(panoptic) if n
    ]
    nothing = np.zeros(KITTI_GRID.shape, np.float32)
    return ScenePrediction(KITTI_GRID, SEMANTIC_KITTI, semantics, panoptic, segments, nothing, nothing,
                           np.zeros(0, np.int64), np.zeros((0, 20), np.float32))


def picture(width=160, height=120, focal=100.0, distortion=(0.0,) * 5):
    matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    rgb = np.full((height, width, 3), 100, np.uint8)
    return PosedImage(rgb, CameraModel(width, height, matrix, "plumb_bob", distortion), AHEAD)


def one_voxel(*places, category=CAR):
    semantics = np.zeros(KITTI_GRID.shape, np.uint8)
    for place in places:
        semantics[tuple(KITTI_GRID.voxel_of(np.array([place]))[0])] = category
    return semantics


@pytest.mark.parametrize("distortion", [(0.0,) * 5, (-0.3, 0.1, 0.001, -0.002, 0.0)])
def test_a_voxel_is_drawn_where_its_projection_lies(distortion):
    place, image = (10.0, 2.5, -0.7), picture(distortion=distortion)
    scene = scene_of(one_voxel(place))
    hits = visible_voxels(scene, image)
    rows, columns = np.nonzero(hits.voxel >= 0)
    centre = KITTI_GRID.centre_of(KITTI_GRID.voxel_of(np.array([place])))
    pixel, depth = image.project(centre)
    np.testing.assert_allclose([columns.mean() * RAY_STRIDE, rows.mean() * RAY_STRIDE], pixel[0], atol=1.5)
    assert depth[0] == pytest.approx(centre[0, 0]) and np.isfinite(hits.depth[rows, columns]).all()


def test_what_stands_behind_something_is_not_drawn():
    scene = scene_of(one_voxel((10.1, 0.1, 0.1), (20.1, 0.1, 0.1)))
    seen = np.unique(visible_voxels(scene, picture()).voxel)
    front = np.ravel_multi_index(KITTI_GRID.voxel_of(np.array([[10.1, 0.1, 0.1]]))[0], KITTI_GRID.shape)
    assert seen.tolist() == [-1, front]


def test_unknown_voxels_are_not_drawn_and_an_empty_scene_leaves_the_picture_as_it_is():
    image = picture()
    for semantics in (np.zeros(KITTI_GRID.shape, np.uint8), np.full(KITTI_GRID.shape, 255, np.uint8)):
        scene = scene_of(semantics)
        np.testing.assert_array_equal(draw_overlay(scene, image, visible_voxels(scene, image)), image.rgb)


def test_a_thing_has_a_line_around_it_in_its_own_colour_and_stuff_has_none():
    places = [(10.1, y, z) for y in np.arange(-1, 1, 0.2) + 0.1 for z in np.arange(-1, 0, 0.2) + 0.1]
    semantics = one_voxel(*places)
    panoptic = (semantics > 0).astype(np.int32)
    image = picture()
    scene = scene_of(semantics, panoptic)
    hits = visible_voxels(scene, image)
    drawn = draw_overlay(scene, image, hits)
    inside = 0.5 * SEMANTIC_KITTI.colours[CAR] + 50
    tinted = (np.abs(drawn.astype(float) - inside).max(axis=2) <= 1)
    changed = (drawn != 100).any(axis=2)
    line = changed & ~tinted
    assert tinted.any() and line.any() and len(np.unique(drawn[line], axis=0)) == 1
    plain = draw_overlay(scene_of(one_voxel(*places, category=ROAD)), image, hits)
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 2


def test_the_cameras_colour_the_voxels_they_see_by_the_mean_of_all_pixels():
    left, right = picture(), picture()
    left.rgb[:], right.rgb[:] = (10, 20, 30), (50, 60, 70)
    scene = scene_of(one_voxel((10.1, 0.1, 0.1), (12.1, -3.1, 0.1)))
    hits = [visible_voxels(scene, image) for image in (left, right)]
    voxels, colours = camera_colours([left, right], hits)
    assert voxels.tolist() == np.flatnonzero(scene.semantics).tolist()
    np.testing.assert_array_equal(colours, [[30, 40, 50]] * 2)
    voxels, colours = camera_colours([], [])
    assert voxels.shape == (0,) and colours.shape == (0, 3)


def posed(rgb, calibration):
    """A rectified KITTI image: P2 is camera matrix times baseline."""
    matrix = calibration.p2[:, :3]
    to_camera = np.vstack([np.linalg.inv(matrix) @ calibration.p2 @ calibration.tr, [0, 0, 0, 1]])
    return PosedImage(rgb, CameraModel(rgb.shape[1], rgb.shape[0], matrix), np.linalg.inv(to_camera))


def test_the_simulators_truth_lies_on_what_its_camera_sees():
    pytest.importorskip("embreex", reason="embreex is not installed: pip install 'pasco-ros[sim]'")
    from pasco_core.data.simulation.drive import SimulatedDrive
    from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION

    drive = SimulatedDrive(7)
    image, truth = drive.image(30), drive.truth(30, everything=True)
    hits = visible_voxels(scene_of(truth.semantics), posed(image.rgb, KITTI_CALIBRATION))
    camera, depth = image.semantics[::RAY_STRIDE, ::RAY_STRIDE], image.depth[::RAY_STRIDE, ::RAY_STRIDE]
    near = (camera > 0) & (depth > 3) & (depth < 30)
    drawn = np.where(hits.voxel >= 0, truth.semantics.reshape(-1)[np.maximum(hits.voxel, 0)], 0)
    assert near.mean() > 0.3
    assert (drawn == camera)[near].mean() > 0.9
    upright = near & (hits.voxel >= 0) & ~np.isin(camera, list(SEMANTIC_KITTI.ground_ids))
    assert np.median(np.abs(hits.depth - depth)[upright]) < 0.4


def test_points_of_a_real_kitti_scan_project_as_its_calibration_says(shared_data):
    folder = shared_data / "semantickitti" / "dataset" / "sequences" / "08"
    if not folder.is_dir():
        pytest.skip("sample data not there: no ../shared/data/semantickitti/dataset/sequences/08")
    calibration = Calibration.read(folder / "calib.txt")
    points = np.fromfile(folder / "velodyne" / "000000.bin", "<f4").reshape(-1, 4)[:, :3].astype(np.float64)
    expected = np.column_stack([points, np.ones(len(points))]) @ (calibration.p2 @ calibration.tr).T
    pixels, depth = posed(np.zeros((370, 1226, 3), np.uint8), calibration).project(points)
    ahead = expected[:, 2] > 0.5
    np.testing.assert_allclose(pixels[ahead], (expected[:, :2] / expected[:, 2:])[ahead], atol=0.02)
    assert np.isnan(pixels[depth <= 0]).all()
