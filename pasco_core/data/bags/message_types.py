"""The message types of a bag: ROS 2's own, this package's, and those that the bag itself defines."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pasco_core.data.bags.storage import Channel, require_packages
from pasco_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

PACKAGE_MESSAGES = ("VoxelLayer", "VoxelGrid", "Segment", "SegmentArray", "FrameStatus")
"""This package's own messages, in an order in which each uses only those before it."""

_SEPARATOR = "=" * 80 + "\n"


@lru_cache(maxsize=1)
def known_types() -> Typestore:
    """The types of ROS 2 and of this package; the latter from the text of its .msg files.

    Raises:
        ConfigError: the packages for bags are not installed, or the .msg files are not there.
    """
    require_packages()
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    types: dict[str, Any] = {}
    for name in PACKAGE_MESSAGES:
        text = _message_file(f"{name}.msg").read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, f"pasco/msg/{name}"))
    store.register(types)
    return store


def _message_file(name: str) -> Path:
    """A .msg file: in the source tree, or where a package's shared files are installed."""
    prefixes = [sysconfig.get_path("data"), *filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))]
    folders = [Path(__file__).parents[3] / "msg", *(Path(prefix) / "share" / "pasco" / "msg" for prefix in prefixes)]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"Expected {name} to be in {' or '.join(map(str, folders))}, got no such file")


class BagTypes:
    """Decodes the messages of one bag: by the bag's own definitions, and by ``known_types`` for types without one.

    A bag's definition goes first, because a recording of another distribution may have other fields under the same
    name.
    """

    def __init__(self, channels: Iterable[Channel]):
        self._definitions: dict[str, tuple[str, str]] = {}
        for channel in channels:
            if channel.definition_format:
                self._definitions.setdefault(channel.type, (channel.definition_format, channel.definition))
        self._stores: dict[str, Typestore] = {}

    def store_of(self, type_name: str, where: str) -> Typestore:
        """Where a type can be decoded.

        Raises:
            DataError: no definition of the type, or one that breaks its grammar; the message begins with ``where``.
        """
        if type_name not in self._stores:
            self._stores[type_name] = self._make_store(type_name, where)
        return self._stores[type_name]

    def decode(self, data: bytes, type_name: str, where: str) -> Any:
        """A message from its bytes (CDR).

        Raises:
            DataError: no definition of the type, or bytes that do not fit it.
        """
        from rosbags.serde import SerdeError

        store = self.store_of(type_name, where)
        try:
            return store.deserialize_cdr(data, type_name)
        except (SerdeError, ValueError, MemoryError, OverflowError, IndexError) as error:
            raise DataError(f"Expected {where} to be a {type_name}, got {len(data)} bytes: {error}") from error

    def _make_store(self, type_name: str, where: str) -> Typestore:
        form, text = self._definitions.get(type_name, ("", ""))
        if not form:
            store = known_types()
            if type_name not in store.types:
                rule = "of a type that is known or defined in the bag"
                raise DataError(f"Expected {where} to be {rule}, got {type_name!r}")
            return store
        from rosbags.typesys import Stores, TypesysError, get_typestore

        store = get_typestore(Stores.EMPTY)
        try:
            store.register(_parsed(form, text, type_name))
            store.get_msgdef(type_name)
        except (TypesysError, KeyError, ValueError, SyntaxError, RecursionError) as error:
            rule = f"to have a whole definition of {type_name} in the bag"
            raise DataError(f"Expected {where} {rule}, got {type(error).__name__}: {str(error)[:200]}") from error
        return store


def _parsed(form: str, text: str, type_name: str) -> dict[str, Any]:
    from rosbags.typesys import get_types_from_idl, get_types_from_msg

    if form == "ros2msg":
        return get_types_from_msg(text, type_name)
    types: dict[str, Any] = {}
    for part in text.split(_SEPARATOR) if text.startswith(f"{_SEPARATOR}IDL: ") else [text]:
        types.update(get_types_from_idl(part.split("\n", 1)[1] if part.startswith("IDL: ") else part))
    return types
