"""Reads a rosbag2, of any size and also a damaged one, without ROS: topics, and messages in the order of log time."""

from __future__ import annotations

import difflib
import heapq
import logging
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pasco_core.data.bags.compression import ZSTD_MAGIC, decompress, decompress_file
from pasco_core.data.bags.folder import find_bag, storage_kind
from pasco_core.data.bags.mcap_file import McapFile
from pasco_core.data.bags.message_types import BagTypes
from pasco_core.data.bags.sqlite_file import SqliteFile
from pasco_core.data.bags.storage import Channel, Storage, require_packages
from pasco_core.errors import DataError

CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TopicInfo:
    """One topic of a bag.

    Args:
        name: such as ``/points``.
        type: ROS type, such as ``sensor_msgs/msg/PointCloud2``.
        count: messages that can be read.
    """

    name: str
    type: str
    count: int


class BagReader:
    """An open bag; ``open_bag`` makes one. A context manager: leaving it closes the files.

    Messages are taken from the storage files as they are asked for. What is in memory at a time is a chunk of an MCAP
    file (about as large as its largest message), or a message of an SQLite file.

    Attributes:
        path: what was opened.
        topics: name → topic, by name.
        custom_data: what the writer noted in metadata.yaml.
    """

    def __init__(self, path: str | os.PathLike[str]):
        require_packages()
        self.path = Path(path)
        self._stack = ExitStack()
        self._notes: list[str] = []
        self._logged: set[str] = set()
        try:
            self._storages = self._open_storages()
            self.topics = self._list_topics()
        except OSError as error:
            self.close()
            raise DataError(f"Expected bag {self.path} to be readable, got: {error}") from error
        except BaseException:
            self.close()
            raise
        self._types = BagTypes(c for storage in self._storages for c in storage.channels.values())
        self._log_damage()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files and remove what was unpacked."""
        self._stack.close()

    @property
    def damage(self) -> tuple[str, ...]:
        """What is wrong with the bag and how much of it is read, one sentence each; reading may find more of it."""
        return (*self._notes, *(storage.damage for storage in self._storages if storage.damage))

    @property
    def start_time(self) -> int | None:
        """Log time of the first message in ns; None where there is none."""
        return min((s.start for s in self._storages if s.start is not None), default=None)

    def of_type(self, *types: str) -> list[TopicInfo]:
        """Topics of some types that have messages, by name."""
        return [topic for topic in self.topics.values() if topic.type in types and topic.count]

    def messages(self, topics: Collection[str] | None = None) -> Iterator[tuple[str, int, Any]]:
        """(topic, log time in ns, message) of some topics (default: all), in the order of log time.

        Messages have the attributes of the ROS messages; arrays are NumPy arrays.

        Raises:
            DataError: a topic that is not in the bag, a type nobody defines, or bytes that do not fit their type.
        """
        chosen = self._chosen(topics)
        for name in chosen:
            self._types.store_of(self.topics[name].type, f"topic {name} in {self.path}")
        for name, time, data in self.raw_messages(topics):
            yield name, time, self.decode(name, data, time)

    def raw_messages(self, topics: Collection[str] | None = None) -> Iterator[tuple[str, int, bytes]]:
        """The same with the serialized bytes (CDR), which ``decode`` understands.

        Raises:
            DataError: a topic that is not in the bag, or whose messages are not of ROS 2.
        """
        chosen = self._chosen(topics)
        self._check_encodings(chosen)
        try:
            for name, time, data in _merged([(storage, _numbers(storage, chosen)) for storage in self._storages]):
                if data[:4] == ZSTD_MAGIC:  # compressed one by one; CDR begins with two bytes of which the first is 0
                    data = self._unpacked(name, time, data)
                yield name, time, data
        except OSError as error:
            raise DataError(f"Expected bag {self.path} to be readable to its end, got: {error}") from error
        finally:
            self._log_damage()

    def decode(self, topic: str, data: bytes, time: int | None = None) -> Any:
        """A message from its bytes.

        Raises:
            DataError: as ``messages``.
        """
        when = "" if time is None else f" at {time} ns"
        return self._types.decode(data, self.topics[topic].type, f"the message on {topic}{when} in {self.path}")

    def _open_storages(self) -> list[Storage]:
        found = find_bag(self.path)
        self.custom_data = found.custom_data
        self._notes += found.notes
        storages: list[Storage] = []
        for file in found.files:
            kind = storage_kind(file)
            if kind == "zstd":
                file, kind = self._unpack(file)
            storage: Storage = McapFile(file) if kind == "mcap" else SqliteFile(file)
            self._stack.callback(storage.close)
            storages.append(storage)
        return storages

    def _unpack(self, file: Path) -> tuple[Path, str]:
        """A compressed storage file, decompressed into a folder that ``close`` removes."""
        folder = self._stack.enter_context(TemporaryDirectory(prefix="pasco_bag_"))
        plain = Path(folder) / file.stem
        wrong = decompress_file(file, plain)
        if wrong:
            self._notes.append(f"Expected bag file {file} to be whole, got {wrong}")
        return plain, storage_kind(plain)

    def _list_topics(self) -> dict[str, TopicInfo]:
        types: dict[str, str] = {}
        counts: dict[str, int] = {}
        for storage in self._storages:
            for number, channel in storage.channels.items():
                before = types.setdefault(channel.topic, channel.type)
                if before != channel.type:
                    rule = f"topic {channel.topic} in {self.path} to have one type"
                    raise DataError(f"Expected {rule}, got {before} and {channel.type}")
                counts[channel.topic] = counts.get(channel.topic, 0) + storage.counts.get(number, 0)
        return {name: TopicInfo(name, types[name], counts[name]) for name in sorted(types)}

    def _chosen(self, topics: Collection[str] | None) -> set[str]:
        if topics is None:
            return set(self.topics)
        for name in topics:
            require_topic(self, name)
        return set(topics)

    def _check_encodings(self, chosen: Collection[str]) -> None:
        for storage in self._storages:
            for channel in storage.channels.values():
                if channel.topic in chosen and channel.encoding != "cdr":
                    where = f"topic {channel.topic} in {storage.path}"
                    raise DataError(f"Expected {where} to hold ROS 2 messages (cdr), got {channel.encoding!r}")

    def _unpacked(self, name: str, time: int, data: bytes) -> bytes:
        try:
            return bytes(decompress(data, "zstd"))
        except ValueError as error:
            where = f"the message on {name} at {time} ns in {self.path}"
            raise DataError(f"Expected {where} to be compressed with zstd, got {error}") from error

    def _log_damage(self) -> None:
        for sentence in self.damage:
            if sentence not in self._logged:
                self._logged.add(sentence)
                _LOG.warning(sentence)


def open_bag(path: str | os.PathLike[str]) -> BagReader:
    """Open a rosbag2: a folder, with or without metadata.yaml, or a single .mcap or .db3 file; compressed ones too.

    A damaged bag is read up to its damage, of which ``BagReader.damage`` and one warning tell.

    Raises:
        DataError: nothing there, no rosbag2, or nothing in it can be read.
        ConfigError: the packages for bags are not installed.
    """
    return BagReader(path)


def require_topic(reader: BagReader, name: str, type_name: str | None = None) -> TopicInfo:
    """A topic of a bag, if it is there and of a type.

    Raises:
        DataError: it is not; the message lists the topics.
    """
    if name not in reader.topics:
        close = difflib.get_close_matches(name, reader.topics, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise DataError(f"Expected topic {name} to be in {reader.path}, got {listed(reader.topics.values())}{hint}")
    topic = reader.topics[name]
    if type_name is not None and topic.type != type_name:
        raise DataError(f"Expected topic {name} in {reader.path} to be of type {type_name}, got {topic.type}")
    return topic


def find_cloud_topic(reader: BagReader) -> TopicInfo:
    """The one topic of type sensor_msgs/msg/PointCloud2 that has messages.

    Raises:
        DataError: there is none, or there are several; the message lists them.
    """
    filled = reader.of_type(CLOUD_TYPE)
    if len(filled) == 1:
        return filled[0]
    if filled:
        raise DataError(f"Expected {reader.path} to have one topic of type {CLOUD_TYPE}, got {listed(filled)}; "
                        "name one of them")
    empty = [topic.name for topic in reader.topics.values() if topic.type == CLOUD_TYPE]
    if empty:
        names = ", ".join(empty)
        raise DataError(f"Expected {reader.path} to have a cloud on {names}, got no message")
    found = listed(reader.topics.values())
    raise DataError(f"Expected {reader.path} to have a topic of type {CLOUD_TYPE}, got {found}")


def listed(topics: Iterable[TopicInfo]) -> str:
    """Topics for a message."""
    named = [f"{topic.name} ({topic.type}, {topic.count:,} messages)" for topic in topics]
    return ", ".join(named[:20]) + (f" and {len(named) - 20} more" if len(named) > 20 else "") if named else "no topic"


def _numbers(storage: Storage, chosen: Collection[str]) -> dict[int, Channel]:
    return {number: channel for number, channel in storage.channels.items() if channel.topic in chosen}


def _merged(sources: list[tuple[Storage, dict[int, Channel]]]) -> Iterator[tuple[str, int, bytes]]:
    """Messages of several storage files by log time; a file is begun when its time comes and dropped at its end."""
    later = sorted((s for s in sources if s[1] and s[0].start is not None), key=lambda source: source[0].start or 0)
    open_now: list[tuple[int, int, tuple[int, int, bytes], dict[int, Channel], Iterator]] = []
    while later or open_now:
        while later and (not open_now or (later[0][0].start or 0) <= open_now[0][0]):
            storage, channels = later.pop(0)
            rows = iter(storage.messages(channels.keys()))
            if first := next(rows, None):
                heapq.heappush(open_now, (first[0], len(sources) - len(later), first, channels, rows))
        if not open_now:
            continue
        time, order, (_, number, data), channels, rows = open_now[0]
        yield channels[number].topic, time, data
        if following := next(rows, None):
            heapq.heapreplace(open_now, (following[0], order, following, channels, rows))
        else:
            heapq.heappop(open_now)
