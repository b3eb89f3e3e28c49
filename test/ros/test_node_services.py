"""The node's services: the effort, a fresh start, and the last frame on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from node_bench import wait_for
from pasco.srv import SetDegradation
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from pasco_core.prediction_file import load_prediction


def call(bench, kind: type, name: str, **fields):
    """The answer of a service of the node."""
    client = bench.client.create_client(kind, f"/panoptic_scene_completion/{name}")
    assert client.wait_for_service(timeout_sec=10)
    future = client.call_async(kind.Request(**fields))
    wait_for(future.done)
    return future.result()


def test_the_effort_is_chosen_as_by_the_parameter(bench):
    node = bench().start()
    answer = call(node, SetDegradation, "set_degradation", level="semantics_only")
    assert answer.success and answer.message == "degradation is semantics_only"
    assert node.node.get_parameter("degradation").value == "semantics_only"
    answer = call(node, SetDegradation, "set_degradation", level="least")
    assert not answer.success and "got 'least'" in answer.message
    assert node.node.get_parameter("degradation").value == "semantics_only"


def test_the_last_frame_is_written_with_all_that_a_bug_report_needs(bench, tmp_path):
    node = bench(parameters={"dump_folder": str(tmp_path)}).start()
    answer = call(node, Trigger, "dump_frame")
    assert not answer.success and "No frame was computed" in answer.message
    node.send_and_wait()
    answer = call(node, Trigger, "dump_frame")
    assert answer.success
    (folder,) = tmp_path.iterdir()
    assert str(folder) in answer.message
    facts = json.loads((folder / "frame.json").read_text(encoding="utf-8"))
    points = np.load(folder / "points.npy", allow_pickle=False)
    assert points.dtype == np.float32 and points.shape[1] == 4 and len(points)
    assert facts["parameters"]["dump_folder"] == str(tmp_path) and facts["stamp"]["sec"] > 0
    assert load_prediction(folder / "scene.npz").semantics.any()
    assert call(node, Trigger, "dump_frame").success and len(list(tmp_path.iterdir())) == 2


def test_a_dump_that_cannot_be_written_is_said_and_the_node_goes_on(bench, tmp_path):
    (tmp_path / "file").write_text("in the way")
    node = bench(parameters={"dump_folder": str(tmp_path / "file")}).start()
    node.send_and_wait()
    answer = call(node, Trigger, "dump_frame")
    assert not answer.success and "could not be written" in answer.message
    node.send_and_wait()


def test_after_a_reset_older_stamps_are_new_again(bench):
    node = bench().start()
    first = node.send_and_wait()
    header = Header(frame_id=first.header.frame_id, stamp=first.header.stamp)
    assert node.send_and_wait(header=header).code == "DUPLICATE"
    assert call(node, Trigger, "reset").success
    assert node.send_and_wait(header=header).code == "OK"
