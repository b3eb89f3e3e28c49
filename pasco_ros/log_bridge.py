"""Log records of the core, which knows no ROS, become log lines of the node."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger

_BRIDGED = ("pasco_core", "pasco_ros")


class RosLogHandler(logging.Handler):
    """Forwards records to a ROS logger."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record; rclpy wants each severity at a call of its own."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def bridge_logging(logger: RcutilsLogger) -> None:
    """Send what ``pasco_core`` and ``pasco_ros`` log to ``logger``, in place of an earlier node's."""
    for name in _BRIDGED:
        source = logging.getLogger(name)
        for handler in [h for h in source.handlers if isinstance(h, RosLogHandler)]:
            source.removeHandler(handler)
        source.addHandler(RosLogHandler(logger))
        source.setLevel(logging.DEBUG)
        source.propagate = False
