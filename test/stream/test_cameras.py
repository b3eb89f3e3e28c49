"""Which image belongs to a cloud, where its camera was then, and what turns a camera off."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pasco_core.geometry.poses import pose_matrix, quaternion_of
from pasco_core.geometry.transform_tree import TransformTree
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.cameras import Cameras, CameraTopics
from pasco_core.stream.ego_motion import OdometryMotion
from pasco_core.stream.frame_resolver import FrameResolver

SECOND = 1_000_000_000
START = 1000 * SECOND
OPTICAL = (-np.pi / 2, 0.0, -np.pi / 2)
FRONT = (1.0, 0.0, 1.73, *OPTICAL)
ONE = {"camera_topics": ("/front/image",), "camera_poses": FRONT, "camera_tolerance": 0.1}


def header(seconds=0.0, frame="front"):
    sec, nanosec = divmod(START + round(seconds * SECOND), SECOND)
    return SimpleNamespace(frame_id=frame, stamp=SimpleNamespace(sec=sec, nanosec=nanosec))


def image(seconds=0.0, grey=9, width=8, frame="front"):
    return SimpleNamespace(header=header(seconds, frame), width=width, height=6, encoding="mono8", is_bigendian=0,
                           step=width, data=bytes([grey]) * (6 * width))


def info(focal=5.0):
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    return SimpleNamespace(
        header=header(), width=8, height=6, distortion_model="plumb_bob", d=[0.0] * 5, binning_x=0, binning_y=0,
        roi=roi, k=[focal, 0, 4, 0, focal, 3, 0, 0, 1], r=[0.0] * 9,
        p=[2 * focal, 0, 4, 0, 0, 2 * focal, 3, 0, 0, 0, 1, 0])


def cameras_of(config, resolver=None, motion=None, **options):
    topics = [CameraTopics.of(topic, config.camera_transport, number) for number, topic in enumerate(config.cameras)]
    return Cameras(topics, config, resolver or FrameResolver(), motion, **options)


def test_the_image_nearest_in_time_is_taken_and_posed_in_the_networks_frame():
    config = NodeConfig(**ONE)
    cameras = cameras_of(config)
    (camera,) = cameras.all
    assert (camera.image_topic, camera.info_topic) == ("/front/image", "/front/camera_info")
    camera.receive_info(info())
    for seconds, grey in ((-0.08, 1), (-0.02, 2), (0.05, 3)):
        camera.receive_image(image(seconds, grey))
    (posed,) = cameras.images_at(header(frame="lidar"), config)
    assert (posed.rgb == 2).all() and posed.stamp == START - SECOND // 50 and posed.frame == "front"
    np.testing.assert_allclose(posed.pose, pose_matrix((1.0, 0, 0, *OPTICAL)), atol=1e-12)
    pixel, depth = posed.project(np.array([[11.0, 2.0, -1.0]]))
    np.testing.assert_allclose(pixel, [[4 - 5 * 0.2, 3 + 5 * 0.1]])
    assert depth[0] == pytest.approx(10.0) and camera.problem == "" and camera.used == 1


def test_the_way_of_the_vehicle_between_image_and_cloud_is_taken_off():
    config = NodeConfig(**ONE)
    motion = OdometryMotion("/odometry", FrameResolver())
    for step in range(-20, 20):
        pose = SimpleNamespace(position=SimpleNamespace(x=0.2 * step, y=0.0, z=0.0),
                               orientation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0))
        motion.receive(SimpleNamespace(header=header(step / 50), child_frame_id="base",
                                       pose=SimpleNamespace(pose=pose)))
    cameras = cameras_of(config, motion=motion)
    cameras.all[0].receive_info(info())
    cameras.all[0].receive_image(image(-0.1))
    (posed,) = cameras.images_at(header(frame="lidar"), config)
    np.testing.assert_allclose(posed.pose[:3, 3], [0, 0, 0], atol=1e-9)  # 1 m ahead, taken 1 m earlier


def test_tf_tells_where_cameras_are_and_one_without_a_place_is_off_alone():
    tree = TransformTree()
    for frame, pose in (("lidar", (0, 0, 1.73, 0, 0, 0)), ("front", (2.0, 0, 1.5, *OPTICAL))):
        matrix = pose_matrix(pose)
        tree.insert("base", frame, 0, matrix[:3, 3], quaternion_of(matrix), static=True)
    lookup = SimpleNamespace(lookup=lambda target, source, at, timeout: tree.lookup(target, source, at))
    config = NodeConfig(camera_topics=("/front/image", "/rear/image"), base_frame="base")
    cameras = cameras_of(config, FrameResolver(lookup))
    for camera, frame in zip(cameras.all, ("front", "rear"), strict=True):
        camera.receive_info(info())
        camera.receive_image(image(frame=frame))
    (posed,) = cameras.images_at(header(frame="lidar"), config)
    np.testing.assert_allclose(posed.pose[:3, 3], [2.0, 0, -0.23], atol=1e-9)
    assert cameras.all[0].problem == "" and "'rear'" in cameras.all[1].problem


def test_rectified_images_use_the_projection_matrix():
    config = NodeConfig(**ONE, cameras_rectified=True)
    cameras = cameras_of(config)
    cameras.all[0].receive_info(info(focal=5.0))
    cameras.all[0].receive_image(image())
    assert cameras.images_at(header(frame="lidar"), config)[0].camera.matrix[0, 0] == 10.0


def test_a_calibration_is_read_again_only_when_its_numbers_change():
    config = NodeConfig(**ONE)
    cameras, models = cameras_of(config), []
    cameras.all[0].receive_image(image())
    for focal in (5.0, 5.0, 6.0):
        cameras.all[0].receive_info(info(focal))
        models.append(cameras.images_at(header(frame="lidar"), config)[0].camera)
    assert models[0] is models[1] and models[2] is not models[1] and models[2].matrix[0, 0] == 6.0


def test_row_11_a_camera_without_image_or_calibration_says_what_it_waits_for():
    config = NodeConfig(**ONE)
    cameras = cameras_of(config)
    assert cameras.all[0].problem == "No image has come on /front/image"
    cameras.all[0].receive_image(image())
    assert cameras.images_at(header(frame="lidar"), config) == ()
    assert "a calibration on /front/camera_info, got none" in cameras.all[0].problem


def test_row_11_images_of_another_size_than_the_calibrations_are_not_used():
    config = NodeConfig(**ONE)
    cameras = cameras_of(config)
    cameras.all[0].receive_info(info())
    cameras.all[0].receive_image(image(width=16))
    assert cameras.images_at(header(frame="lidar"), config) == ()
    assert "8 x 6, got 16 x 6" in cameras.all[0].problem


def test_images_that_wait_are_few():
    config = NodeConfig(**ONE)
    cameras = cameras_of(config)
    for step in range(100):
        cameras.all[0].receive_image(image(step / 30))
    assert len(cameras.all[0]._images) == 4


def test_an_image_that_a_waiting_cloud_needs_is_kept_although_newer_ones_come():
    config = NodeConfig(**ONE)
    cameras = cameras_of(config, waiting=lambda: [START])
    (camera,) = cameras.all
    for step in range(-50, 50):
        camera.receive_image(image(step / 30))
    assert len(camera._images) == 5
    assert camera.nearest(START, 0.01).header.stamp.nanosec == 0


def test_a_camera_has_seen_a_time_once_an_image_of_it_and_the_calibration_have_come():
    (camera,) = cameras_of(NodeConfig(**ONE)).all
    seen = [camera.has_seen(START)]
    for message in (image(-0.01), info(), image(0.01), image(-0.02)):  # the last as after a jump of the clock
        (camera.receive_image if hasattr(message, "encoding") else camera.receive_info)(message)
        seen.append(camera.has_seen(START))
    assert seen == [False, False, False, True, False]


def test_how_far_the_nearest_image_is_from_the_cloud_is_said():
    cameras = cameras_of(NodeConfig(**ONE))
    cameras.all[0].receive_info(info())
    for seconds, words in ((-0.25, "the nearest 250 ms before it"), (0.2, "the nearest 200 ms after it")):
        cameras.all[0].receive_image(image(seconds))
        assert cameras.images_at(header(frame="lidar"), NodeConfig(**ONE)) == ()
        assert words in cameras.all[0].problem
