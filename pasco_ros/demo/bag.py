"""The demo's recording: a rosbag2 that is written, and read back, without ROS."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from rclpy.qos import QoSProfile
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, ReaderError, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from pasco_core.errors import DataError
from pasco_ros.demo.topics import Topic
from pasco_ros.shared_files import shared_file

MESSAGES = ("VoxelLayer", "VoxelGrid", "Segment", "SegmentArray", "FrameStatus")
# Metadata of this version is read by every ROS 2 distribution from Humble on.
_VERSION: Literal[8] = 8
_INFINITE = QosTime(2147483647, 4294967295)


def message_types() -> Typestore:
    """The standard message types and this package's own, read from the text of its .msg files."""
    store = get_typestore(Stores.ROS2_KILTED)
    types: dict[str, Any] = {}
    for name in MESSAGES:
        text = shared_file(f"msg/{name}.msg").read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, f"pasco/msg/{name}"))
    store.register(types)
    return store


class BagWriter:
    """Writes serialized messages into a new rosbag2 (MCAP) folder.

    Args:
        path: the folder; an earlier bag there is replaced.
        topics: what may be written.

    Raises:
        DataError: there is something else than a bag at ``path``.
    """

    def __init__(self, path: Path, topics: Iterable[Topic]) -> None:
        remove_bag(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(path, version=_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        types = message_types()
        self._connections = {
            topic.name: self._writer.add_connection(
                topic.name, topic.type_name, typestore=types, offered_qos_profiles=[_offered(topic.qos)]
            )
            for topic in topics
        }
        self.counts = dict.fromkeys(self._connections, 0)

    def write(self, topic: str, time: int, data: bytes) -> None:
        """Append one serialized message, received at ``time`` in ns."""
        self._writer.write(self._connections[topic], time, data)
        self.counts[topic] += 1

    def close(self) -> None:
        """Write the index and the metadata."""
        self._writer.close()


def read_bag(path: Path, topics: Iterable[str] | None = None) -> Iterator[tuple[str, int, Any]]:
    """(topic, time of reception in ns, message) of a bag in the order of recording.

    Raises:
        DataError: the bag is missing or broken.
    """
    wanted = None if topics is None else set(topics)
    types = message_types()
    try:
        with Reader(path) as reader:
            chosen = [c for c in reader.connections if wanted is None or c.topic in wanted]
            if not chosen:
                return
            for connection, time, data in reader.messages(chosen):
                yield connection.topic, time, types.deserialize_cdr(data, connection.msgtype)
    except (ReaderError, OSError) as error:
        raise DataError(f"Expected {path} to be a readable rosbag2, got {error}") from error


def remove_bag(path: Path) -> None:
    """Remove an earlier bag, whole or half written.

    Raises:
        DataError: the folder holds something else, which is left alone.
    """
    if not path.exists():
        return
    strange = [f.name for f in path.iterdir() if f.name != "metadata.yaml" and f.suffix not in (".mcap", ".db3")]
    if strange:
        raise DataError(f"Expected {path} to hold an earlier bag or nothing, got {', '.join(sorted(strange)[:3])}")
    shutil.rmtree(path)


def _offered(profile: QoSProfile) -> Qos:
    """QoS of a publisher in the words of the bag's metadata, so that a player can offer the same."""
    return Qos(
        history=QosHistory.KEEP_LAST, depth=profile.depth, reliability=QosReliability[profile.reliability.name],
        durability=QosDurability[profile.durability.name], deadline=_INFINITE, lifespan=_INFINITE,
        liveliness=QosLiveliness.AUTOMATIC, liveliness_lease_duration=_INFINITE,
        avoid_ros_namespace_conventions=False,
    )
