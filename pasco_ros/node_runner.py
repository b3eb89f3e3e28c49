"""Runs a node from the first argument to a clean end, whatever signals arrive on the way."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node

from pasco_core.errors import ConfigError
from pasco_core.settings.parameter_files import check_command_line

WRONG_USE = 2


class ClosableNode(Protocol):
    """An rclpy node that has something to stop before it is destroyed."""

    def close(self) -> bool:
        """Stop; returns whether no thread of the node runs any more."""

    def destroy_node(self) -> None:
        """Destroy it."""


def run_node(make: Callable[[Sequence[str]], ClosableNode], arguments: Sequence[str] | None = None) -> int:
    """Construct a node, spin it until SIGINT or SIGTERM, and close it.

    Args:
        make: command line -> node.
        arguments: the command line; the process's own by default.

    Returns:
        Exit code: 0 after a signal, 2 when the node refused its parameters.
    """
    argv = list(sys.argv if arguments is None else arguments)
    try:
        check_command_line(argv)
        rclpy.init(args=argv)
    except Exception as error:
        get_logger("pasco").fatal(f"The node does not start. {error}")
        return WRONG_USE
    try:
        node = make(argv)
    except ConfigError as error:
        get_logger("pasco").fatal(f"The node does not start. {error}")
        rclpy.try_shutdown()
        return WRONG_USE
    except KeyboardInterrupt:
        rclpy.try_shutdown()
        return 0
    _spin(node)
    _end(node)
    return 0


def _spin(node: ClosableNode) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(cast(Node, node))
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        logging.getLogger(__name__).debug("Interrupted")


def _end(node: ClosableNode) -> None:
    """Close the node; a terminal and launch both send SIGINT, so further ones are ignored from here on."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        idle = node.close()
        node.destroy_node()
        rclpy.try_shutdown()
    except KeyboardInterrupt:
        idle = False
    if not idle:
        # A thread deep in a computation would keep the interpreter from ending.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
