"""Which storage files a path stands for: a rosbag2 folder, with or without its metadata.yaml, or a single file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pasco_core.data.bags import mcap_records, sqlite_file
from pasco_core.data.bags.compression import ZSTD_MAGIC
from pasco_core.errors import DataError

METADATA = "metadata.yaml"
ROOT_KEY = "rosbag2_bagfile_information"
_SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
_ROS_1 = b"#ROSBAG V"
_MAX_METADATA = 2**28


@dataclass
class BagFiles:
    """What a bag consists of.

    Args:
        files: storage files.
        custom_data: what the writer noted in metadata.yaml.
        notes: what is wrong with the folder, one sentence each.
    """

    files: list[Path]
    custom_data: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_bag(path: str | os.PathLike[str]) -> BagFiles:
    """The storage files that a path stands for.

    Args:
        path: a rosbag2 folder, its metadata.yaml, or one storage file.

    Raises:
        DataError: nothing there, no bag, or a bag of which files are missing.
    """
    path = Path(path)
    if path.name == METADATA:
        path = path.parent
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise DataError(f"Expected bag {path} to be a rosbag2 folder, an .mcap or a .db3 file, got nothing there")
    if not path.is_file():
        raise DataError(f"Expected bag {path} to be a rosbag2 folder, an .mcap or a .db3 file, got a device or pipe")
    return BagFiles([path])


def storage_kind(path: Path) -> str:
    """``mcap``, ``sqlite3`` or ``zstd`` (a compressed storage file), by the file's first bytes.

    Raises:
        DataError: the file is empty, a ROS 1 bag, or something else.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        first = file.read(16)
    kinds = {mcap_records.MAGIC: "mcap", sqlite_file.MAGIC: "sqlite3", ZSTD_MAGIC: "zstd"}
    for magic, kind in kinds.items():
        if first.startswith(magic):
            return kind
    if first.startswith(_ROS_1):
        raise DataError(
            f"Expected bag {path} to be a rosbag2, got a ROS 1 bag; rosbags-convert --src {path.name} "
            f"--dst {path.stem} makes a rosbag2 of it (pip install rosbags)"
        )
    got = "an empty file" if not first else f"a file that begins with {first[:8]!r}"
    raise DataError(f"Expected bag file {path} to be an MCAP or SQLite file, got {got}")


def _folder(folder: Path) -> BagFiles:
    present = sorted(p for p in folder.iterdir() if p.is_file() and p.name.endswith(_SUFFIXES))
    path = folder / METADATA
    if not path.exists():
        if not present:
            raise DataError(f"Expected {folder} to be a rosbag2 folder ({METADATA} and .mcap or .db3 files), "
                            f"got {_content(folder)}")
        note = f"Expected bag {folder} to hold {METADATA}, got none: its storage files are read without it"
        return BagFiles(present, notes=[note])
    try:
        named, custom = _named_files(path)
    except DataError as error:
        if not present:
            raise
        return BagFiles(present, notes=[f"{error}: the storage files are read without it"])
    files = [folder / Path(name).name for name in named]  # early versions wrote the folder's name before the file's
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        there = ", ".join(file.name for file in present[:5]) or "no storage file"
        raise DataError(f"Expected the files that {path} names to be in the folder, got no {', '.join(missing[:5])}; "
                        f"there is {there}, and each .mcap or .db3 file can be read on its own")
    return BagFiles(files, custom)


def _named_files(path: Path) -> tuple[list[str], dict[str, str]]:
    """Files and notes of a metadata.yaml."""
    values = read_metadata(path)
    names, custom = values.get("relative_file_paths"), values.get("custom_data")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"Expected {path} to list its files under relative_file_paths, got a {type(names).__name__}")
    pairs = custom.items() if isinstance(custom, Mapping) else ()
    return names, {key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str)}


def read_metadata(path: Path) -> dict[str, Any]:
    """The content of a metadata.yaml.

    Raises:
        DataError: it is not readable as one.
    """
    import yaml

    try:
        if path.stat().st_size > _MAX_METADATA:
            raise ValueError(f"{path.stat().st_size} bytes")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        values = yaml.load(path.read_text(encoding="utf-8"), loader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"Expected {path} to be the metadata of a rosbag2, got: {str(error)[:300]}") from error
    inner = values.get(ROOT_KEY) if isinstance(values, dict) else None
    if not isinstance(inner, dict):
        raise DataError(f"Expected {path} to have the key {ROOT_KEY} with a table, got a {type(values).__name__}")
    return inner


def _content(folder: Path) -> str:
    """What is there instead of a bag, and where one is."""
    names = sorted(path.name for path in folder.iterdir())
    bags = sorted(inner.parent for inner in folder.glob(f"*/{METADATA}"))
    hint = f"; did you mean {bags[0]}?" if bags else ""
    ros_1 = next((name for name in names if name.endswith(".bag")), None)
    if ros_1:
        return f"{ros_1}, a ROS 1 bag"
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (shown or "an empty folder") + hint
