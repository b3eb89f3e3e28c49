"""What the reader of a bag needs from one storage file, whichever format that has."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pasco_core.errors import ConfigError


@dataclass(frozen=True)
class Channel:
    """One topic as a storage file describes it.

    Args:
        topic: name, such as ``/points``.
        type: ROS type, such as ``sensor_msgs/msg/PointCloud2``.
        encoding: how messages are serialized; ``cdr`` for ROS 2.
        definition_format: ``ros2msg``, ``ros2idl`` or "" where the file has no definition of the type.
        definition: text of the definition.
    """

    topic: str
    type: str
    encoding: str = "cdr"
    definition_format: str = ""
    definition: str = ""


class Storage(Protocol):
    """One storage file, opened.

    Attributes:
        path: the file.
        channels: by their number in the file.
        counts: messages by channel; as far as the file could be read.
        start: log time of the first message in ns; None without any.
        damage: a sentence that says what is wrong with the file and how much of it is read; None for a whole one.
            Reading may find more damage than opening.
    """

    path: Path
    channels: dict[int, Channel]
    counts: dict[int, int]
    start: int | None
    damage: str | None

    def messages(self, wanted: Collection[int]) -> Iterator[tuple[int, int, bytes]]:
        """(log time in ns, channel, bytes) in the order of log time; ends before the first damaged message."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def damaged(path: Path, got: str, read: int) -> str:
    """How a damaged file is reported."""
    return f"Expected bag file {path} to be whole, got {got}; {read:,} messages before that are read"


def require_packages() -> None:
    """Says at once that bags cannot be read or written, where what they need is not installed.

    Raises:
        ConfigError: rosbags, or what it brings along for storage and compression, is missing.
    """
    try:
        import apsw  # noqa: F401
        import lz4.frame  # noqa: F401
        import rosbags  # noqa: F401

        zstd_module()
    except ImportError as error:
        advice = "pip install 'pasco-ros[bag]'"
        raise ConfigError(f"Expected the packages for bags to be installed ({advice}), got: {error}") from error


def zstd_module() -> Any:
    """Python's zstd, or its backport."""
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
