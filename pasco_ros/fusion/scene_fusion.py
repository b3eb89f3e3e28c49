"""The node ``scene_fusion``: completed scenes in, the fused scene and tracked things in a fixed frame out."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from pasco.msg import SegmentArray, VoxelGrid
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from pasco_core.clock_jumps import is_of_now
from pasco_core.errors import DataError, TransformError
from pasco_core.fusion import FusedScene, Observation, SceneFusion
from pasco_core.stream.header_checks import StampOrder, check_header, stamp_ns
from pasco_core.stream.outcomes import FrameLedger, Outcome, Verdict
from pasco_ros import qos
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.frames.clock_watch import ClockWatch
from pasco_ros.frames.transform_listener import TransformListener
from pasco_ros.fusion.fused_messages import add_velocities, observation_of, prediction_of
from pasco_ros.fusion.settings import SceneFusionSettings
from pasco_ros.node_runner import run_node
from pasco_ros.outputs import messages
from pasco_ros.outputs.publishers import QosEvents
from pasco_ros.reporting.health import Condition, Level
from pasco_ros.reporting.log_bridge import bridge_logging
from pasco_ros.settings.parameters import declare_parameters, read_config

NODE_NAME = "scene_fusion"
_KEPT_SEGMENTS = 20  # arrays that wait for their grid
_TF_CACHE = 10.0  # seconds
_STOP_TIMEOUT = 4.0  # seconds
_LOG_PERIOD = 5.0  # seconds between log lines about scenes that are not fused

# Not __name__, which is "__main__" where the module is run as a program.
_log = logging.getLogger("pasco_ros.scene_fusion")


@dataclass
class _Scene:
    """A received grid of voxels on its way."""

    voxels: VoxelGrid
    received: float


class SceneFusionNode(Node):
    """Fuses the scenes on ``voxels`` and ``segments``.

    Args:
        arguments: command line with ``--ros-args``, for remaps and parameters.
        **options: as for ``rclpy.node.Node``.

    Raises:
        ConfigError: a parameter is unknown or breaks its rule, or the message type of /tf is not installed.
    """

    def __init__(self, arguments: Sequence[str] = (), **options: Any) -> None:
        super().__init__(NODE_NAME, **options)
        bridge_logging(self)
        declare_parameters(self, arguments, SceneFusionSettings)
        self._config = read_config(self, SceneFusionSettings)
        self._topic = self.resolve_topic_name("voxels")
        self._clock_watch = ClockWatch(self.get_clock(), self._clock_jumped)
        self._transforms = TransformListener(self, _TF_CACHE, QosEvents())
        self._fusion: SceneFusion | None = None
        self._last_output = float("-inf")
        self._last_scene: float | None = None
        self._problem, self._logged_at = "", float("-inf")
        self.ledger = FrameLedger()
        self._order = StampOrder(self._topic)
        self._segments: OrderedDict[int, SegmentArray] = OrderedDict()
        self._segments_changed = threading.Condition()
        self._worker = LatestFrameWorker(self._compute, self._deliver, self._settle, name="fusion")
        self._outputs = {
            "voxels": self.create_publisher(VoxelGrid, "~/voxels", qos.LARGE_OUTPUT),
            "occupied_points": self.create_publisher(PointCloud2, "~/occupied_points", qos.LARGE_OUTPUT),
            "segments": self.create_publisher(SegmentArray, "~/segments", qos.LATCHED_OUTPUT),
            "instances": self.create_publisher(MarkerArray, "~/instances", qos.LATCHED_OUTPUT),
        }
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self.create_subscription(VoxelGrid, "voxels", self._receive, qos.LARGE_OUTPUT)
        self.create_subscription(SegmentArray, "segments", self._receive_segments, qos.LATCHED_OUTPUT)
        self.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._worker.start()
        _log.info("Fusing %s into frame %s", self._topic, self._config.fixed_frame)

    def close(self) -> bool:
        """Stop; returns whether no computation runs any more."""
        self._clock_watch.close()
        self._transforms.close()
        return self._worker.stop(Verdict(Outcome.FLUSHED, "SHUTDOWN", "The node was shut down"), _STOP_TIMEOUT)

    def _receive(self, voxels: VoxelGrid) -> None:
        self._clock_watch.check()
        self._last_scene = time.monotonic()
        self.ledger.receive()
        scene = _Scene(voxels, self._last_scene)
        now = self.get_clock().now().nanoseconds
        refused = check_header(voxels.header, self._topic, now, 0.0) or self._order.take(voxels.header.stamp)
        if refused is not None and refused.outcome == Outcome.FLUSHED:
            self._begin_anew(refused, stamp_ns(voxels.header.stamp))
        elif refused is not None:
            self._settle(scene, refused)
            return
        self._worker.submit(scene)

    def _clock_jumped(self, sentence: str, now: int) -> None:
        newest, self._order = self._order.newest, StampOrder(self._topic)
        if newest is None or not is_of_now(newest, now):  # else the scenes have begun anew before the clock did
            self._begin_anew(Verdict(Outcome.FLUSHED, "CLOCK_JUMP", sentence), now)

    def _begin_anew(self, verdict: Verdict, now: int) -> None:
        """What was seen before the clock or the stamps jumped, to a time in ns, is of no use after it."""
        self._worker.flush(verdict)
        self._transforms.flush(now)
        self._fusion = None
        _log.warning("%s. The fused scene begins anew", verdict.message)

    def _receive_segments(self, segments: SegmentArray) -> None:
        with self._segments_changed:
            self._segments[stamp_ns(segments.header.stamp)] = segments
            while len(self._segments) > _KEPT_SEGMENTS:
                self._segments.popitem(last=False)
            self._segments_changed.notify_all()

    def _compute(self, scene: _Scene) -> FusedScene | Verdict:
        """Add a scene; returns the fused one where it is due and somebody listens, else the scene's verdict."""
        voxels, stamp = scene.voxels, stamp_ns(scene.voxels.header.stamp)
        try:
            observation, corner = observation_of(voxels, self._segments_of(stamp))
            pose = self._transforms.lookup(
                self._config.fixed_frame, voxels.header.frame_id, stamp, self._config.tf_timeout
            )
            fusion = self._fusion_for(observation)
            fusion.add(observation, pose @ corner, stamp / 1e9)
        except TransformError as error:
            return Verdict(Outcome.TF_UNAVAILABLE, error.reason, str(error))
        except DataError as error:
            return Verdict(Outcome.REJECTED, "VOXELS", str(error))
        due = time.monotonic() - self._last_output >= 1.0 / self._config.output_rate
        if not due or not any(publisher.get_subscription_count() for publisher in self._outputs.values()):
            return Verdict(Outcome.PUBLISHED, "FUSED")
        self._last_output = time.monotonic()
        return fusion.window()

    def _deliver(self, scene: _Scene, fused: FusedScene) -> Verdict:
        config, prediction = self._config, prediction_of(fused)
        header = Header(stamp=scene.voxels.header.stamp, frame_id=config.fixed_frame)
        weights = scene.voxels.checkpoint
        segments = add_velocities(messages.segment_array_message(prediction, header, weights), fused)
        makers = {
            "voxels": lambda: messages.compress_layers(
                messages.voxel_grid_message(prediction, header, weights, config.voxel_layers), config.voxel_compression
            ),
            "occupied_points": lambda: messages.occupied_points_message(
                prediction, header, config.uncertainty_threshold
            ),
            "segments": lambda: segments,
            "instances": lambda: messages.instance_markers(segments),
        }
        for name, publisher in self._outputs.items():
            if publisher.get_subscription_count():
                publisher.publish(makers[name]())
        return Verdict(Outcome.PUBLISHED)

    def _settle(self, scene: _Scene, verdict: Verdict) -> None:
        self.ledger.settle(verdict.outcome)
        if verdict.outcome == Outcome.PUBLISHED:
            self._problem = ""
        if verdict.outcome in (Outcome.PUBLISHED, Outcome.DROPPED_OVERLOAD, Outcome.FLUSHED):
            return
        self._problem = f"{verdict.outcome.name} ({verdict.code}). {verdict.message}"
        if time.monotonic() - self._logged_at >= _LOG_PERIOD:
            self._logged_at = time.monotonic()
            _log.warning("A scene was not fused: %s", self._problem)

    def _segments_of(self, stamp: int) -> SegmentArray | None:
        deadline = time.monotonic() + self._config.segments_timeout
        with self._segments_changed:
            while stamp not in self._segments and time.monotonic() < deadline:
                self._segments_changed.wait(deadline - time.monotonic())
            return self._segments.get(stamp)

    def _fusion_for(self, observation: Observation) -> SceneFusion:
        """The fusion so far; a new one where the voxels have another size or other classes than before."""
        config = self._config.config(observation.grid.voxel_size)
        fusion = self._fusion
        if fusion is None or fusion.config != config or fusion.labels.name != observation.labels.name:
            fusion = self._fusion = SceneFusion(observation.labels, config)
        return fusion

    def _report(self) -> None:
        if not self.context.ok():
            return
        counts = self.ledger.counts()
        values = {outcome.name.lower(): str(n) for outcome, n in zip(Outcome, counts, strict=True)}
        condition = Condition("fusion", *self._judged(), values)
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(messages.diagnostics_message([condition], self.get_name(), NODE_NAME, stamp))

    def _judged(self) -> tuple[Level, str]:
        if self._last_scene is None:
            return Level.WARN, f"Waiting for the first scene on {self._topic}"
        silence = time.monotonic() - self._last_scene
        if silence > self._config.input_timeout:
            return Level.ERROR, f"No scene on {self._topic} for {silence:.1f} s"
        if self._problem:
            return Level.WARN, self._problem
        return Level.OK, f"Fusing {self._topic} into {self._config.fixed_frame}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; the entry point of the executable."""
    return run_node(SceneFusionNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
