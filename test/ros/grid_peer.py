"""One end of a grid transfer, run as a process of its own: ``grid_peer.py publish|receive COUNT LAYERS RELIABILITY``.

Each prints one JSON object: the publisher how many it sent and how large its shared-memory segment is, the receiver how
many arrived whole, in which order, and how long each took.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import rclpy
from pasco.msg import VoxelGrid, VoxelLayer
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

SHAPE = (256, 256, 32)
PERIOD = 0.1  # seconds
SETTLE = 0.5  # seconds in which the receiver, too, learns of the publisher
PATIENCE = 20.0  # seconds


def main(role: str, count: int, layers: int, reliability: str) -> None:
    rclpy.init()
    node = rclpy.create_node(f"grid_{role}")
    qos = QoSProfile(depth=5, reliability=QoSReliabilityPolicy[reliability])
    answer = (publish if role == "publish" else receive)(node, qos, count, layers)
    sys.stdout.write(json.dumps(answer) + "\n")
    node.destroy_node()
    rclpy.shutdown()


def publish(node, qos: QoSProfile, count: int, layers: int) -> dict:
    publisher = node.create_publisher(VoxelGrid, "grid", qos)
    wait_until(lambda: publisher.get_subscription_count() > 0)
    messages = [grid(number, layers) for number in range(count)]
    start = time.monotonic() + SETTLE
    for number, message in enumerate(messages):
        time.sleep(max(0.0, start + number * PERIOD - time.monotonic()))
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    segment = largest_shared_memory_segment()
    wait_until(lambda: publisher.get_subscription_count() == 0)  # stay until the receiver has what it waits for
    return {"sent": count, "segment_bytes": segment}


def receive(node, qos: QoSProfile, count: int, layers: int) -> dict:
    numbers, intact, latencies = [], [], []

    def take(message: VoxelGrid) -> None:
        sent = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        latencies.append(node.get_clock().now().nanoseconds * 1e-9 - sent)
        numbers.append(int(message.checkpoint))
        sums = [zlib.crc32(memoryview(layer.data)) for layer in message.layers]
        intact.append(sums == [zlib.crc32(payload(numbers[-1], layer)) for layer in range(layers)])

    node.create_subscription(VoxelGrid, "grid", take, qos)
    wait_until(lambda: node.count_publishers("grid") > 0)
    end = time.monotonic() + SETTLE + count * PERIOD + 3.0  # seconds: what has not come by then is lost
    while len(numbers) < count and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.2)
    return {"numbers": numbers, "intact": sum(intact), "latencies": latencies}


def grid(number: int, layers: int) -> VoxelGrid:
    message = VoxelGrid(voxel_size=0.2, checkpoint=str(number))
    message.header.frame_id = "velodyne"
    message.size_x, message.size_y, message.size_z = SHAPE
    for layer in range(layers):
        message.layers.append(VoxelLayer(name=f"layer {layer}", encoding=VoxelLayer.UINT8, data=payload(number, layer)))
    return message


def payload(number: int, layer: int) -> bytes:
    return np.random.default_rng((number, layer)).bytes(SHAPE[0] * SHAPE[1] * SHAPE[2])


def largest_shared_memory_segment() -> int:
    """Bytes of the largest file of /dev/shm that this process maps."""
    files = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/dev/shm/" in line}
    return max((Path(file).stat().st_size for file in files if Path(file).exists()), default=0)


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"Expected the other process to be there within {PATIENCE} s")
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
