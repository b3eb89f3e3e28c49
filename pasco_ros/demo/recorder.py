"""Records every topic of the graph into a rosbag2."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from pasco_core.data.bags.writer import BagWriter
from pasco_core.errors import PascoError
from pasco_ros import qos
from pasco_ros.demo.bag import new_recording
from pasco_ros.demo.events import emit, stop_on_signals
from pasco_ros.demo.topics import TOPICS

_QUIET = 0.5  # seconds without a message after which, once stopped, nothing more is expected
_LONGEST_END = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Record until a signal comes and nothing more arrives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bag", type=Path, required=True)
    args = parser.parse_args(arguments)
    stopping = stop_on_signals()
    try:
        writer = new_recording(args.bag, TOPICS)
    except (PascoError, OSError) as error:
        emit("failed", reason=str(error))
        return 1
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    recorder = Recorder(writer)
    emit("ready")
    try:
        recorder.run(stopping.is_set)
    finally:
        writer.close()
        recorder.destroy_node()
        rclpy.try_shutdown()
    emit("closed", messages=writer.counts)
    return 0


class Recorder(Node):
    """Subscribes to the serialized messages of every topic and writes them as they come."""

    def __init__(self, writer: BagWriter) -> None:
        super().__init__("recorder")
        self._writer = writer
        self._last = time.monotonic()
        for topic in TOPICS:
            profile = qos.recording(topic.qos)
            self.create_subscription(topic.type, topic.name, self._recording(topic.name), profile, raw=True)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Record until ``stopped()``, and then until it is quiet."""
        executor = SingleThreadedExecutor()
        executor.add_node(self)
        while not stopped():
            executor.spin_once(timeout_sec=0.1)
        end = time.monotonic()
        while time.monotonic() < min(max(self._last, end) + _QUIET, end + _LONGEST_END):
            executor.spin_once(timeout_sec=0.1)
        executor.shutdown()

    def _recording(self, topic: str) -> Callable[[bytes], None]:
        def record(data: bytes) -> None:
            self._writer.write(topic, time.time_ns(), data)
            if topic != "/diagnostics":
                self._last = time.monotonic()

        return record


if __name__ == "__main__":
    raise SystemExit(main())
