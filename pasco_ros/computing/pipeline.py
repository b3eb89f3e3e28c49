"""One cloud's way through the computing thread: place, decode, predict, check, build messages, publish."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pasco_core.data.cloud_message import EMPTY
from pasco_core.errors import CloudError, TransformError
from pasco_core.messages.outputs import OutputBuilder
from pasco_core.messages.projection import occupied_mask
from pasco_core.prediction import ScenePrediction
from pasco_core.settings.deadline_settings import LEVELS
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.cameras import Cameras
from pasco_core.stream.frame_resolver import FrameResolver, Placement
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.stream.model import Model, check_scene
from pasco_core.stream.outcomes import FrameReport, Outcome, Verdict
from pasco_core.stream.sweep_builder import SweepBuilder
from pasco_ros.computing.degradation import Load, time_budget
from pasco_ros.computing.effort_control import EffortControl
from pasco_ros.inputs.cloud_frame import CloudFrame
from pasco_ros.reporting.frame_dump import ComputedFrame


@dataclass
class Product:
    """The messages of one frame by output name, and the verdict they are published under.

    Args:
        messages: by output name.
        verdict: of the frame once they are published.
        started: when the computation began, in seconds of a monotonic clock.
        budget: seconds it might have taken, None where the network did not run.
    """

    messages: dict[str, Any]
    verdict: Verdict = field(default_factory=lambda: Verdict(Outcome.PUBLISHED))
    started: float = 0.0
    budget: float | None = None


class CloudPipeline:
    """The two steps that ``LatestFrameWorker`` runs.

    Args:
        model: what predicts the scene.
        effort: runs the model with as much effort as there is time for.
        resolver: finds where the sensor was.
        sweeps: makes one cloud of a frame's clouds.
        cameras: what else was seen; None without a camera.
        builder: makes the messages that are wanted.
        publish: (output name, message).
        config: the settings as they are now.
        now: the node's clock in ns, 0 while it has not started.
        note: called with every remark of the decoder and the model, and its logging level.
        topic: name of the input topic, for messages.

    Attributes:
        last_frame: the last frame that the network computed.
    """

    def __init__(
        self,
        model: Model,
        effort: EffortControl,
        resolver: FrameResolver,
        sweeps: SweepBuilder,
        cameras: Cameras | None,
        builder: OutputBuilder,
        publish: Callable[[str, Any], None],
        config: Callable[[], NodeConfig],
        now: Callable[[], int],
        note: Callable[[str, int], None],
        topic: str,
    ) -> None:
        self._model = model
        self._effort = effort
        self._resolver = resolver
        self._sweeps = sweeps
        self._cameras = cameras
        self._builder = builder
        self._publish = publish
        self._config = config
        self._now = now
        self._note = note
        self._topic = topic
        self.last_frame: ComputedFrame | None = None

    def compute(self, frame: CloudFrame) -> Product | Verdict:
        """Decode the cloud, predict its scene and build the messages; nothing is published yet."""
        config, report = self._config(), frame.report
        started = time.monotonic()
        report.stages["wait"] = started - frame.received
        budget = time_budget(config, self._age(frame))
        stale = self._stale(frame, config)
        if stale is not None:
            return stale
        try:
            with _timed(report, "transform"):
                placement = self._resolver.place(frame.header, config)
            with _timed(report, "decode"):
                cloud = self._sweeps.build(frame.members, placement, config)
                points = placement.in_network(cloud.points)
        except TransformError as error:
            return Verdict(Outcome.TF_UNAVAILABLE, error.reason, str(error))
        except CloudError as error:
            if error.code == EMPTY and config.empty_cloud == "publish":
                return self._nothing_known(frame, placement, str(error))
            raise
        for note in cloud.notes:
            self._note(note, logging.WARNING)
        if self._cameras is not None and self._builder.needs_images(config):
            with _timed(report, "images"):
                frame.images = self._cameras.images_at(frame.header, config)
        scene = self._predicted(points, report)
        self.last_frame = ComputedFrame(frame.header, points, scene, report, config, self._model.checkpoint)
        if scene.nothing_known:
            where = "in the grid" if report.effort == LEVELS[0] else f"in the part completed by '{report.effort}'"
            reason = f"Expected {self._topic} to have at least one point {where}, got none of {len(cloud)}"
            if config.empty_cloud == "publish":
                return self._nothing_known(frame, placement, reason)
            return Verdict(Outcome.EMPTY, EMPTY, reason)
        for note in scene.notes:
            if note != self._model.checkpoint:
                self._note(note, logging.INFO)
        with _timed(report, "check"):
            check_scene(scene)
            report.points_in_range = int(np.count_nonzero(scene.grid.contains(points[:, :3])))
            report.occupied_voxels = int(np.count_nonzero(occupied_mask(scene)))
            report.n_segments = len(scene.segments)
        with _timed(report, "messages"):
            messages = self._builder.scene(scene, placement.header, config, placement.grid, frame.images)
        return Product(messages, started=started, budget=budget)

    def deliver(self, frame: CloudFrame, product: Product) -> Verdict:
        """Publish what ``compute`` made, unless it has become too old meanwhile."""
        stale = self._stale(frame, self._config())
        if stale is None:
            with _timed(frame.report, "publish"):
                for name, message in product.messages.items():
                    self._publish(name, message)
            frame.report.age = self._age(frame)
        if product.budget is not None:
            self._effort.observe(Load(time.monotonic() - product.started, product.budget, stale is not None))
        return stale or product.verdict

    def _predicted(self, points: np.ndarray, report: FrameReport) -> ScenePrediction:
        started = time.monotonic()
        scene = self._effort.predict(points, report)
        _note_stages(report, scene.timings, time.monotonic() - started)
        return scene

    def _nothing_known(self, frame: CloudFrame, placement: Placement, reason: str) -> Product:
        with _timed(frame.report, "messages"):
            messages = self._builder.unknown(self._model, placement.header, self._config(), placement.grid)
        return Product(messages, Verdict(Outcome.EMPTY, "EMPTY_UNKNOWN", f"{reason}: an all-unknown grid is published"))

    def _age(self, frame: CloudFrame) -> float:
        """Seconds since the stamp by the node's clock, NaN while that has not started."""
        now = self._now()
        return (now - stamp_ns(frame.header.stamp)) / 1e9 if now else float("nan")

    def _stale(self, frame: CloudFrame, config: NodeConfig) -> Verdict | None:
        age = self._age(frame)
        if config.max_age == 0 or not age > config.max_age:
            return None
        expected = f"Expected the cloud on {self._topic} to be at most {config.max_age:g} s old"
        return Verdict(Outcome.DROPPED_STALE, "STALE", f"{expected}, got {age:.3f} s")


def _note_stages(report: FrameReport, timings: dict[str, float], seconds: float) -> None:
    """The predictor's own stages, and what is left of its time as "other", so that the stages sum to the latency."""
    stages = {name: value for name, value in timings.items() if name != "total"}
    report.stages |= {**stages, "other": max(0.0, seconds - sum(stages.values()))}


@contextmanager
def _timed(report: FrameReport, stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    report.stages[stage] = time.monotonic() - started
