"""ROS messages as rosbags has them, and bags of them, written with rosbags' own writer, not by the code under test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_KILTED)
CLOUD = "sensor_msgs/msg/PointCloud2"
START = 1_600_000_000_000_000_000


def header(time: int, frame_id: str = "lidar") -> Any:
    stamp = STORE.types["builtin_interfaces/msg/Time"](sec=time // 10**9, nanosec=time % 10**9)
    return STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def cloud(
    time: int, points: np.ndarray, frame_id: str = "lidar", further: Mapping[str, np.ndarray] | None = None
) -> Any:
    """A cloud of points (N, 4) float32, and further float32 fields by name."""
    columns = {name: np.asarray(points)[:, axis] for axis, name in enumerate(("x", "y", "z", "intensity"))}
    columns |= further or {}
    field = STORE.types["sensor_msgs/msg/PointField"]
    fields = [field(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate(columns)]
    data, step = np.column_stack(list(columns.values())).astype("<f4"), 4 * len(columns)
    return STORE.types[CLOUD](
        header=header(time, frame_id), height=1, width=len(data), fields=fields, is_bigendian=False, point_step=step,
        row_step=step * len(data), data=data.view(np.uint8).reshape(-1), is_dense=True,
    )


def write_messages(
    path: Path, messages: Iterable[tuple[str, str, int, Any]], storage: str = "mcap", store: Any = STORE
) -> Path:
    """(topic, type, log time in ns, message) as a bag; bytes in place of a message are written as they are."""
    with Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        connections: dict[str, Any] = {}
        for topic, kind, time, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            data = message if isinstance(message, bytes) else store.serialize_cdr(message, kind)
            writer.write(connections[topic], time, data)
    return path
