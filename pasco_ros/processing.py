"""Everything that exists between configure and cleanup: the model, its thread, the sensors, the publishers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from pasco.msg import FrameStatus
from rclpy.lifecycle import LifecycleNode

from pasco_core.messages.outputs import OutputBuilder
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.cloud_source import CloudMember
from pasco_core.stream.model import Model
from pasco_core.stream.outcomes import FrameReport, Outcome, Verdict
from pasco_ros import qos
from pasco_ros.computing.backoff import FailureBackoff
from pasco_ros.computing.effort_control import EffortControl
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.computing.pipeline import CloudPipeline
from pasco_ros.frames.transform_listener import TransformListener
from pasco_ros.inputs.sensor_suite import SensorSuite
from pasco_ros.outputs import messages
from pasco_ros.outputs.publishers import OutputPublishers, QosEvents
from pasco_ros.reporting.frame_reporter import FrameReporter
from pasco_ros.reporting.health import Health

_STOP_TIMEOUT = 4.0  # seconds; launch sends SIGTERM 5 s after SIGINT

_log = logging.getLogger(__name__)


class Processing:
    """What a configured node holds.

    Args:
        node: the node whose publishers and subscriptions they are.
        model: loaded and warmed up.
        transforms: /tf, where the node reads it.
        config: the settings as they are now.
        now: the node's clock in ns.
        events: told of partners that cannot be heard.
        topic: the primary input topic, resolved.
    """

    def __init__(
        self, node: LifecycleNode, model: Model, transforms: TransformListener | None,
        config: Callable[[], NodeConfig], now: Callable[[], int], events: QosEvents, topic: str,
    ) -> None:
        self._node = node
        self.model, self.transforms = model, transforms
        self.outputs = OutputPublishers(node, config(), events)
        self.status = node.create_lifecycle_publisher(FrameStatus, "~/status", qos.STATUS)
        self.backoff = FailureBackoff(config().max_failures)
        self.reporter = FrameReporter(self._publish_status, self.backoff, topic)
        self.effort = EffortControl(model, config)
        self.sensors = SensorSuite(node, config(), transforms, model.grid, events)
        self.pipeline = CloudPipeline(
            model, self.effort, self.sensors.resolver, self.sensors.builder, self.sensors.cameras,
            OutputBuilder(messages.TYPES, model.checkpoint, self.outputs.wanted), self.outputs.publish, config, now,
            self.reporter.note, topic,
        )
        self.worker = LatestFrameWorker(self.pipeline.compute, self.pipeline.deliver, self.reporter.settle)
        self.worker.start()

    def flush_transforms(self, now: int | None = None) -> None:
        """Forget where things were, but not what is known of ``now``: the time in ns after a jump."""
        if self.transforms is not None:
            self.transforms.flush(now)

    def revive(self) -> None:
        """Start the computing thread again if it has ended, which it never should."""
        if not self.worker.alive:
            _log.error("The computing thread has ended unexpectedly; it is started again")
            self.worker.start()

    def release(self) -> bool:
        """Let go of everything; returns whether the computing thread has ended."""
        if self.transforms is not None:
            self.transforms.close()
        ended = self.worker.stop(Verdict(Outcome.FLUSHED, "SHUTDOWN", "The node was shut down"), _STOP_TIMEOUT)
        if not ended:
            _log.warning("A computation still runs after %.0f s; its result will be discarded", _STOP_TIMEOUT)
        self.outputs.destroy()
        status, self.status = self.status, None
        self._node.destroy_lifecycle_publisher(status)
        return ended

    def describe(self, health: Health) -> None:
        """Fill in what the diagnostics say about these parts."""
        model, reporter, ladder = self.model, self.reporter, self.effort.ladder
        health.checkpoint, health.trained, health.device = model.checkpoint, model.trained, model.device
        health.last_problem, health.latency = reporter.problem(), reporter.latency
        health.stages = reporter.last_report.stages if reporter.last_report else {}
        if self.transforms is not None:
            health.transforms = self.transforms.counts
            health.transform_problem_age = time.monotonic() - health.transforms.problem_time
        health.failures = self.backoff.failures
        health.pause_left = self.backoff.pause_left(time.monotonic())
        health.effort, health.effort_reason, health.shortfall = ladder.level, ladder.reason, ladder.shortfall
        health.busy = self.worker.busy()

    def _publish_status(
        self, cloud: CloudMember, verdict: Verdict, report: FrameReport, counts: Sequence[int]
    ) -> None:
        if self.status is not None and self._node.context.ok():
            self.status.publish(messages.status_message(cloud, verdict, report, counts))
