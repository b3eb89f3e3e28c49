"""Log records of the core, which knows no ROS, become log lines of the node."""

from __future__ import annotations

import logging
import sys

from rclpy.node import Node

_BRIDGED = ("pasco_core", "pasco_ros")


class RosLogHandler(logging.Handler):
    """Forwards records to the logger of a node, and to stderr once ROS is shut down and takes no more."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._context = node.context
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record; rclpy wants each severity at a call of its own."""
        text = self.format(record)
        if not self._context.ok():
            if record.levelno < logging.INFO:
                return
            sys.stderr.write(f"[{record.levelname}] [{record.created:.9f}] [{self._logger.name}]: {text}\n")
            return
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def bridge_logging(node: Node) -> None:
    """Send what ``pasco_core`` and ``pasco_ros`` log to the node's logger, in place of an earlier node's."""
    for name in _BRIDGED:
        source = logging.getLogger(name)
        for handler in [h for h in source.handlers if isinstance(h, RosLogHandler)]:
            source.removeHandler(handler)
        source.addHandler(RosLogHandler(node))
        source.setLevel(logging.DEBUG)
        source.propagate = False
