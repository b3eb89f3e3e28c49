"""Several LiDARs, moving sensors and cameras, against the running node."""

from __future__ import annotations

import io
import logging

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")

from nav_msgs.msg import Odometry
from node_bench import STREET, wait_for
from ros_stand_in import FakePredictor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from pasco_ros import qos
from pasco_ros.outputs import messages

FAST = {"diagnostics_period": 0.1}
LEFT = {"partner_topics": ["/left"], "partner_poses": [0.0, 2.0, 1.73, 0.0, 0.0, np.pi], "merge_tolerance": 0.04,
        "merge_timeout": 0.3, **FAST}
LOOKING = [0.0, 0.0, 1.8, -np.pi / 2, 0.0, -np.pi / 2]  # optical frame: x right, y down, z ahead


class Seeing(FakePredictor):
    """Keeps the points that it was given."""

    def __call__(self, points):
        self.points = points
        return super().__call__(points)


def partner(node, topic="/left"):
    publisher = node.client.create_publisher(PointCloud2, topic, 10)
    wait_for(lambda: publisher.get_subscription_count() == 1)
    return publisher


def shifted(header: Header, seconds: float, frame: str = "left") -> Header:
    other = Header(frame_id=frame)
    stamp = header.stamp.sec * 10**9 + header.stamp.nanosec + round(seconds * 1e9)
    other.stamp.sec, other.stamp.nanosec = divmod(stamp, 10**9)
    return other


def by_topic(node):
    return {(status.topic, status.header.stamp.nanosec): status for status in node.statuses}


def test_clouds_of_two_lidars_are_one_frame_in_the_first_ones_place_and_share_its_fate(bench):
    node = bench(predictor=Seeing(), parameters=LEFT).start()
    left = partner(node)
    header = node.header()
    node.send(STREET, header=header)
    left.publish(messages.cloud_message(np.array([[-10, 1, -1, 0.25]], np.float32), shifted(header, 0.02)))
    wait_for(lambda: len(node.statuses) == 2)
    assert {status.topic for status in node.statuses} == {"/points", "/left"}
    assert [status.code for status in node.statuses] == ["OK", "OK"]
    assert len(node.received["voxels"]) == 1 and node.received["voxels"][0].header == header
    assert len(node.predictor.points) == len(STREET) + 1
    np.testing.assert_allclose(node.predictor.points[-1], [10, 1, -1, 0.25], atol=1e-5)
    assert node.outcomes() == {"PUBLISHED": 2}
    assert node.condition("merging").message == "Joined with /left"


def test_a_missing_lidar_is_waited_for_only_so_long_and_named(bench):
    node = bench(parameters=LEFT).start()
    left = partner(node)
    header = node.header()
    status = node.send_and_wait(header=header)
    assert status.code == "OK" and wait_for(lambda: node.received["voxels"])
    assert "DEGRADED: the last frame lacked /left" in node.condition("merging", "lacked").message
    left.publish(messages.cloud_message(STREET, shifted(header, 0.01)))
    wait_for(lambda: len(node.statuses) == 2)
    assert (node.statuses[1].topic, node.statuses[1].code) == ("/left", "LATE")
    assert node.outcomes() == {"PUBLISHED": 1, "DROPPED_STALE": 1}


def test_deactivation_settles_the_clouds_that_wait_for_a_partner(bench):
    node = bench(parameters={**LEFT, "merge_timeout": 10.0}).start()
    left = partner(node)
    left.publish(messages.cloud_message(STREET, shifted(node.header(), 5.0)))
    node.send()
    wait_for(lambda: node.node._active.intake.ledger.counts()[0] == 2)
    assert node.lifecycle.change("deactivate", 10)
    wait_for(lambda: len(node.statuses) == 2)
    assert {status.code for status in node.statuses} == {"DEACTIVATED"}
    assert node.outcomes() == {"FLUSHED": 2}


def timed_cloud(header, xyz, times):
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(("x", "y", "z", "time"))]
    data = np.column_stack([xyz, times]).astype("<f4")
    return PointCloud2(header=header, height=1, width=len(data), fields=fields, point_step=16, row_step=16 * len(data),
                       data=data.tobytes(), is_dense=True)


def drive(node, speed, begin=-0.3, end=0.1):
    """Odometry of a straight drive around the next stamp, at 50 Hz."""
    publisher = node.client.create_publisher(Odometry, "/odometry", 100)
    wait_for(lambda: publisher.get_subscription_count() == 1)
    for time in np.arange(begin, end, 0.02):
        message = Odometry(header=Header(frame_id="odom"), child_frame_id="base_link")
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(node.stamp + round(time * 1e9), 10**9)
        message.pose.pose.position.x = speed * time
        message.pose.pose.orientation.w = 1.0
        publisher.publish(message)
    wait_for(lambda: node.node._parts.sensors._motion.received >= len(np.arange(begin, end, 0.02)))


def test_points_are_brought_to_the_stamp_by_odometry(bench):
    node = bench(predictor=Seeing(), parameters={"deskew": "odometry", **FAST}).start()
    drive(node, 20.0)
    times = np.linspace(-0.05, 0.05, len(STREET))
    node.publisher.publish(timed_cloud(node.header(0.0), STREET[:, :3], times))
    wait_for(lambda: node.statuses)
    assert node.statuses[0].code == "OK"
    expected = STREET[:, :3] + np.outer(times, [20.0, 0, 0])
    np.testing.assert_allclose(node.predictor.points[:, :3], expected, atol=1e-4)
    assert "De-skewed by /odometry" in node.condition("deskew").message


def test_row_17_how_the_times_of_the_points_were_read_is_logged_once(bench, caplog):
    caplog.set_level(logging.INFO, "pasco_ros")
    node = bench(parameters={"deskew": "odometry"}).start()
    logging.getLogger("pasco_ros").addHandler(caplog.handler)
    try:
        for _ in range(2):
            node.publisher.publish(timed_cloud(node.header(), STREET[:, :3], np.linspace(0.0, 1e8, len(STREET))))
            count = len(node.statuses)
            wait_for(lambda before=count: len(node.statuses) > before)
    finally:
        logging.getLogger("pasco_ros").removeHandler(caplog.handler)
    told = {record.getMessage() for record in caplog.records if "point time" in record.getMessage()}
    assert len(told) == 1 and "'time' float32 read as ns, counted from the stamp (said once)" in told.pop()


def test_without_odometry_the_cloud_goes_on_as_it_is_and_diagnostics_say_so(bench):
    node = bench(predictor=Seeing(), parameters={"deskew": "odometry", **FAST}).start()
    node.publisher.publish(timed_cloud(node.header(), STREET[:, :3], np.linspace(-0.05, 0.05, len(STREET))))
    wait_for(lambda: node.statuses)
    np.testing.assert_array_equal(node.predictor.points[:, :3], STREET[:, :3])
    message = node.condition("deskew", "DEGRADED").message
    assert "The movement over the sweep on /points is not known" in message


def test_row_14_odometry_that_is_no_pose_is_refused_and_counted(bench):
    node = bench(parameters={"deskew": "odometry", **FAST}).start()
    publisher = node.client.create_publisher(Odometry, "/odometry", 10)
    wait_for(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(Odometry(child_frame_id="base_link"))  # the pose that is there by default is one
    broken = Odometry(child_frame_id="base_link")
    broken.pose.pose.orientation.w = float("nan")
    publisher.publish(broken)
    wait_for(lambda: node.node._parts.sensors._motion.refused == 1)
    values = {v.key: v.value for v in node.condition("deskew").values}
    assert "1 refused; last problem: Expected the pose on /odometry to be finite" in values["movement"]


def test_diagnostics_warn_of_a_sensor_that_the_network_was_not_trained_with(bench):
    node = bench(parameters=FAST).start()
    node.send_and_wait()
    status = node.condition("sensor", "Far from hdl-64e")
    assert "80 points instead of 124500" in status.message
    assert node.set_parameter("training_sensor", "none").successful
    node.condition("sensor", "Compared with no training sensor")


CAMERA = {"camera_topics": ["/front/image"], "point_colours": "camera", "camera_poses": LOOKING, **FAST}


class Front:
    """A camera over the LiDAR that looks ahead."""

    def __init__(self, node):
        self.node = node
        create = node.client.create_publisher
        self.images = create(Image, "/front/image", 10)
        self.infos = create(CameraInfo, "/front/camera_info", 10)
        wait_for(lambda: self.images.get_subscription_count() == self.infos.get_subscription_count() == 1)

    def send(self, header, image=None, info=None):
        """A grey picture and its calibration, with some attributes changed."""
        header = shifted(header, 0.01, "front_optical")
        values = {"height": 100, "width": 200, "encoding": "rgb8", "step": 600, "data": bytes([90, 80, 70]) * 20_000}
        numbers = {"height": 100, "width": 200, "distortion_model": "plumb_bob", "d": [0.0] * 5,
                   "k": [150.0, 0, 100, 0, 150, 50, 0, 0, 1]}
        self.infos.publish(CameraInfo(header=header, **{**numbers, **(info or {})}))
        self.images.publish(Image(header=header, **{**values, **(image or {})}))
        camera = self.node.node._parts.sensors.cameras.all[0]
        wait_for(lambda: camera._images and camera._info and camera._images[-1].header == header)
        return header


def listening(node):
    overlays = []
    node.client.create_subscription(Image, "/panoptic_scene_completion/overlay", overlays.append, qos.LARGE_OUTPUT)
    wait_for(lambda: node.node._parts.outputs.wanted("overlay"))
    return overlays


def test_the_scene_is_drawn_into_the_image_and_the_image_colours_the_voxels(bench):
    node = bench(parameters=CAMERA).start()
    overlays, front, header = listening(node), Front(node), node.header()
    sent = front.send(header)
    node.send(header=header)
    picture = wait_for(lambda: overlays)[0]
    assert picture.header == sent and (picture.width, picture.height, picture.encoding) == (200, 100, "rgb8")
    pixels = np.frombuffer(picture.data, np.uint8).reshape(100, 200, 3).astype(int)
    changed = np.abs(pixels - [90, 80, 70]).max(axis=2) > 3
    assert 0.02 < changed.mean() < 0.6 and not changed[:20].any()  # nothing stands in the sky
    points = wait_for(lambda: node.received["occupied_points"])[0]
    rgb = np.frombuffer(points.data, np.uint32).reshape(points.width, -1)[:, 3]
    seen = np.count_nonzero(rgb == 90 << 16 | 80 << 8 | 70)
    assert 0 < seen < len(rgb)  # what is hidden or outside keeps its class colour
    node.condition("cameras", "1 in use")


@pytest.mark.parametrize(
    ("image", "info", "text"),
    [
        ({"encoding": "ftheta9"}, {}, "'ftheta9'"),
        ({}, {"width": 400, "height": 100}, "400 x 100, got 200 x 100"),
        ({}, {"k": [0.0] * 9}, "not calibrated"),
        ({}, {"distortion_model": "panini", "d": [1.0]}, "'panini'"),
        ({"data": b"short"}, {}, "got 5"),
    ],
)
def test_row_11_an_unusable_image_turns_the_camera_off_and_the_lidar_goes_on(bench, image, info, text):
    node = bench(parameters=CAMERA, topics=("occupied_points",)).start()
    overlays, front, header = listening(node), Front(node), node.header()
    front.send(header, image, info)
    status = node.send_and_wait(header=header)
    assert status.code == "OK" and wait_for(lambda: node.received["occupied_points"])
    assert text in node.condition("cameras", "DEGRADED").message and not overlays


def test_row_11_a_camera_that_is_silent_or_late_is_named_and_the_lidar_goes_on(bench):
    node = bench(parameters=CAMERA, topics=("occupied_points",)).start()
    front = Front(node)
    front.send(node.header())
    status = node.send_and_wait(header=node.header(3.0))
    assert status.code == "OK"
    assert "the nearest 2990 ms before it" in node.condition("cameras", "DEGRADED").message


def test_compressed_images_are_drawn_over_too(bench):
    node = bench(parameters={**CAMERA, "camera_transport": "compressed"}).start()
    overlays, header = listening(node), node.header()
    images = node.client.create_publisher(CompressedImage, "/front/image/compressed", 10)
    infos = node.client.create_publisher(CameraInfo, "/front/camera_info", 10)
    wait_for(lambda: images.get_subscription_count() == infos.get_subscription_count() == 1)
    file = io.BytesIO()
    PIL.Image.new("RGB", (200, 100), (90, 80, 70)).save(file, "PNG")
    sent = shifted(header, 0.0, "front_optical")
    infos.publish(CameraInfo(header=sent, height=100, width=200, k=[150.0, 0, 100, 0, 150, 50, 0, 0, 1]))
    images.publish(CompressedImage(header=sent, format="png", data=file.getvalue()))
    wait_for(lambda: node.node._parts.sensors.cameras.all[0]._images)
    node.send(header=header)
    assert wait_for(lambda: overlays)[0].header == sent


def test_without_a_camera_there_is_no_overlay_topic(bench):
    node = bench().start()
    assert node.client.count_publishers("/panoptic_scene_completion/overlay") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"partner_topics": ["/a", "/b"], "partner_poses": [0.1] * 6}, "for each of 2 topics"),
        ({"partner_topics": ["/a"]}, "'partner_poses' .* got none"),
        ({"camera_topics": ["/a"]}, "'camera_poses' .* got none"),
        ({"deskew": "tf"}, "'base_frame'"),
        ({"intensity_maxima": [1.0, 2.0]}, "one number per LiDAR, 1, got 2"),
        ({"camera_topics": ["/a", ""], "camera_poses": [0.1] * 12}, "'camera_topics'"),
        ({"partner_topics": ["/points"]}, "other than points"),
    ],
)
def test_sensor_parameters_that_contradict_each_other_are_refused(change, message):
    from pasco_core.errors import ConfigError
    from pasco_core.settings.node_config import NodeConfig
    from pasco_core.settings.value_checks import check_config

    with pytest.raises(ConfigError, match=message):
        check_config(NodeConfig(**{name: tuple(v) if isinstance(v, list) else v for name, v in change.items()}))
