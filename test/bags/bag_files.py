"""Writes small bags: whole ones with rosbags' own writer, odd ones byte by byte, without the code under test."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from bag_messages import CLOUD, START, STORE, cloud
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

IMU, LOG = "sensor_msgs/msg/Imu", "std_msgs/msg/String"
MAGIC = b"\x89MCAP0\r\n"
STRING_SCHEMA = b"string data"


def text(words: str) -> Any:
    return STORE.types[LOG](data=words)


def points_of(number: int, n: int = 500) -> np.ndarray:
    """Points with intensities 0 to 1 that do not compress."""
    rng = np.random.default_rng(number)
    return np.column_stack([rng.uniform(1, 50, (n, 3)), rng.random(n)]).astype(np.float32)


def write_bag(
    path: Path, n: int = 20, *, storage: str = "mcap", version: int = 8, compression: str = "none",
    n_points: int = 500, cloud_topics: tuple[str, ...] = ("/points",),
) -> Path:
    """``n`` clouds on each cloud topic at 10 Hz, with a word on /log after each; returns the folder."""
    writer = Writer(path, version=version, storage_plugin=StoragePlugin[storage.upper()])
    writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    with writer:
        clouds = [writer.add_connection(topic, CLOUD, typestore=STORE) for topic in cloud_topics]
        log = writer.add_connection("/log", LOG, typestore=STORE)
        for i in range(n):
            time = START + i * 10**8
            for connection in clouds:
                writer.write(connection, time, STORE.serialize_cdr(cloud(time, points_of(i, n_points)), CLOUD))
            writer.write(log, time + 5 * 10**7, STORE.serialize_cdr(text(f"word {i}"), LOG))
    return path


def storage_file(bag: Path) -> Path:
    """The one storage file of a bag."""
    (file,) = (path for path in bag.iterdir() if path.name != "metadata.yaml")
    return file


def record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def string(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value


def channel_records(topic: bytes = b"/log", kind: bytes = b"std_msgs/msg/String", encoding: bytes = b"cdr",
                    schema: bytes = STRING_SCHEMA, number: int = 1) -> bytes:
    """A schema and a channel of an MCAP file."""
    head = struct.pack("<H", number) + string(kind) + string(b"ros2msg") + string(schema)
    return record(3, head) + record(4, struct.pack("<HH", number, number) + string(topic) + string(encoding)
                                    + struct.pack("<I", 0))


def message_record(time: int, words: str, number: int = 1) -> bytes:
    data = bytes(STORE.serialize_cdr(text(words), LOG))
    return record(5, struct.pack("<HIQQ", number, 0, time, time) + data)


def chunk(records: bytes, start: int, end: int, method: bytes = b"", packed: bytes | None = None,
          checksum: int | None = None) -> bytes:
    packed = records if packed is None else packed
    crc = crc32(records) if checksum is None else checksum
    head = struct.pack("<QQQI", start, end, len(records), crc)
    return record(6, head + string(method) + struct.pack("<Q", len(packed)) + packed)


def mcap(body: bytes) -> bytes:
    """A whole MCAP file without a summary."""
    begin = MAGIC + record(1, string(b"ros2") + string(b"test"))
    return begin + body + record(15, struct.pack("<I", 0)) + record(2, struct.pack("<QQI", 0, 0, 0)) + MAGIC
