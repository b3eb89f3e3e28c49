"""Player, node and recorder killed outright, in turn: the others go on, say so, and whoever comes back is taken in."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from node_bench import STREET, wait_for
from pasco.msg import FrameStatus
from rclpy.node import Node

from pasco_ros import qos
from pasco_ros.demo.processes import Child, ChildGroup, graph_environment
from pasco_ros.demo.spin_thread import SpinThread
from pasco_ros.demo.topics import CLOUDS, DIAGNOSTICS, STATUS

PATIENCE = 60.0  # seconds: processes start slowly on a busy machine
NODE_PROGRAM = Path(__file__).with_name("ros_stand_in.py")


class Graph:
    """Player, node and recorder as processes, and what a listener hears of the node."""

    def __init__(self, group: ChildGroup, folder: Path, listener: Node) -> None:
        self._group, self._folder = group, folder
        self.published = 0
        self.input = ""
        listener.create_subscription(FrameStatus, STATUS, self._note, qos.STATUS)
        listener.create_subscription(DiagnosticArray, DIAGNOSTICS, self._hear, qos.DIAGNOSTICS)

    def start_node(self) -> Child:
        parameters = {"autostart": "true", "warm_up": "false", "diagnostics_period": "0.2", "input_timeout": "1.0"}
        options = [text for name, value in parameters.items() for text in ("-p", f"{name}:={value}")]
        node = self._start("node", [sys.executable, str(NODE_PROGRAM), "--ros-args", *options])
        wait_for(lambda: "Active" in node.log.read_text(), PATIENCE)
        return node

    def start_recorder(self) -> Child:
        bag = str(self._folder / f"bag{len(self._group.children)}")
        recorder = self._start("recorder", ["-m", "pasco_ros.demo.recorder", "--bag", bag])
        wait_for(lambda: recorder.seen("ready"), PATIENCE)
        return recorder

    def start_player(self) -> Child:
        options = ["--scans", str(self._folder), "--frames", "5000", "--rate", "20", "--topic", CLOUDS]
        player = self._start("player", ["-m", "pasco_ros.demo.player", *options])
        wait_for(lambda: player.seen("ready"), PATIENCE)
        player.send("go")
        self.wait_for_results()
        return player

    def wait_for_results(self) -> None:
        """Until the node has published five more."""
        before = self.published
        wait_for(lambda: self.published >= before + 5, PATIENCE)

    def _start(self, name: str, command: list[str]) -> Child:
        child = self._group.start(f"{name}{len(self._group.children)}", command)
        wait_for(child.log.exists)
        return child

    def _note(self, status: FrameStatus) -> None:
        self.published += status.outcome == FrameStatus.PUBLISHED

    def _hear(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(": input"):
                self.input = status.message


@pytest.fixture
def graph(tmp_path):
    STREET.astype("<f4").tofile(tmp_path / "000000.bin")
    environment = graph_environment(int(os.environ["ROS_DOMAIN_ID"]), tmp_path / "logs")
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    listener = Node("listener", context=context)
    with ChildGroup(environment, tmp_path / "logs") as group:
        graph = Graph(group, tmp_path, listener)
        thread = SpinThread(listener)
        yield graph
        thread.stop()
        listener.destroy_node()
        rclpy.try_shutdown(context=context)


def kill(child: Child) -> None:
    os.kill(child.pid, signal.SIGKILL)
    wait_for(lambda: not alive(child))


def alive(child: Child) -> bool:
    return child._process.poll() is None


def test_whoever_is_killed_the_others_go_on_and_take_in_who_comes_back(graph):
    node, recorder = graph.start_node(), graph.start_recorder()
    player = graph.start_player()

    kill(player)
    wait_for(lambda: graph.input.startswith(f"No cloud on {CLOUDS} for"), PATIENCE)
    assert alive(node) and alive(recorder)
    player = graph.start_player()
    wait_for(lambda: graph.input == f"Receiving {CLOUDS}", PATIENCE)

    kill(node)
    sent = player.seen("published")["done"]
    wait_for(lambda: player.seen("published")["done"] > sent + 10, PATIENCE)
    assert alive(player) and alive(recorder)
    node = graph.start_node()
    graph.wait_for_results()

    kill(recorder)
    graph.wait_for_results()
    assert alive(player) and alive(node)
    assert player.stop() == 0 and node.stop() == 0
    assert "Traceback" not in node.log.read_text() + player.log.read_text()
