"""The output bag: the node's topics, kept cloud by cloud until a storage file of it can be put together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pasco_core.atomic_write import atomic_write
from pasco_core.data.bags.message_types import known_types
from pasco_core.data.bags.writer import BagFormat, BagParts, BagTopic
from pasco_core.errors import DataError
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.messages.outputs import CAMERA_OUTPUTS, OUTPUTS, enabled_outputs
from pasco_core.settings.node_config import NODE_NAME, NodeConfig

NODE = f"/{NODE_NAME}"
STATUS = f"{NODE}/status"
BAG_FORMAT = BagFormat("mcap", 8, compressed=True)
CLOUDS_PER_FILE = 50

_KEPT = "kept"
_TYPES = {output.name: output.ros_type for output in (*OUTPUTS, *CAMERA_OUTPUTS)}


def topic_of(output: str) -> str:
    """Topic of an output of the node under its default name."""
    return f"{NODE}/{output}"


def bag_topics(settings: NodeConfig, with_cameras: bool) -> list[BagTopic]:
    """What the output bag holds, with the quality of service that the node publishes it with.

    Args:
        settings: which outputs are switched on.
        with_cameras: whether there are images in which the scene is drawn.
    """
    topics = [
        BagTopic(topic_of(o.name), o.ros_type, latched=o.latched, depth=1 if o.latched else 2)
        for o in enabled_outputs(settings) if with_cameras or not o.needs_camera
    ]
    return [*topics, BagTopic(STATUS, MESSAGE_TYPES["FrameStatus"], depth=100)]


def bag_parts(out: Path) -> BagParts:
    """The output bag's files."""
    return BagParts(out / "bag", BAG_FORMAT.storage)


def keep(out: Path, number: int, messages: Mapping[str, Any]) -> None:
    """Keeps the messages of one cloud, serialized: a line of JSON with their names and sizes, then their bytes."""
    path = _kept_path(out, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    types = known_types()
    parts = {name: types.serialize_cdr(message, _TYPES[name]) for name, message in messages.items()}
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(json.dumps({name: len(part) for name, part in parts.items()}).encode() + b"\n")
        file.writelines(parts.values())


def kept(out: Path, number: int) -> dict[str, bytes]:
    """The serialized messages of one cloud by output name.

    Raises:
        DataError: they are missing or damaged.
    """
    path = _kept_path(out, number)
    try:
        with path.open("rb") as file:
            sizes = {str(name): int(size) for name, size in json.loads(file.readline()).items()}
            parts = {name: file.read(size) for name, size in sizes.items()}
            rest = file.read(1)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"Expected {path} to be what `pasco replay` kept, got {error}") from error
    if rest or any(len(part) != sizes[name] for name, part in parts.items()):
        raise DataError(f"Expected {path} to be what `pasco replay` kept, got another number of bytes")
    return parts


def has_kept(out: Path, number: int) -> bool:
    """Whether the messages of a cloud are kept."""
    return _kept_path(out, number).is_file()


def any_kept(out: Path) -> bool:
    """Whether the messages of any cloud are kept."""
    return any((out / _KEPT).glob("*.messages"))


def forget(out: Path, number: int) -> None:
    """Removes the messages of a cloud that are in the bag."""
    _kept_path(out, number).unlink(missing_ok=True)


def _kept_path(out: Path, number: int) -> Path:
    return out / _KEPT / f"{number:06d}.messages"
