"""The node and a client in one process, each with an executor thread, talking over DDS."""

from __future__ import annotations

import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from pasco.msg import FrameStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from ros_stand_in import FakePredictor
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from pasco_core.messages.outputs import OUTPUTS
from pasco_core.stream.model import Model
from pasco_core.stream.outcomes import Outcome
from pasco_ros import qos
from pasco_ros.demo.lifecycle_client import LifecycleClient
from pasco_ros.demo.spin_thread import SpinThread
from pasco_ros.outputs import messages
from pasco_ros.outputs.messages import message_class
from pasco_ros.panoptic_scene_completion import NODE_NAME, PanopticSceneCompletion

STREET = np.array(
    [[5 + 0.2 * i, y, z, 0.5] for i in range(20) for y, z in ((0.1, -1.75), (2.1, -0.7), (-2.1, -0.9), (8.1, 1.1))],
    np.float32,
)


def wait_for(condition, seconds: float = 10.0):
    """The first true value of ``condition()``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
    return value


class NodeBench:
    """One node under test.

    Args:
        predictor: what stands for the network; it is what ``model_loader`` would return as ``predict``.
        model_loader: in its place, settings -> model.
        parameters: overrides by name; there is no warm-up unless they ask for it.
        topics: outputs to subscribe to; all by default.
    """

    def __init__(self, predictor=None, model_loader=None, parameters=None, topics=None):
        self.predictor = predictor or FakePredictor()
        loader = model_loader or (lambda config: Model(self.predictor, "stand-in"))
        parameters = {"warm_up": False, **(parameters or {})}
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.context = rclpy.Context()
        rclpy.init(context=self.context, args=[])
        self.node = PanopticSceneCompletion(
            model_loader=loader, context=self.context, parameter_overrides=overrides
        )
        self.client = Node("client", context=self.context)
        self.lifecycle = LifecycleClient(self.client, f"/{NODE_NAME}")
        self.statuses: list[FrameStatus] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.received = {output.name: [] for output in OUTPUTS}
        self.client.create_subscription(FrameStatus, f"/{NODE_NAME}/status", self.statuses.append, qos.STATUS)
        self.client.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, qos.DIAGNOSTICS)
        for output in OUTPUTS:
            if topics is None or output.name in topics:
                topic = f"/{NODE_NAME}/{output.name}"
                self.client.create_subscription(
                    message_class(output.ros_type), topic, self.received[output.name].append, qos.of_output(output)
                )
        self.publisher = self.client.create_publisher(PointCloud2, "/points", 10)
        self.stamp = time.time_ns() - 100_000_000_000  # so that many clouds can be sent at once, none from the future
        self._threads = [SpinThread(self.node), SpinThread(self.client)]

    def configure(self) -> bool:
        assert self.lifecycle.wait(10)
        return self.lifecycle.change("configure", 90)

    def start(self):
        """Configure, activate, and wait until everything is connected."""
        assert self.configure()
        return self.activate()

    def activate(self):
        assert self.lifecycle.change("activate", 10)
        wait_for(lambda: self.publisher.get_subscription_count() == 1)
        outputs = self.node._parts.outputs._publishers
        subscribed = {s.topic_name.rsplit("/", 1)[-1] for s in self.client.subscriptions}
        wait_for(lambda: all(p.get_subscription_count() for name, p in outputs.items() if name in subscribed))
        wait_for(lambda: self.node._parts.status.get_subscription_count() == 1)
        return self

    def header(self, step: float = 0.1) -> Header:
        """A header ``step`` seconds later than the last."""
        self.stamp += round(step * 1e9)
        header = Header(frame_id="lidar")
        header.stamp.sec, header.stamp.nanosec = divmod(self.stamp, 1_000_000_000)
        return header

    def send(self, points=STREET, **changes) -> PointCloud2:
        """Publish a cloud of ``points``, with some attributes changed."""
        message = messages.cloud_message(points, changes.pop("header", None) or self.header())
        for name, value in changes.items():
            setattr(message, name, value)
        self.publisher.publish(message)
        return message

    def send_and_wait(self, points=STREET, seconds: float = 10.0, **changes) -> FrameStatus:
        """Publish a cloud and return its status."""
        before = len(self.statuses)
        self.send(points, **changes)
        wait_for(lambda: len(self.statuses) > before, seconds)
        return self.statuses[before]

    def outcomes(self) -> dict[str, int]:
        counts = self.statuses[-1].frames_by_outcome
        return {outcome.name: int(n) for outcome, n in zip(Outcome, counts, strict=True) if n}

    def condition(self, name: str, text: str = "", seconds: float = 10.0):
        """The first diagnostic status called ``name`` from now on whose message contains ``text``."""
        start = len(self.diagnostics)

        def search():
            for array in self.diagnostics[start:]:
                for status in array.status:
                    if status.name.endswith(f": {name}") and text in status.message:
                        return status
            return None

        return wait_for(search, seconds)

    def set_parameter(self, name: str, value):
        """Set a parameter over its service; returns the result."""
        client = AsyncParameterClient(self.client, f"/{NODE_NAME}")
        assert client.wait_for_services(5)
        future = client.set_parameters([Parameter(name, value=value)])
        wait_for(future.done)
        return future.result().results[0]

    def close(self):
        """Destroy the nodes; may be called twice."""
        if not self.context.ok():
            return
        for thread in self._threads:
            thread.stop()
        self.node.close()
        self.node.destroy_node()
        self.client.destroy_node()
        rclpy.try_shutdown(context=self.context)
