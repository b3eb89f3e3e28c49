"""One cloud's way through the computing thread: decode, predict, check, build messages, publish."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pasco_core.data.cloud_message import EMPTY, CloudLayout, decode_cloud
from pasco_core.data.intensity import IntensityScale
from pasco_core.errors import CloudError
from pasco_ros.computing.model import Model, check_scene
from pasco_ros.inputs.header_checks import stamp_ns
from pasco_ros.outputs.output_messages import OutputBuilder
from pasco_ros.outputs.projection import occupied_mask
from pasco_ros.reporting.outcomes import FrameLedger, FrameReport, Outcome, Verdict
from pasco_ros.settings.node_config import NodeConfig


@dataclass
class CloudFrame:
    """An accepted cloud on its way.

    Args:
        message: the PointCloud2.
        ledger: where its outcome is counted.
        received: monotonic time of its reception in seconds.
        layout: its checked layout, None for a cloud known to be empty.
        scale: intensity scale of the activation; only the computing thread uses it.
        report: what becomes known about it.
    """

    message: Any
    ledger: FrameLedger
    received: float
    layout: CloudLayout | None = None
    scale: IntensityScale = field(default_factory=IntensityScale)
    report: FrameReport = field(default_factory=FrameReport)


@dataclass
class Product:
    """The messages of one cloud by output name, and the verdict they are published under."""

    messages: dict[str, Any]
    verdict: Verdict = field(default_factory=lambda: Verdict(Outcome.PUBLISHED))


class CloudPipeline:
    """The two steps that ``LatestFrameWorker`` runs.

    Args:
        model: what predicts the scene.
        builder: makes the messages that are wanted.
        publish: (output name, message).
        config: the settings as they are now.
        now: the node's clock in ns, 0 while it has not started.
        note: called with every remark of the decoder and the model, and its logging level.
        topic: name of the input topic, for messages.
    """

    def __init__(
        self,
        model: Model,
        builder: OutputBuilder,
        publish: Callable[[str, Any], None],
        config: Callable[[], NodeConfig],
        now: Callable[[], int],
        note: Callable[[str, int], None],
        topic: str,
    ) -> None:
        self._model = model
        self._builder = builder
        self._publish = publish
        self._config = config
        self._now = now
        self._note = note
        self._topic = topic

    def compute(self, frame: CloudFrame) -> Product | Verdict:
        """Decode the cloud, predict its scene and build the messages; nothing is published yet."""
        config, report = self._config(), frame.report
        report.stages["wait"] = time.monotonic() - frame.received
        stale = self._stale(frame, config)
        if stale is not None:
            return stale
        try:
            with _timed(report, "decode"):
                cloud = decode_cloud(
                    frame.message, self._topic, max_points=config.max_points, min_range=config.min_range,
                    layout=frame.layout, scale=frame.scale,
                )
        except CloudError as error:
            if error.code == EMPTY and config.empty_cloud == "publish":
                return self._nothing_known(frame, str(error))
            raise
        for note in cloud.notes:
            self._note(note, logging.WARNING)
        started = time.monotonic()
        scene = self._model.predict(cloud.points)
        _note_stages(report, scene.timings, time.monotonic() - started)
        if scene.nothing_known:
            reason = f"Expected {self._topic} to have at least one point in the grid, got none of {len(cloud)}"
            if config.empty_cloud == "publish":
                return self._nothing_known(frame, reason)
            return Verdict(Outcome.EMPTY, EMPTY, reason)
        for note in scene.notes:
            if note != self._model.checkpoint:
                self._note(note, logging.INFO)
        with _timed(report, "check"):
            check_scene(scene)
            report.points_in_range = int(np.count_nonzero(scene.grid.contains(cloud.points[:, :3])))
            report.occupied_voxels = int(np.count_nonzero(occupied_mask(scene)))
            report.n_segments = len(scene.segments)
        with _timed(report, "messages"):
            return Product(self._builder.scene(scene, frame.message.header, config))

    def deliver(self, frame: CloudFrame, product: Product) -> Verdict:
        """Publish what ``compute`` made, unless it has become too old meanwhile."""
        stale = self._stale(frame, self._config())
        if stale is not None:
            return stale
        with _timed(frame.report, "publish"):
            for name, message in product.messages.items():
                self._publish(name, message)
        frame.report.age = self._age(frame)
        return product.verdict

    def _nothing_known(self, frame: CloudFrame, reason: str) -> Product:
        with _timed(frame.report, "messages"):
            messages = self._builder.unknown(self._model, frame.message.header, self._config())
        return Product(messages, Verdict(Outcome.EMPTY, "EMPTY_UNKNOWN", f"{reason}: an all-unknown grid is published"))

    def _age(self, frame: CloudFrame) -> float:
        return (self._now() - stamp_ns(frame.message.header.stamp)) / 1e9

    def _stale(self, frame: CloudFrame, config: NodeConfig) -> Verdict | None:
        age = self._age(frame)
        if config.max_age == 0 or self._now() == 0 or age <= config.max_age:
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
