"""The demo's recording: a rosbag2 that is written, and read back, without ROS."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from pasco_core.data.bags import open_bag
from pasco_core.data.bags.writer import BagTopic, BagWriter
from pasco_core.errors import DataError
from pasco_ros.demo.topics import Topic


def new_recording(path: Path, topics: Iterable[Topic]) -> BagWriter:
    """A writer of a new rosbag2 (MCAP); an earlier bag at ``path`` is removed. The bag appears when it is closed.

    Raises:
        DataError: there is something else than a bag at ``path``.
        ConfigError: the packages for bags are not installed.
        OSError: the place is not writable.
    """
    remove_bag(path)
    for unfinished in path.parent.glob(f".{path.name}.*"):  # of a recorder that was killed
        shutil.rmtree(unfinished)
    return BagWriter(path, map(_offered, topics))


def read_bag(path: Path, topics: Iterable[str] | None = None) -> Iterator[tuple[str, int, Any]]:
    """(topic, time of reception in ns, message) of a bag in the order of recording; topics it lacks are left out.

    Raises:
        DataError: the bag is missing or broken.
    """
    with open_bag(path) as reader:
        wanted = None if topics is None else [name for name in topics if name in reader.topics]
        yield from reader.messages(wanted)


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


def _offered(topic: Topic) -> BagTopic:
    """A topic with the quality of service it is published with, so that a player can offer the same."""
    reliable = topic.qos.reliability == ReliabilityPolicy.RELIABLE
    latched = topic.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return BagTopic(topic.name, topic.type_name, reliable, latched, topic.qos.depth)
