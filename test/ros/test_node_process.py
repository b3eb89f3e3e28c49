"""The node as a process of its own: signals, exit codes, and starts that are refused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")

import rclpy
from node_bench import STREET, wait_for
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from pasco_ros.demo.lifecycle_client import LifecycleClient
from pasco_ros.demo.spin_thread import SpinThread
from pasco_ros.outputs import messages

ROOT = Path(__file__).parents[2]


class NodeProcess:
    """The stand-in node program, its output collected line by line."""

    def __init__(self, *arguments: str, **environment: str):
        command = [sys.executable, str(Path(__file__).with_name("ros_stand_in.py")), "--ros-args", *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self._reader.start()

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def end(self, timeout: float = 15.0) -> int:
        code = self.process.wait(timeout)
        self._reader.join(5)
        return code

    def output(self) -> str:
        return "".join(self.lines)


@pytest.fixture
def start():
    processes = []

    def make(*arguments, **environment):
        processes.append(NodeProcess(*arguments, **environment))
        return processes[-1]

    yield make
    for each in processes:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait(5)


@pytest.fixture
def client():
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    node = Node("process_client", context=context)
    thread = SpinThread(node)
    yield node
    thread.stop()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_row_22_sigint_before_configure_ends_the_process_with_code_0(start):
    node = start()
    wait_for(lambda: node.says("Waiting to be configured"))
    node.process.send_signal(signal.SIGINT)
    assert node.end() == 0 and "Traceback" not in node.output()


@pytest.mark.parametrize(("signals", "delay"), [
    ((signal.SIGINT, signal.SIGINT), 0.5), ((signal.SIGTERM,), 30.0),
])
def test_row_22_signals_during_a_computation_end_the_process_with_code_0(start, client, signals, delay):
    node = start("-p", "publish_voxels:=false", "-p", "warm_up:=false", "-p", "skip_without_subscribers:=false",
                 PASCO_TEST_DELAY=str(delay))
    lifecycle = LifecycleClient(client, "/panoptic_scene_completion")
    assert lifecycle.wait(15) and lifecycle.change("configure", 15) and lifecycle.change("activate", 15)
    publisher = client.create_publisher(PointCloud2, "/points", 10)
    wait_for(lambda: publisher.get_subscription_count() == 1)
    header = Header(frame_id="lidar")

    def computing():
        header.stamp.sec += 1
        publisher.publish(messages.cloud_message(STREET, header))
        time.sleep(0.1)
        return node.says("stand-in computes")

    wait_for(computing)
    for number in signals:
        node.process.send_signal(number)
        time.sleep(0.05)
    assert node.end() == 0
    summary = next(line for line in node.lines if "Stopped listening" in line)
    assert re.search(r"clouds received, of which .*FLUSHED", summary) and "PUBLISHED" not in summary
    assert "Traceback" not in node.output()


REFUSED = {
    ("-p", "max_pionts:=5"): "did you mean 'max_points'?",
    ("-p", "max_age:=5"): "write 5.0",
    ("-p", "uncertainty_threshold:=7.5"): "0.0 to 1.0, got 7.5",
    ("-p", "empty_cloud:=ignore"): "publish, skip",
    ("--params-file", "missing.yaml"): "missing.yaml",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_row_23_a_start_with_a_wrong_parameter_is_refused_with_a_hint(start, arguments):
    node = start(*arguments)
    assert node.end() == 2
    assert REFUSED[arguments] in node.output() and "Traceback" not in node.output()


def test_row_23_a_parameter_file_keyed_to_another_node_is_refused_with_a_hint(start, tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("scene_completion:\n  ros__parameters:\n    max_points: 5\n")
    node = start("--params-file", str(path))
    assert node.end() == 2
    assert re.search("section 'panoptic_scene_completion' .* got scene_completion", node.output())


def test_the_same_file_is_right_for_a_node_renamed_on_the_command_line(start, tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("scene_completion:\n  ros__parameters:\n    max_points: 5\n")
    node = start("--params-file", str(path), "-r", "__node:=scene_completion", "-r", "points:=/front/points")
    wait_for(lambda: node.says("clouds will be taken from /front/points"))
    node.process.send_signal(signal.SIGINT)
    assert node.end() == 0
