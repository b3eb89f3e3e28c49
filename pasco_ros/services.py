"""The node's services: choose the effort, forget the past, write the last frame to disk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pasco.srv import SetDegradation
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from pasco_ros.reporting.frame_dump import ComputedFrame, write_dump

_log = logging.getLogger(__name__)


class NodeServices:
    """``~/set_degradation``, ``~/reset`` and ``~/dump_frame``; they answer in every state of the node.

    Args:
        node: whose services they are.
        reset: forgets what earlier clouds left behind.
        last_frame: the last computed frame, None before the first.
        folder: where frames are written.
    """

    def __init__(
        self, node: Node, reset: Callable[[], None], last_frame: Callable[[], ComputedFrame | None],
        folder: Callable[[], str],
    ) -> None:
        self._node, self._reset, self._last_frame, self._folder = node, reset, last_frame, folder
        node.create_service(SetDegradation, "~/set_degradation", self._set_degradation)
        node.create_service(Trigger, "~/reset", self._answer_reset)
        node.create_service(Trigger, "~/dump_frame", self._dump_frame)

    def _set_degradation(self, request: Any, response: Any) -> Any:
        result = self._node.set_parameters_atomically([Parameter("degradation", value=request.level)])
        response.success = result.successful
        response.message = f"degradation is {request.level}" if result.successful else result.reason
        return response

    def _answer_reset(self, request: Any, response: Any) -> Any:
        self._reset()
        response.success, response.message = True, "What earlier clouds left behind is forgotten"
        return response

    def _dump_frame(self, request: Any, response: Any) -> Any:
        frame = self._last_frame()
        if frame is None:
            response.success, response.message = False, "No frame was computed since the node was configured"
            return response
        try:
            place = write_dump(Path(self._folder()).expanduser(), frame)
        except OSError as error:
            _log.error("The last frame could not be written: %s", error)
            response.success, response.message = False, f"The last frame could not be written: {error}"
            return response
        response.success, response.message = True, f"Written to {place}"
        return response
