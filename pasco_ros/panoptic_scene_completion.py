"""The lifecycle node: PointCloud2 in; voxels, segments, maps and diagnostics out.

configure loads, verifies and warms up the network; activate subscribes; a thread of its own computes, and the newest
cloud wins. The node decides nothing itself: it wires the modules beside it to ROS.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.subscription import Subscription
from sensor_msgs.msg import PointCloud2

from pasco_core.settings.node_config import NODE_NAME, NodeConfig
from pasco_core.stream.model import ModelLoader, load_model, warm_up
from pasco_core.stream.outcomes import FrameLedger, Outcome, Verdict
from pasco_core.threads import wait_briefly
from pasco_ros import qos
from pasco_ros.autostart import Autostart
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.frames.clock_watch import ClockWatch
from pasco_ros.frames.transform_listener import TransformListener
from pasco_ros.inputs.intake import CloudIntake
from pasco_ros.node_runner import run_node
from pasco_ros.outputs import messages
from pasco_ros.outputs.publishers import QosEvents
from pasco_ros.processing import Processing
from pasco_ros.reporting.frame_dump import ComputedFrame
from pasco_ros.reporting.health import Health, assess
from pasco_ros.reporting.log_bridge import bridge_logging
from pasco_ros.reporting.sensor_health import assess_sensors
from pasco_ros.services import NodeServices
from pasco_ros.settings.parameters import change_checker, declare_parameters, read_config

# Not __name__, which is "__main__" where the module is run as a program.
_log = logging.getLogger("pasco_ros.panoptic_scene_completion")


@dataclass
class _Active:
    """What exists between activate and deactivate."""

    intake: CloudIntake
    subscription: Subscription


class PanopticSceneCompletion(LifecycleNode):
    """The node ``panoptic_scene_completion``.

    Args:
        arguments: command line with ``--ros-args``, for remaps and parameters.
        model_loader: settings -> model; tests give a small one.
        **options: as for ``rclpy.node.Node``.

    Raises:
        ConfigError: a parameter is unknown or breaks its rule.
    """

    def __init__(self, arguments: Sequence[str] = (), model_loader: ModelLoader = load_model, **options: Any) -> None:
        super().__init__(NODE_NAME, **options)
        bridge_logging(self)
        self._clock_watch = ClockWatch(self.get_clock(), self._clock_jumped)
        declare_parameters(self, arguments, NodeConfig)
        self._config = read_config(self, NodeConfig)
        self.add_on_set_parameters_callback(change_checker(self, lambda: self._parts is not None, self._reconfigure))
        self._load = model_loader
        self._topic = self.resolve_topic_name("points")
        self._parts: Processing | None = None
        self._abandoned: list[LatestFrameWorker] = []  # whose computation outlived its cleanup
        self._active: _Active | None = None
        self._error = ""
        self._total = FrameLedger()
        self._clock_jumps, self._last_jump = 0, ("", float("-inf"))
        self._qos_events = QosEvents()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        # Of a steady clock, so that a node without /clock reports that too.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(self._config.diagnostics_period, self._report_health, clock=steady)
        self._own_services = NodeServices(self, self._reset, self._last_frame, lambda: self._config.dump_folder)
        self._autostart = Autostart(self) if self._config.autostart else None
        _log.info("Waiting to be configured; clouds will be taken from %s", self._topic)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, verify and warm up the network; a failure names its reason and leaves the node as it was."""
        started = time.monotonic()
        transforms = None
        try:
            if self._config.base_frame:
                transforms = TransformListener(self, self._config.tf_cache_time, self._qos_events)
            model = self._load(self._config)
            if self._config.warm_up:
                warm_up(model, every_level=self._config.may_degrade)
        except Exception as error:
            _log.debug("Configure failed", exc_info=True)
            self._error = f"{type(error).__name__}: {error}"
            _log.error("Configure failed, the node stays unconfigured. %s", self._error)
            if transforms is not None:
                transforms.close()
            self._report_health()
            return TransitionCallbackReturn.FAILURE
        self._error = ""
        self._parts = Processing(
            self, model, transforms, lambda: self._config, self._now, self._qos_events, self._topic
        )
        if not model.trained:
            _log.warning("THE WEIGHTS WERE NEVER TRAINED, the results mean nothing: set the parameter 'checkpoint'")
        _log.info("Configured in %.1f s on %s; weights: %s", time.monotonic() - started, model.device, model.checkpoint)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the publishers and subscribe to the clouds."""
        parts = self._parts
        result = super().on_activate(state)
        if parts is None or result != TransitionCallbackReturn.SUCCESS:
            return TransitionCallbackReturn.FAILURE
        parts.backoff.succeeded()
        intake = CloudIntake(
            parts.sensors.topics, parts.worker, parts.reporter.settle, parts.backoff, lambda: self._config, self._now,
            parts.outputs.listened_to, self._forget_transforms, self._total,
        )
        events = SubscriptionEventCallbacks(
            incompatible_qos=lambda event: self._qos_events.incompatible(self._topic, "publisher", event),
            message_lost=self._qos_events.lost,
        )
        subscription = self.create_subscription(
            PointCloud2, "points", partial(self._receive, intake), qos.SENSOR_INPUT, event_callbacks=events
        )
        parts.sensors.listen(intake)
        self._active = _Active(intake, subscription)
        _log.info("Active: waiting for the first cloud on %s; publishers: %d", self._topic, self._count_publishers())
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe; the cloud in flight is discarded and nothing is published afterwards."""
        self._stop_listening(Verdict(Outcome.FLUSHED, "DEACTIVATED", "The node was deactivated"))
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the network and the publishers, so that the node can be configured anew."""
        result = super().on_cleanup(state)
        self._release()
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from any state."""
        self._stop_listening(Verdict(Outcome.FLUSHED, "SHUTDOWN", "The node was shut down"))
        result = super().on_shutdown(state)
        self._release()
        return result

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured with nothing held, after a transition that failed in an unforeseen way."""
        _log.error("A transition from the state '%s' failed; the node is unconfigured now", state.label)
        self._stop_listening(Verdict(Outcome.FLUSHED, "ERROR", "A transition failed"))
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> bool:
        """Stop without a transition, at the end of the process; returns whether no computation runs any more."""
        self._stop_listening(Verdict(Outcome.FLUSHED, "SHUTDOWN", "The node was shut down"))
        ended = self._release()
        return ended and not any(worker.alive for worker in self._abandoned)

    def destroy_node(self) -> None:
        """Destroy the node and its lifecycle services, which rclpy leaves to the garbage collector."""
        self._clock_watch.close()
        self._state_machine.destroy_when_not_in_use()
        super().destroy_node()

    def health(self) -> Health:
        """What the diagnostics are made from, as it is now."""
        health = Health(
            state=self._state_machine.current_state[1], topic=self._topic, configure_error=self._error,
            publishers=self._count_publishers(), input_timeout=self._config.input_timeout,
            total=self._total.counts(),
            now=self._now(), qos_events=self._qos_events.sentences(), lost=self._qos_events.n_lost,
        )
        parts, active = self._parts, self._active
        health.base_frame, health.clock_jumps = self._config.base_frame, self._clock_jumps
        health.last_jump = self._last_jump[0], time.monotonic() - self._last_jump[1]
        if parts is not None:
            parts.describe(health)
        if active is not None:
            health.counts, health.silence = active.intake.ledger.counts(), active.intake.silence()
            health.clouds = active.intake.last_cloud is not None
            health.clock_missing = health.now == 0
        return health

    def _receive(self, intake: CloudIntake, cloud: PointCloud2) -> None:
        self._clock_watch.check()
        intake.receive(cloud)

    def _clock_jumped(self, sentence: str, now: int) -> None:
        _log.warning("%s", sentence)
        self._forget_transforms(sentence, now)
        if self._active is not None:
            self._active.intake.clock_jumped(Verdict(Outcome.FLUSHED, "CLOCK_JUMP", sentence), now)

    def _reset(self) -> None:
        """Forget what earlier clouds left behind, as after a jump of the clock."""
        if self._parts is not None:
            self._parts.flush_transforms()
            self._parts.backoff.succeeded()
        if self._active is not None:
            self._active.intake.clock_jumped(Verdict(Outcome.FLUSHED, "RESET", "The node was reset"))

    def _last_frame(self) -> ComputedFrame | None:
        return None if self._parts is None else self._parts.pipeline.last_frame

    def _forget_transforms(self, sentence: str, now: int) -> None:
        """What was known before the clock or the stamps jumped, to a time in ns, is of no use after it."""
        self._clock_jumps, self._last_jump = self._clock_jumps + 1, (sentence, time.monotonic())
        if self._parts is not None:
            self._parts.flush_transforms(now)

    def _stop_listening(self, verdict: Verdict) -> None:
        active, self._active = self._active, None
        if active is None or self._parts is None:
            return
        self.destroy_subscription(active.subscription)
        self._parts.sensors.silence()
        active.intake.close(verdict)
        counts = active.intake.ledger.counts()
        told = ", ".join(f"{n} {outcome.name}" for outcome, n in zip(Outcome, counts, strict=True) if n)
        _log.info("Stopped listening to %s: %d clouds received, of which %s", self._topic, sum(counts), told or "none")

    def _release(self) -> bool:
        """Let go of everything configure made; returns whether the computing thread has ended."""
        parts, self._parts = self._parts, None
        if parts is None or parts.release():
            return True
        self._abandoned.append(parts.worker)
        return False

    def _reconfigure(self, config: NodeConfig) -> None:
        self._config = config

    def _report_health(self) -> None:
        if not self.context.ok():
            return
        if self._parts is not None:
            self._parts.revive()
        self._clock_watch.check()
        health = self.health()
        conditions = assess(health)
        if self._parts is not None:
            intake = self._active.intake if self._active is not None else None
            conditions += assess_sensors(self._parts.sensors.health(self._config, intake))
        stamp = self.get_clock().now().to_msg()
        hardware = health.checkpoint or "no model"
        self._diagnostics.publish(messages.diagnostics_message(conditions, self.get_name(), hardware, stamp))

    def _count_publishers(self) -> int:
        return self.count_publishers(self._topic)

    def _now(self) -> int:
        return self.get_clock().now().nanoseconds


def main(arguments: Sequence[str] | None = None, model_loader: ModelLoader = load_model) -> int:
    """Run the node until it is interrupted; the entry point of the executable.

    Returns:
        0 after an interruption, 2 when the start was refused because of the parameters.
    """
    wait_briefly()
    return run_node(lambda argv: PanopticSceneCompletion(argv, model_loader), arguments)


if __name__ == "__main__":
    raise SystemExit(main())
