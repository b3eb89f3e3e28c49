"""Publishes scans at a fixed rate, all of them prepared before the first is sent."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from pasco_core.errors import PascoError
from pasco_ros import qos
from pasco_ros.demo.events import emit, stop_on_signals
from pasco_ros.demo.scans import file_scans, find_scans, street_scans
from pasco_ros.outputs.messages import cloud_message

FRAME_ID = "velodyne"
_SUBSCRIBERS = 2  # the node and the recorder
_CONNECT_TIMEOUT = 30.0  # seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, wait for a line on stdin, publish, and stay until a signal comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=Path)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--topic", default="/points")
    args = parser.parse_args(arguments)
    stopping = stop_on_signals()
    try:
        scans = _prepare(args, stopping)
    except PascoError as error:
        emit("failed", reason=str(error))
        return 1
    emit("ready", scans=len(scans))
    if not sys.stdin.readline().strip() or stopping.is_set():
        return 0
    return _play(scans, args, stopping)


def _prepare(args: argparse.Namespace, stopping: threading.Event) -> list[np.ndarray]:
    if args.scans:
        source = file_scans(find_scans(args.scans), args.frames, stopping.is_set)
    else:
        source = street_scans(args.frames, stopping.is_set)
    scans = []
    for scan in source:
        scans.append(scan)
        emit("prepared", done=len(scans), of=args.frames)
    return scans


def _play(scans: list[np.ndarray], args: argparse.Namespace, stopping: threading.Event) -> int:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("player")
    publisher = node.create_publisher(PointCloud2, args.topic, qos.PLAYED_CLOUDS)
    try:
        if not _wait_for_subscribers(publisher, stopping):
            got = publisher.get_subscription_count()
            emit("failed", reason=f"Expected {_SUBSCRIBERS} subscribers on {args.topic}, got {got}")
            return 1
        sent = _publish_all(node, publisher, scans, args.rate, stopping)
        publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=5))
        emit("finished", sent=sent)
        stopping.wait()
        return 0
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def _wait_for_subscribers(publisher: Publisher, stopping: threading.Event) -> bool:
    deadline = time.monotonic() + _CONNECT_TIMEOUT
    while publisher.get_subscription_count() < _SUBSCRIBERS:
        if time.monotonic() > deadline or stopping.wait(0.05):
            return False
    # The subscribers must have found this publisher too, which nothing here can see.
    return not stopping.wait(0.5)


def _publish_all(
    node: Node, publisher: Publisher, scans: list[np.ndarray], rate: float, stopping: threading.Event
) -> int:
    started = time.monotonic()
    for number, scan in enumerate(scans):
        if stopping.wait(max(0.0, started + number / rate - time.monotonic())):
            return number
        header = Header(frame_id=FRAME_ID, stamp=node.get_clock().now().to_msg())
        publisher.publish(cloud_message(scan, header))
        emit("published", done=number + 1, of=len(scans))
    return len(scans)


if __name__ == "__main__":
    raise SystemExit(main())
