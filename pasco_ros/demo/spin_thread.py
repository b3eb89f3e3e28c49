"""Spins a node in a thread of its own, with an end that cannot race with a running callback."""

from __future__ import annotations

import threading

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

_TICK = 0.05  # seconds between two looks at the stop flag


class SpinThread:
    """Runs a node's callbacks until ``stop``.

    Args:
        node: the node; the caller destroys it after ``stop``.
    """

    def __init__(self, node: Node) -> None:
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"spin {node.get_name()}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish the running callback and end the thread."""
        self._stopping.set()
        self._thread.join(timeout)
        self._executor.shutdown()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._executor.spin_once(timeout_sec=_TICK)
        except ExternalShutdownException:
            return
