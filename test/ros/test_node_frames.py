"""Frames through the whole node: /tf late, missing or wrong, and sensors mounted otherwise."""

from __future__ import annotations

import importlib
import math
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not there: run `make setup`")

from frames_peer import TF, Frames
from node_bench import STREET, wait_for
from pasco.msg import FrameStatus
from ros_stand_in import voxelised_scene
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage

from pasco_core.data.voxel_message import layer_values
from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.value_checks import check_config
from pasco_ros import qos

MOUNTED = (0.4, -0.2, 2.1, 0.0, math.radians(3), math.radians(10))  # a sensor that looks 3° down and 10° to the left
# Its points lie well inside their voxels, so that the way to another frame and back leaves them there.
STREET = STREET + np.float32([0.1, 0, 0, 0])


def base_from(pose):
    """4×4 of x y z roll pitch yaw, by SciPy alone."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("ZYX", pose[:2:-1]).as_matrix()
    matrix[:3, 3] = pose[:3]
    return matrix


KITTI = base_from((0, 0, 1.73, 0, 0, 0))


def seen_from(pose):
    """The street as a sensor at ``pose`` over the ground measures it."""
    way = np.linalg.inv(base_from(pose)) @ KITTI
    points = STREET.copy()
    points[:, :3] = STREET[:, :3] @ way[:3, :3].T + way[:3, 3]
    return points


def matrix_of(pose):
    """4×4 of a geometry_msgs/Pose."""
    matrix = np.eye(4)
    turn = pose.orientation
    matrix[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    matrix[:3, 3] = pose.position.x, pose.position.y, pose.position.z
    return matrix


def places(rows):
    """Rows of points as a set that small errors do not change."""
    return {tuple(row) for row in np.round(np.asarray(rows, float) * 100).astype(int).tolist()}


def test_row_13_a_transform_that_comes_late_is_waited_for_within_the_budget(framed):
    node, frames = framed(tf_timeout=2.0)
    node.send()
    time.sleep(0.3)
    assert not node.statuses, "it neither went on without the transform nor was it given up"
    node.condition("frames", "No transform on /tf")  # while the cloud waits, the node goes on to report
    frames.send("base", "lidar")
    status = wait_for(lambda: node.statuses)[0]
    assert status.outcome == FrameStatus.PUBLISHED
    assert status.stage_seconds[list(status.stage_names).index("transform")] > 0.25


def test_row_13_a_transform_that_never_comes_ends_the_cloud_and_names_both_frames(framed):
    node, frames = framed()
    status = node.send_and_wait()
    assert (status.outcome, status.code) == (FrameStatus.TF_UNAVAILABLE, "UNKNOWN_FRAME")
    assert "from 'lidar' to 'base'" in status.message and node.predictor.seen == []
    assert node.condition("frames", "base_frame 'base' is needed").level == b"\x01"
    frames.send("base", "lidar")
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    assert node.outcomes() == {"TF_UNAVAILABLE": 1, "PUBLISHED": 1}


def test_row_13_nothing_is_extrapolated_and_the_newest_common_time_is_named(framed):
    node, frames = framed()
    now = node.stamp
    for seconds in (0, 1):
        frames.send("base", "lidar", now + seconds * 1_000_000_000)
    late = node.send_and_wait(header=node.header(1.5))
    assert (late.outcome, late.code) == (FrameStatus.TF_UNAVAILABLE, "EXTRAPOLATION_FUTURE")
    end = now + 1_000_000_000
    assert f"0.500 s later than the newest common time, {end // 10**9}.{end % 10**9:09d} s" in late.message
    assert "EXTRAPOLATION_FUTURE" in node.condition("frames", "newest common time").message
    frames.send("base", "lidar", now + 2_000_000_000)
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    frames.send("base", "lidar", now + 20_000_000_000)
    early = node.send_and_wait()
    assert (early.outcome, early.code) == (FrameStatus.TF_UNAVAILABLE, "EXTRAPOLATION_PAST")


def test_row_13_two_trees_are_named_with_their_roots(framed):
    node, frames = framed()
    frames.send("rack", "lidar")
    frames.send("odom", "base")
    status = node.send_and_wait()
    assert (status.outcome, status.code) == (FrameStatus.TF_UNAVAILABLE, "NOT_CONNECTED")
    assert "'lidar' hangs below 'rack' and 'base' below 'odom'" in status.message
    frames.send("base", "rack")
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED


def test_row_13_a_renamed_frame_and_one_that_moves_to_another_parent_are_told(framed):
    node, frames = framed()
    frames.send("base", "lidar")
    renamed = node.header()
    renamed.frame_id = "lidar_top"
    status = node.send_and_wait(header=renamed)
    assert status.code == "UNKNOWN_FRAME" and "no frame 'lidar_top'; known: base, lidar" in status.message
    frames.send("base", "arm", node.stamp)
    frames.send("tool", "arm", node.stamp + 1_000_000)
    assert "'arm' hung below 'base' and hangs below 'tool'" in node.condition("frames", "hung below").message


def test_row_20_a_publisher_of_static_transforms_that_cannot_be_heard_is_named(framed):
    node, _ = framed()
    node.client.create_publisher(TFMessage, "/tf_static", qos.TRANSFORMS)
    assert "incompatible QoS (DURABILITY)" in node.condition("connections", "/tf_static").message


def test_static_transforms_of_before_the_node_are_heard_by_every_configuration_and_none_after_cleanup(bench):
    node = bench(topics=("segments",), parameters=TF)
    Frames(node).send("/base", "lidar")
    for _ in range(2):
        node.start()
        wait_for(lambda: node.node._parts.transforms.counts.received)
        assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
        assert node.lifecycle.change("deactivate", 10) and node.lifecycle.change("cleanup", 10)
        wait_for(lambda: node.client.count_subscribers("/tf") == 0)


@pytest.mark.parametrize("turn", [(math.nan, 0, 0, 1), (0, 0, 0, 0.5)])
def test_row_14_a_quaternion_that_is_none_is_refused_and_named_in_the_diagnostics(framed, turn):
    node, frames = framed()
    frames.send("base", "lidar", turn=turn)
    message = node.condition("frames", "Refused on /tf_static").message
    assert "'lidar' in 'base' to have a quaternion (x, y, z, w) of length 1" in message
    assert node.send_and_wait().outcome == FrameStatus.TF_UNAVAILABLE
    frames.send("base", "lidar")
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    assert node.node.health().transforms.refused == 1


def test_what_keeps_the_transforms_is_said_in_the_log_and_in_the_diagnostics(framed, caplog):
    caplog.set_level("INFO", "pasco_ros")
    node, _ = framed()
    try:
        by = importlib.import_module("tf2_ros").__name__
    except ImportError:
        by = "own buffer"
    told = [record.getMessage() for record in caplog.records if "Transforms are kept" in record.getMessage()]
    assert len(told) == 1 and by in told[0]
    assert {v.key: v.value for v in node.condition("frames").values}["transforms kept by"] == by


def test_without_tf2_ros_the_own_buffer_keeps_the_transforms(framed, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    node, frames = framed()
    frames.send("base", "lidar")
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    assert {v.key: v.value for v in node.condition("frames").values}["transforms kept by"] == "own buffer"


@pytest.mark.parametrize("by", ["tf", "sensor_pose"])
def test_a_sensor_mounted_higher_and_tilted_gives_the_scene_of_one_in_kittis_place(bench, by):
    if by == "tf":
        node = bench(parameters=TF).start()
        Frames(node).connected().send("base", "lidar", move=MOUNTED[:3], turn=Rotation.from_matrix(
            base_from(MOUNTED)[:3, :3]).as_quat())
    else:
        node = bench(parameters={"sensor_pose": list(MOUNTED)}).start()
    assert node.send_and_wait(seen_from(MOUNTED)).points_in_range == len(STREET)
    wait_for(lambda: all(node.received.values()))
    expected, received = voxelised_scene(STREET), {name: got[0] for name, got in node.received.items()}
    semantics = layer_values(received["voxels"], "semantics")[0]
    np.testing.assert_array_equal(semantics, expected.semantics)

    base_from_sensor, voxels = base_from(MOUNTED), np.argwhere(expected.semantics)
    true = places(np.add(KITTI_GRID.centre_of(voxels), (0, 0, 1.73)))  # where the street's voxels are over the ground
    assert received["voxels"].header.frame_id == "lidar"
    grid = base_from_sensor @ matrix_of(received["voxels"].origin)
    assert places(((voxels + 0.5) * 0.2) @ grid[:3, :3].T + grid[:3, 3]) == true
    cloud = received["occupied_points"]
    rows = np.frombuffer(cloud.data, "<f4").reshape(cloud.width, -1)[:, :3]
    assert places(rows @ base_from_sensor[:3, :3].T + base_from_sensor[:3, 3]) == true
    for name in ("occupancy_grid", "uncertainty_grid"):
        plane = base_from_sensor @ matrix_of(received[name].info.origin)
        np.testing.assert_allclose(plane, base_from((0, -25.6, -0.27, 0, 0, 0)), atol=1e-6)
    road = received["segments"].segments[0]
    box = base_from_sensor @ matrix_of(road.box_pose)
    low, high = bounds(expected, road.id)
    np.testing.assert_allclose(box, base_from((*((low + high) / 2), 0, 0, 0)), atol=1e-5)
    marker = next(m for m in received["instances"].markers if m.ns == "boxes")
    car = next(s for s in received["segments"].segments if s.id == marker.id)
    assert marker.pose == car.box_pose and marker.pose.orientation.w < 1


def bounds(scene, segment):
    """Lower and upper corner over the ground of the box around a segment's voxels."""
    voxels = np.argwhere(scene.panoptic == segment)
    offset = np.add(KITTI_GRID.origin, (0, 0, 1.73))
    return voxels.min(0) * 0.2 + offset, (voxels.max(0) + 1) * 0.2 + offset


def test_outputs_in_base_frame_lie_level_over_the_ground(framed):
    node, frames = framed(topics=None, output_frame="base")
    frames.send("base", "lidar", move=MOUNTED[:3], turn=Rotation.from_matrix(base_from(MOUNTED)[:3, :3]).as_quat())
    sent = node.send(seen_from(MOUNTED))
    wait_for(lambda: all(node.received.values()))
    for name, received in node.received.items():
        header = received[0].markers[0].header if name == "instances" else received[0].header
        assert (header.frame_id, header.stamp) == ("base", sent.header.stamp), name
    np.testing.assert_allclose(matrix_of(node.received["voxels"][0].origin), base_from((0, -25.6, -0.27, 0, 0, 0)))
    status = wait_for(lambda: node.statuses)[0]
    assert status.header == sent.header, "a status tells of the cloud as it was received"


def test_an_empty_cloud_becomes_an_unknown_grid_in_its_right_place(bench):
    node = bench(topics=("voxels",), parameters={"sensor_pose": list(MOUNTED)}).start()
    assert node.send_and_wait(np.zeros((0, 4))).code == "EMPTY_UNKNOWN"
    origin = matrix_of(wait_for(lambda: node.received["voxels"])[0].origin)
    np.testing.assert_allclose(base_from(MOUNTED) @ origin, base_from((0, -25.6, -0.27, 0, 0, 0)), atol=1e-6)


def test_the_pose_of_the_sensor_can_be_changed_while_the_node_runs_and_a_wrong_one_is_refused(bench):
    node = bench(topics=("voxels",)).start()
    assert "6 numbers" in node.set_parameter("sensor_pose", [0.0] * 12).reason
    assert "got nan" in node.set_parameter("sensor_pose", [math.nan] * 6).reason
    assert node.set_parameter("sensor_pose", list(MOUNTED)).successful
    assert node.send_and_wait(seen_from(MOUNTED)).points_in_range == len(STREET)
    np.testing.assert_array_equal(
        layer_values(wait_for(lambda: node.received["voxels"])[0], "semantics")[0], voxelised_scene(STREET).semantics)


@pytest.mark.parametrize(("values", "text"), [
    ({"base_frame": "/base"}, "no slash in front, got '/base'"),
    ({"output_frame": "base"}, "'base_frame' to be a frame's name with output_frame = base"),
    ({"base_frame": "base", "sensor_pose": MOUNTED}, "'sensor_pose' to be left out with base_frame = 'base'"),
    ({"network_pose": (0.0,) * 12}, "'network_pose' to have 6 numbers"),
])
def test_parameters_of_frames_that_contradict_each_other_are_refused(values, text):
    with pytest.raises(ConfigError, match=text):
        check_config(NodeConfig(**values))


def test_without_the_message_type_of_tf_configure_fails_and_says_what_to_install(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_msgs", None)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    node = bench(parameters=TF)
    assert not node.configure()
    assert "tf2_msgs to be installed" in node.condition("model", "Configure failed").message
    assert node.set_parameter("base_frame", "").successful and node.configure()
