"""Classes of a bag's messages that are called as rclpy's are: by keywords, with defaults, and with bytes for arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from pasco_core.data.bags.message_types import known_types

_NUMBERS = {"byte": np.dtype(np.uint8), "char": np.dtype(np.uint8), "octet": np.dtype(np.uint8)}
_NOT_ZERO = {("geometry_msgs/msg/Quaternion", "w"): 1.0, ("pasco/msg/VoxelLayer", "scale"): 1.0}
"""Defaults that .msg files give their fields; the types that rosbags parses have lost them."""


def message_classes(names: Mapping[str, str]) -> SimpleNamespace:
    """A namespace with a class under every short name.

    Args:
        names: short name → ROS type, of ROS 2 or of this package.

    Raises:
        ConfigError: the packages for bags are not installed.

    >>> types = message_classes({"Point": "geometry_msgs/msg/Point"})
    >>> types.Point(x=1.0).y
    0.0
    """
    made: dict[str, type] = {}
    return SimpleNamespace(**{name: _class(kind, made) for name, kind in names.items()})


def _class(kind: str, made: dict[str, type]) -> type:
    """The class of rosbags with another way to be called; ``made`` are those that are there already."""
    if kind in made:
        return made[kind]
    store = known_types()
    plain = store.types[kind]
    rules = {name: _rule(kind, name, description, made) for name, description in store.get_msgdef(kind).fields}

    def initialise(self: Any, **values: Any) -> None:
        plain.__init__(self, **{name: convert(values.pop(name)) if name in values else default()
                                for name, (default, convert) in rules.items()})
        if values:
            raise TypeError(f"Expected the fields of {kind} to be {', '.join(rules)}, got {', '.join(values)}")

    made[kind] = type(plain.__name__, (plain,), {"__init__": initialise})
    return made[kind]


def _rule(kind: str, name: str, description: Any, made: dict[str, type]) -> tuple[Callable, Callable]:
    """What makes a field's default, and what turns a value into one that rosbags can write."""
    from rosbags.interfaces import Nodetype

    node, detail = description
    if node == Nodetype.NAME:
        return _class(detail, made), _same
    if node == Nodetype.BASE:
        start = {"string": "", "bool": False}.get(detail[0], 0.0 if detail[0].startswith("float") else 0)
        return partial(_same, _NOT_ZERO.get((kind, name), start)), _same
    (inner, inner_detail), length = detail
    size = length if node == Nodetype.ARRAY else 0
    if inner == Nodetype.BASE and inner_detail[0] != "string":
        dtype = _NUMBERS.get(inner_detail[0]) or np.dtype(inner_detail[0])
        return partial(np.zeros, size, dtype), partial(_array, dtype)
    if inner == Nodetype.BASE:
        return lambda: [""] * size, list
    cls = _class(inner_detail, made)
    return lambda: [cls() for _ in range(size)], list


def _array(dtype: np.dtype, values: Any) -> np.ndarray:
    return np.frombuffer(values, dtype) if isinstance(values, (bytes, bytearray)) else np.asarray(values, dtype)


def _same(value: Any) -> Any:
    return value
