"""The node ``simulated_town``: what it publishes of a drive through a small world, how the drive ends, and refusals."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not built: run `make setup`")
pytest.importorskip("embreex", reason="embreex is not installed: pip install 'pasco-ros[sim]'")

import rclpy
from nav_msgs.msg import Odometry
from pasco.msg import VoxelGrid
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from stand_in_world import BoxWorld
from tf2_msgs.msg import TFMessage

import pasco_ros.simulation.simulated_town as town
from pasco_core.data.cloud_message import decode_cloud
from pasco_core.errors import PascoError
from pasco_core.geometry.poses import pose_matrix, rigid_matrix
from pasco_core.stream.header_checks import stamp_ns
from pasco_ros import qos
from pasco_ros.demo.spin_thread import SpinThread
from pasco_ros.simulation.car import Car, CarPlan

ROOT = Path(__file__).parents[2]
MOUNTS = [0.5, 0.0, 1.6, 0.0, 0.1, 0.0, -0.5, 0.0, 1.6, 0.0, 0.0, 3.1]
TOPICS = {
    "front": (PointCloud2, "/front/points", qos.PLAYED_CLOUDS),
    "rear": (PointCloud2, "/rear/points", qos.PLAYED_CLOUDS),
    "image": (Image, "/camera/image", qos.PLAYED_CLOUDS),
    "info": (CameraInfo, "/camera/camera_info", qos.PLAYED_CLOUDS),
    "odometry": (Odometry, "/odometry", qos.ODOMETRY), "clock": (Clock, "/clock", qos.recording(qos.CLOCK)),
    "tf": (TFMessage, "/tf", qos.TRANSFORMS), "static": (TFMessage, "/tf_static", qos.STATIC_TRANSFORMS),
    "truth": (VoxelGrid, "/voxel_truth", qos.LARGE_OUTPUT),
}


class FramesAtOnce:
    """In the place of the processes that compute ahead: computes when asked."""

    fails = False

    def __init__(self, plan, numbers, workers, ahead):
        self._car, self._numbers = Car(plan, BoxWorld()), iter(numbers)
        self._next = next(self._numbers, None)

    def over(self) -> bool:
        return self._next is None

    def ready(self) -> bool:
        return not self.over()

    def take(self):
        if FramesAtOnce.fails:
            raise PascoError("Expected the processes that simulate to go on running, got: killed")
        frame, self._next = self._car.frame(self._next), next(self._numbers, None)
        return frame

    def close(self) -> None:
        self._next = None


class Drive:
    """The node and a client that collects everything."""

    def __init__(self, **parameters):
        given = {"sensor": "vlp-16", "lidar_topics": ["front/points", "rear/points"], "lidar_frames": ["front", "rear"],
                 "lidar_mounts": MOUNTS, "frames": 4, "image_rate": 0.0, **parameters}
        self._contexts = [rclpy.Context(), rclpy.Context()]  # the node ends its own
        for context in self._contexts:
            rclpy.init(context=context, args=[])
        self.client = Node("client", context=self._contexts[0])
        self.heard = {name: [] for name in TOPICS}
        for name, (kind, topic, profile) in TOPICS.items():
            self.client.create_subscription(kind, topic, self.heard[name].append, profile)
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        self.node = town.SimulatedTown(context=self._contexts[1], parameter_overrides=overrides)

    def run(self, over, seconds: float = 40.0):
        """Spin both until ``over(self)`` or the node ends; messages on their way are waited for."""
        client, executor = SpinThread(self.client), SingleThreadedExecutor(context=self._contexts[1])
        heard_on = {topic for _, topic, _ in TOPICS.values()}
        publishers = [p for p in self.node.publishers if p.topic_name in heard_on]
        wait_for(lambda: all(p.get_subscription_count() for p in publishers))
        executor.add_node(self.node)
        end = time.monotonic() + seconds
        try:
            while self._contexts[1].ok() and not over(self):
                assert time.monotonic() < end, "waited in vain"
                executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            assert not self._contexts[1].ok()
        time.sleep(0.3)
        client.stop()
        self.node.close()
        for node, context in zip((self.client, self.node), self._contexts):
            node.destroy_node()
            rclpy.try_shutdown(context=context)
        return self


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def drive(monkeypatch):
    monkeypatch.setattr(town, "FramesAhead", FramesAtOnce)
    monkeypatch.setattr(town, "Car", lambda plan: Car(plan, BoxWorld()))
    monkeypatch.setattr(FramesAtOnce, "fails", False)
    return Drive


def matrix_of(transform) -> np.ndarray:
    t, r = transform.transform.translation, transform.transform.rotation
    return rigid_matrix([t.x, t.y, t.z], [r.x, r.y, r.z, r.w])


def test_everything_of_a_frame_has_its_stamp_and_the_transforms_lead_to_where_the_car_is(drive):
    run = drive(image_rate=5.0, truth_rate=2.5, frames=0).run(lambda d: len(d.heard["rear"]) >= 4)
    stamps = [stamp_ns(m.header.stamp) for m in run.heard["front"]][:4]
    assert stamps == [round((1 + k / 10) * 1e9) for k in range(4)]
    assert [stamp_ns(m.header.stamp) for m in run.heard["rear"]][:4] == stamps
    assert [stamp_ns(m.header.stamp) for m in run.heard["image"]][:2] == stamps[::2]
    assert [stamp_ns(m.header.stamp) for m in run.heard["info"]][:2] == stamps[::2]
    assert stamp_ns(run.heard["truth"][0].header.stamp) == stamps[0]
    static = {t.child_frame_id: t for message in run.heard["static"] for t in message.transforms}
    np.testing.assert_allclose(matrix_of(static["front"]), pose_matrix(MOUNTS[:6]), atol=1e-9)
    dynamic = {stamp_ns(t.header.stamp): t for message in run.heard["tf"] for t in message.transforms}
    car = Car(CarPlan(0, "vlp-16", "still", ()), BoxWorld())
    for number, stamp in enumerate(stamps):
        found = matrix_of(static["odom"]) @ matrix_of(dynamic[stamp])
        np.testing.assert_allclose(found, car.pose(number / 10), atol=1e-9)
    assert {t.header.frame_id for t in dynamic.values()} == {"odom"} and static["odom"].header.frame_id == "map"
    assert run.heard["odometry"][0].twist.twist.linear.x == pytest.approx(10.0, abs=1e-6)


def test_the_clock_ascends_and_no_message_is_ahead_of_it(drive):
    run = drive().run(lambda d: False)
    times = [stamp_ns(m.clock) for m in run.heard["clock"]]
    assert times == sorted(set(times)) and times[0] == 1_000_000_000 and len(times) > 4
    assert all(stamp_ns(m.header.stamp) in times for m in run.heard["front"])


def test_a_cloud_is_what_the_lidar_measured_with_ring_and_time(drive):
    run = drive(sweep="raw").run(lambda d: False)
    message = run.heard["rear"][1]
    assert [f.name for f in message.fields] == ["x", "y", "z", "intensity", "ring", "time"]
    plan = CarPlan(0, "vlp-16", "raw", (pose_matrix(MOUNTS[:6]), pose_matrix(MOUNTS[6:])))
    expected = Car(plan, BoxWorld()).frame(1).scans[1]
    kept = np.linalg.norm(expected.points[:, :3], axis=1) > 0
    np.testing.assert_array_equal(decode_cloud(message, "rear").points, expected.points[kept])
    table = np.frombuffer(bytes(message.data), np.uint8).reshape(-1, message.point_step)
    np.testing.assert_array_equal(table[:, 16:18].copy().view("<u2")[:, 0], expected.beams)
    np.testing.assert_array_equal(table[:, 18:22].copy().view("<f4")[:, 0], expected.times)
    assert expected.times.min() < -0.04 and expected.times.max() > 0.04


def test_the_drive_ends_by_itself_with_code_0(drive):
    run = drive(frames=3).run(lambda d: False)
    assert run.node.exit_code == 0 and run.node.published == 3 == len(run.heard["front"])


def test_a_loop_begins_anew_with_the_clock_too(drive):
    run = drive(frames=2, loop=True).run(lambda d: len(d.heard["rear"]) >= 5)
    stamps = [stamp_ns(m.header.stamp) / 1e9 for m in run.heard["front"]]
    assert stamps[:5] == pytest.approx([1.0, 1.1, 1.0, 1.1, 1.0])
    clock = [stamp_ns(m.clock) for m in run.heard["clock"]]
    assert any(later < earlier for earlier, later in itertools.pairwise(clock))


def test_without_a_clock_stamps_are_the_systems(drive):
    before = time.time()
    run = drive(clock=False).run(lambda d: False)
    assert not run.heard["clock"]
    assert all(before <= stamp_ns(m.header.stamp) / 1e9 <= time.time() for m in run.heard["front"])


def test_processes_that_died_end_the_node_with_code_1(drive, monkeypatch):
    monkeypatch.setattr(FramesAtOnce, "fails", True)
    run = drive().run(lambda d: False)
    assert run.node.exit_code == 1 and run.node.published == 0


@pytest.mark.parametrize(("parameter", "complaint"), [
    ("senzor:=vlp-16", "did you mean 'sensor'?"), ("sensor:=vlp-17", "hdl-64e, os1-64"),
    ("loop:=true", "'frames' to be above 0 where loop is true"), ("speed:=0.0", "0.01 to 100.0, got 0.0"),
])
def test_a_start_with_a_wrong_parameter_is_refused_with_a_hint(parameter, complaint):
    done = subprocess.run(
        [sys.executable, "-m", "pasco_ros.simulation", "--ros-args", "-p", parameter],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 2 and complaint in done.stderr and "Traceback" not in done.stderr
