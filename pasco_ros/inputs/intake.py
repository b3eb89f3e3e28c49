"""What happens to a cloud when it arrives: cheap checks in the executor's thread, then the computing thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from pasco_core.data.cloud_message import EMPTY, check_cloud
from pasco_core.data.intensity import IntensityScale
from pasco_core.errors import CloudError
from pasco_ros.computing.backoff import FailureBackoff
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.computing.pipeline import CloudFrame, Product
from pasco_ros.inputs.header_checks import StampOrder, check_header
from pasco_ros.reporting.outcomes import FrameLedger, FrameReport, Outcome, Verdict
from pasco_ros.settings.node_config import NodeConfig

_log = logging.getLogger(__name__)


class CloudIntake:
    """Receives the clouds of one activation; each is rejected, dropped or handed to the worker.

    Args:
        topic: name of the input topic.
        worker: the computing thread.
        settle: gives a cloud its outcome.
        backoff: whether the node pauses after failures.
        config: the settings as they are now.
        now: the node's clock in ns.
        listened_to: whether any output has a subscriber.
    """

    def __init__(
        self,
        topic: str,
        worker: LatestFrameWorker[CloudFrame, Product],
        settle: Callable[[CloudFrame, Verdict], None],
        backoff: FailureBackoff,
        config: Callable[[], NodeConfig],
        now: Callable[[], int],
        listened_to: Callable[[], bool],
    ) -> None:
        self._topic = topic
        self._worker = worker
        self._settle = settle
        self._backoff = backoff
        self._config = config
        self._now = now
        self._listened_to = listened_to
        self._order = StampOrder(topic)
        self._scale = IntensityScale()
        self.ledger = FrameLedger()
        self.started = time.monotonic()
        self.last_cloud: float | None = None

    def receive(self, message: Any) -> None:
        """Take one PointCloud2."""
        self.last_cloud = time.monotonic()
        declared = min(int(message.width) * int(message.height), 2**32 - 1)
        report = FrameReport(points_in=declared)
        frame = CloudFrame(message, self.ledger, self.last_cloud, scale=self._scale, report=report)
        self.ledger.receive()
        verdict = self._refusal(frame)
        if verdict is not None:
            self._settle(frame, verdict)
        else:
            self._worker.submit(frame)

    def silence(self) -> float:
        """Seconds since the last cloud, or since the start before the first."""
        return time.monotonic() - (self.last_cloud or self.started)

    def _refusal(self, frame: CloudFrame) -> Verdict | None:
        config = self._config()
        refusal = check_header(frame.message.header, self._topic, self._now(), config.future_tolerance)
        if refusal is not None:
            return refusal
        try:
            frame.layout = check_cloud(frame.message, self._topic)
        except CloudError as error:
            if error.code != EMPTY:
                return Verdict(Outcome.REJECTED, error.code, str(error))
            if config.empty_cloud == "skip":
                return Verdict(Outcome.EMPTY, EMPTY, str(error))
        order = self._order.take(frame.message.header.stamp)
        if order is not None and order.outcome != Outcome.FLUSHED:
            return order
        if order is not None:
            _log.warning("%s", order.message)
            self._worker.flush(order)
        if config.skip_without_subscribers and not self._listened_to():
            return Verdict(Outcome.DROPPED_NO_SUBSCRIBER, "NO_SUBSCRIBER", "No output has a subscriber")
        pause = self._backoff.pause_left(time.monotonic())
        if pause > 0:
            message = f"{self._backoff.failures} computations failed in a row; next attempt in {pause:.1f} s"
            return Verdict(Outcome.INFERENCE_FAILED, "PAUSED", message)
        return None
