"""Whether values are what their parameters allow; what a bad value is told, wherever it was given."""

from __future__ import annotations

import math
from array import array
from typing import Any

from pasco_core.errors import ConfigError
from pasco_core.settings.setting import SettingsGroup


def check_value(name: str, value: Any, kind: type[SettingsGroup]) -> None:
    """Check one parameter's value against its type, range and choices.

    Args:
        name: of the parameter.
        value: of it; a list may be a list, an array or a tuple.
        kind: the settings it is one of.

    Raises:
        ConfigError: names the parameter, the rule and the value.
    """
    setting = kind.setting(name)
    details = setting.metadata
    example: Any = setting.default
    value = plain_value(value)
    if type(value) is not type(example):
        rule = _type_name(example)
        raise ConfigError(f"Expected parameter '{name}' to be {rule}, got {value!r}{_hint(example, value)}")
    items = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple):
        _check_list(name, value, example, details["length"])
    for item in items:
        if details["choices"] and item not in details["choices"]:
            raise ConfigError(f"Expected parameter '{name}' to be one of {', '.join(details['choices'])}, got {item!r}")
        low, high = details["low"], details["high"]
        if low is not None and (not low <= item <= high or math.isnan(item)):
            raise ConfigError(f"Expected parameter '{name}' to be {low} to {high}, got {item}")


def plain_value(value: Any) -> Any:
    """A parameter's value as a setting holds it: ROS gives lists of numbers as lists or as arrays."""
    return tuple(value) if isinstance(value, (list, array)) else value


def _check_list(name: str, value: tuple, example: tuple, length: int) -> None:
    if {type(item) for item in value} - {type(example[0])}:
        raise ConfigError(f"Expected parameter '{name}' to be {_type_name(example)}, got {list(value)}")
    if length and (len(value) % length or not value):
        raise ConfigError(f"Expected parameter '{name}' to have a multiple of {length} numbers, got {len(value)}")
    if not length and len(set(value)) < max(len(value), 1):
        raise ConfigError(f"Expected parameter '{name}' to list one or more names, each once, got {list(value)}")


def check_config(config: SettingsGroup) -> None:
    """Check what one value alone cannot show, group by group.

    Raises:
        ConfigError: two values contradict each other.
    """
    for group in type(config).__mro__:
        if issubclass(group, SettingsGroup) and "check" in vars(group):
            group.check(config)  # each group's own, not only the last in the order of bases


def _type_name(example: Any) -> str:
    names = {bool: "true or false", int: "an integer", float: "a number with a decimal point", str: "a string"}
    if isinstance(example, tuple):
        return "a list of numbers with decimal points" if isinstance(example[0], float) else "a list of strings"
    return names[type(example)]


def _hint(example: Any, value: Any) -> str:
    return f": write {float(value)}" if type(example) is float and type(value) is int else ""
