"""What the node publishes for a good cloud: topics, types, QoS, stamps and contents, over DDS."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")

from node_bench import STREET, wait_for
from pasco.msg import FrameStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_stand_in import FakePredictor, voxelised_scene
from visualization_msgs.msg import Marker

from pasco_core.messages.outputs import OUTPUTS
from pasco_core.messages.projection import project_obstacles, project_uncertainty
from pasco_core.messages.scene_reader import scene_from_messages
from pasco_ros import qos
from pasco_ros.outputs.messages import message_class


def all_received(bench):
    return wait_for(lambda: all(bench.received[output.name] for output in OUTPUTS))


def test_a_cloud_becomes_every_output_with_its_own_stamp_and_frame(bench):
    node = bench().start()
    sent = node.send()
    all_received(node)
    for name, received in node.received.items():
        message = received[0]
        header = message.markers[0].header if name == "instances" else message.header
        assert header == sent.header, name
    assert wait_for(lambda: node.statuses)[0].header == sent.header


def test_the_outputs_tell_the_scene_the_predictor_made(bench):
    node = bench().start()
    node.send()
    all_received(node)
    expected = voxelised_scene(STREET)
    scene = scene_from_messages(node.received["voxels"][0], node.received["segments"][0])
    np.testing.assert_array_equal(scene.semantics, expected.semantics)
    np.testing.assert_array_equal(scene.panoptic, expected.panoptic)
    assert node.received["occupied_points"][0].width == np.count_nonzero(expected.semantics)
    boxes = [m for m in node.received["instances"][0].markers if m.type == Marker.CUBE and m.action == Marker.ADD]
    assert len(boxes) == 2
    for name, cells in (("occupancy_grid", project_obstacles(expected, -2.0, 0.6)),
                        ("uncertainty_grid", project_uncertainty(expected))):
        np.testing.assert_array_equal(np.array(node.received[name][0].data).reshape(256, 256).T, cells)


def test_the_status_counts_and_times_the_cloud(bench):
    node = bench().start()
    status = node.send_and_wait()
    assert status.outcome == FrameStatus.PUBLISHED and status.code == "OK"
    assert (status.points_in, status.points_in_range, status.n_segments) == (80, 80, 4)
    assert status.occupied_voxels == np.count_nonzero(voxelised_scene(STREET).semantics)
    assert list(status.stage_names) == [
        "wait", "transform", "decode", "voxelise", "network", "other", "check", "messages", "publish"
    ]
    assert all(0 <= seconds < 5 for seconds in status.stage_seconds) and np.isfinite(status.age)
    assert status.frames_received == sum(status.frames_by_outcome) == 1


def test_the_publishers_offer_the_qos_of_the_table_and_the_input_is_sensor_data(bench):
    node = bench(topics=()).start()
    for output in OUTPUTS:
        offered = node.client.get_publishers_info_by_topic(f"/panoptic_scene_completion/{output.name}")[0].qos_profile
        promised = qos.of_output(output)
        assert (offered.reliability, offered.durability) == (promised.reliability, promised.durability)
        assert offered.reliability == ReliabilityPolicy.RELIABLE
        assert (offered.durability == DurabilityPolicy.TRANSIENT_LOCAL) == output.latched
    wanted = node.client.get_subscriptions_info_by_topic("/points")[0].qos_profile
    assert (wanted.reliability, wanted.durability) == (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)


def test_row_20_only_small_outputs_are_kept_for_who_comes_late(bench):
    node = bench(topics=("voxels",)).start()
    node.send()
    wait_for(lambda: node.received["voxels"])
    late = {output.name: [] for output in OUTPUTS}
    for output in OUTPUTS:
        durability = DurabilityPolicy.TRANSIENT_LOCAL if output.latched else DurabilityPolicy.VOLATILE
        profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
        topic = f"/panoptic_scene_completion/{output.name}"
        node.client.create_subscription(message_class(output.ros_type), topic, late[output.name].append, profile)
    wait_for(lambda: all(late[output.name] for output in OUTPUTS if output.latched))
    assert not late["voxels"] and not late["occupied_points"]


def test_row_20_a_subscriber_with_an_incompatible_qos_is_named_in_the_diagnostics(bench):
    node = bench(parameters={"diagnostics_period": 0.1}).start()
    wants_history = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    topic = "/panoptic_scene_completion/voxels"
    node.client.create_subscription(message_class(OUTPUTS[0].ros_type), topic, lambda m: None, wants_history)
    node.send_and_wait()
    status = node.condition("connections", "incompatible QoS")
    assert topic in status.message and "DURABILITY" in status.message


def test_an_output_that_is_switched_off_does_not_exist(bench):
    node = bench(parameters={"publish_voxels": False}, topics=("segments",)).start()
    assert node.client.count_publishers("/panoptic_scene_completion/voxels") == 0
    assert node.client.count_publishers("/panoptic_scene_completion/segments") == 1


def test_layers_and_the_uncertainty_threshold_can_be_changed_while_running(bench):
    node = bench().start()
    assert node.set_parameter("voxel_layers", ["uncertainty"]).successful
    assert node.set_parameter("uncertainty_threshold", 0.1).successful
    node.send()
    all_received(node)
    assert [layer.name for layer in node.received["voxels"][0].layers] == ["uncertainty"]
    assert node.received["occupied_points"][0].width == 0


def test_row_21_without_a_subscriber_nothing_is_computed_but_it_is_reported(bench):
    node = bench(topics=()).start()
    status = node.send_and_wait()
    assert status.outcome == FrameStatus.DROPPED_NO_SUBSCRIBER and node.predictor.seen == []
    assert node.set_parameter("skip_without_subscribers", False).successful
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED


def test_row_29_the_first_real_cloud_is_not_the_first_prediction(bench):
    node = bench(parameters={"warm_up": True})
    assert node.configure() and len(node.predictor.seen) == 1 and node.predictor.seen[0] > 50_000
    node.close()  # two nodes of one name would answer for each other
    cold = bench(parameters={"warm_up": False}, predictor=FakePredictor())
    assert cold.configure() and cold.predictor.seen == []


def test_the_qos_of_the_input_is_that_of_ros_sensor_data():
    from rclpy.qos import qos_profile_sensor_data

    for key in ("reliability", "durability", "history", "depth"):
        assert getattr(qos.SENSOR_INPUT, key) == getattr(qos_profile_sensor_data, key)


def test_row_5_the_intensity_scale_of_an_activation_only_grows_and_its_change_is_said_once(bench, caplog):
    seen = []

    def predict(points):
        seen.append(float(points[0, 3]))
        return voxelised_scene(points)

    node = bench(predictor=predict, topics=("segments",)).start()
    with caplog.at_level("WARNING", logger="pasco_ros"):
        for peak in (250, 260, 250, 250):
            node.send_and_wait(np.float32([[5, 0, -1.75, peak]]))
    assert seen == pytest.approx([250 / 255, 260 / 65535, 250 / 65535, 250 / 65535], rel=1e-6)
    assert sum("before were scaled by 1/255" in record.getMessage() for record in caplog.records) == 1
    assert node.lifecycle.change("deactivate", 10)
    node.activate().send_and_wait(np.float32([[5, 0, -1.75, 250]]))
    assert seen[-1] == pytest.approx(250 / 255, rel=1e-6)
