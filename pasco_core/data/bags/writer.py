"""Writes a rosbag2 without ROS: into one storage file, or into several that are made apart and joined at the end."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pasco_core.atomic_write import write_text_whole
from pasco_core.data.bags.folder import METADATA, ROOT_KEY, read_metadata
from pasco_core.data.bags.message_types import known_types
from pasco_core.errors import ConfigError, DataError

STORAGES = ("mcap", "sqlite3")
METADATA_VERSIONS = (8, 9)
"""Version 8 is read by every ROS 2 from Humble on, version 9 by Jazzy and later."""

_ENDINGS = {"mcap": ".mcap", "sqlite3": ".db3"}


@dataclass(frozen=True)
class BagTopic:
    """A topic that is written, and the quality of service that a player will offer for it.

    Args:
        name: such as ``/points``.
        type: ROS type, such as ``sensor_msgs/msg/PointCloud2``.
        reliable: else best effort.
        latched: late subscribers receive what was sent (transient local).
        depth: length of the publisher's queue.
    """

    name: str
    type: str
    reliable: bool = True
    latched: bool = False
    depth: int = 10


@dataclass(frozen=True)
class BagFormat:
    """How a bag is written.

    Args:
        storage: "mcap" or "sqlite3".
        metadata: version of metadata.yaml, 8 or 9.
        compressed: chunks of an MCAP file are compressed with zstd, which every reader of MCAP understands.

    Raises:
        ConfigError: a value that is none of these.
    """

    storage: str = "mcap"
    metadata: int = 8
    compressed: bool = False

    def __post_init__(self) -> None:
        if self.storage not in STORAGES:
            raise ConfigError(f"Expected the storage to be one of {', '.join(STORAGES)}, got {self.storage!r}")
        if self.metadata not in METADATA_VERSIONS:
            raise ConfigError(f"Expected the metadata version to be 8 or 9, got {self.metadata!r}")
        if self.compressed and self.storage != "mcap":
            raise ConfigError(f"Expected compressed chunks to go into mcap, got {self.storage}")


class BagWriter:
    """Writes a new rosbag2 folder; a context manager. The folder appears whole, when it is closed, or not at all.

    Args:
        path: the folder, which must not exist.
        topics: what may be written.
        bag_format: storage, version, compression.

    Raises:
        ConfigError: ``path`` exists, or the packages for bags are not installed.
        OSError: the place is not writable or full.
    """

    def __init__(
        self, path: str | os.PathLike[str], topics: Iterable[BagTopic], bag_format: BagFormat | None = None
    ) -> None:
        self.path = Path(path)
        if os.path.lexists(self.path):
            raise ConfigError(f"Expected the new bag {self.path} not to exist, got something there")
        self._types = known_types()
        self._workplace = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        self._workplace.mkdir(parents=True)
        self._writer = _open_writer(self._workplace / self.path.name, bag_format or BagFormat())
        try:
            self._connections = {topic.name: self._connect(topic) for topic in topics}
        except BaseException:
            self.abort()
            raise
        self.counts = dict.fromkeys(self._connections, 0)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, topic: str, time: int, message: Any) -> None:
        """Append a message, received at ``time`` in ns: an object of ``message_types``, or serialized bytes (CDR)."""
        connection = self._connections[topic]
        raw = isinstance(message, (bytes, bytearray, memoryview))
        data = message if raw else self._types.serialize_cdr(message, connection.msgtype)
        with _as_os_error(self.path):
            self._writer.write(connection, time, data)
        self.counts[topic] += 1

    def close(self) -> None:
        """Write index and metadata, and put the folder in its place."""
        try:
            with _as_os_error(self.path):
                self._writer.close()
            os.replace(self._workplace / self.path.name, self.path)
        finally:
            shutil.rmtree(self._workplace, ignore_errors=True)

    def abort(self) -> None:
        """Remove everything."""
        self._writer.abort()
        shutil.rmtree(self._workplace, ignore_errors=True)

    def _connect(self, topic: BagTopic) -> Any:
        if topic.type not in self._types.types:
            raise ConfigError(f"Expected the type of {topic.name} to be a known message, got {topic.type!r}")
        return self._writer.add_connection(
            topic.name, topic.type, typestore=self._types, offered_qos_profiles=[_quality(topic)]
        )


@contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    """SQLite's error for a full or broken disk as the system's, as MCAP files have it."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


def _open_writer(path: Path, bag_format: BagFormat) -> Any:
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    version: Literal[8, 9] = 9 if bag_format.metadata == 9 else 8
    writer = Writer(path, version=version, storage_plugin=StoragePlugin[bag_format.storage.upper()])
    if bag_format.compressed:
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    writer.open()
    return writer


def _quality(topic: BagTopic) -> Any:
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    infinite = QosTime(2147483647, 4294967295)
    return Qos(
        history=QosHistory.KEEP_LAST, depth=topic.depth,
        reliability=QosReliability.RELIABLE if topic.reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if topic.latched else QosDurability.VOLATILE,
        deadline=infinite, lifespan=infinite, liveliness=QosLiveliness.AUTOMATIC, liveliness_lease_duration=infinite,
        avoid_ros_namespace_conventions=False,
    )


class BagParts:
    """A bag of several storage files, which are written apart, in any order and by any process, and then joined.

    The folder is a whole bag once it has its metadata.yaml, which is written last; until then what is there is kept.

    Args:
        path: the folder.
        storage: "mcap" or "sqlite3".
    """

    def __init__(self, path: str | os.PathLike[str], storage: str):
        self.path = Path(path)
        self._ending = _ENDINGS[storage]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to do."""
        return (self.path / METADATA).is_file()

    def has(self, number: int) -> bool:
        """Whether a part is written."""
        return self._file(number).is_file() and self._table(number).is_file()

    def write(self, number: int, fill: Any, topics: Iterable[BagTopic], bag_format: BagFormat) -> None:
        """One part, whole or not at all; ``fill`` is called with its ``BagWriter``."""
        folder = self.path / self._file(number).stem
        shutil.rmtree(folder, ignore_errors=True)
        with BagWriter(folder, topics, bag_format) as writer:
            fill(writer)
        os.replace(folder / METADATA, self._table(number))
        os.replace(folder / self._file(number).name, self._file(number))
        folder.rmdir()

    def join(self, count: int, custom_data: Mapping[str, str]) -> None:
        """Write metadata.yaml for the parts 0 to ``count - 1``.

        Raises:
            DataError: a part's table cannot be read.
        """
        tables = [read_metadata(self._table(number)) for number in range(count)]
        write_text_whole(self.path / METADATA, _as_yaml(_joined(tables), custom_data))
        for path in self.path.glob(f".{self.path.name}_*"):  # tables, and what a killed process has left
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()

    def _file(self, number: int) -> Path:
        return self.path / f"{self.path.name}_{number}{self._ending}"

    def _table(self, number: int) -> Path:
        return self.path / f".{self.path.name}_{number}.yaml"


def _as_yaml(values: dict[str, Any], custom_data: Mapping[str, str]) -> str:
    """metadata.yaml; texts of ``custom_data`` in quotes, for some readers of YAML take a bare 08 for a number."""
    import yaml

    class Quoted(str):
        pass

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, "'"))
    notes = {key: Quoted(value) for key, value in custom_data.items()} or None
    return yaml.dump({ROOT_KEY: {**values, "custom_data": notes}}, Dumper=Dumper, sort_keys=False)


def _joined(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """The metadata of several files as that of one bag."""
    try:
        files = [file for table in tables for file in table["files"]]
        starts = [file["starting_time"]["nanoseconds_since_epoch"] for file in files]
        ends = [start + file["duration"]["nanoseconds"] for start, file in zip(starts, files)]
        topics: dict[str, dict[str, Any]] = {}
        for topic in (topic for table in tables for topic in table["topics_with_message_count"]):
            known = topics.setdefault(topic["topic_metadata"]["name"], {**topic, "message_count": 0})
            known["message_count"] += topic["message_count"]
        return {
            **tables[0],
            "relative_file_paths": [file["path"] for file in files],
            "starting_time": {"nanoseconds_since_epoch": min(starts)},
            "duration": {"nanoseconds": max(ends) - min(starts)},
            "message_count": sum(table["message_count"] for table in tables),
            "topics_with_message_count": list(topics.values()),
            "files": files,
        }
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(f"Expected the tables of all parts to be whole, got {error!r}") from error
