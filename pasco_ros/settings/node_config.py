"""The node's settings: names, defaults, ranges and descriptions, in one typed place that needs no ROS."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import Field, dataclass, fields
from typing import Any

from pasco_core.errors import ConfigError
from pasco_ros.settings.deadline_settings import DeadlineSettings
from pasco_ros.settings.input_settings import InputSettings
from pasco_ros.settings.model_settings import ModelSettings
from pasco_ros.settings.output_settings import OutputSettings

GROUPS = (ModelSettings, InputSettings, DeadlineSettings, OutputSettings)
"""The groups of parameters, in the order in which documents list them; base classes stand in reverse."""


@dataclass(frozen=True)
class NodeConfig(OutputSettings, DeadlineSettings, InputSettings, ModelSettings):
    """Every parameter of the node; the name of a field is the name of the parameter."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all parameters, in order."""
        return tuple(f.name for f in fields(cls))

    @classmethod
    def setting(cls, name: str) -> Field:
        """The field behind a parameter; its ``metadata`` has description, low, high, choices and fixed.

        Raises:
            ConfigError: there is no such parameter.
        """
        for candidate in fields(cls):
            if candidate.name == name:
                return candidate
        raise ConfigError(unknown_name_message(name, "parameters of the node", cls.names()))


def check_value(name: str, value: Any) -> None:
    """Check one parameter's value against its type, range and choices.

    Raises:
        ConfigError: names the parameter, the rule and the value.
    """
    setting = NodeConfig.setting(name)
    details = setting.metadata
    example: Any = setting.default
    value = tuple(value) if isinstance(value, list) else value
    if type(value) is not type(example):
        rule = _type_name(example)
        raise ConfigError(f"Expected parameter '{name}' to be {rule}, got {value!r}{_hint(example, value)}")
    items = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple):
        _check_list(name, value, example, details["length"])
    for item in items:
        if details["choices"] and item not in details["choices"]:
            raise ConfigError(f"Expected parameter '{name}' to be of {', '.join(details['choices'])}, got {item!r}")
        low, high = details["low"], details["high"]
        if low is not None and (not low <= item <= high or math.isnan(item)):
            raise ConfigError(f"Expected parameter '{name}' to be {low} to {high}, got {item}")


def _check_list(name: str, value: tuple, example: tuple, length: int) -> None:
    if {type(item) for item in value} - {type(example[0])}:
        raise ConfigError(f"Expected parameter '{name}' to be {_type_name(example)}, got {list(value)}")
    if length and (len(value) % length or not value):
        raise ConfigError(f"Expected parameter '{name}' to have a multiple of {length} numbers, got {len(value)}")
    if not length and len(set(value)) < max(len(value), 1):
        raise ConfigError(f"Expected parameter '{name}' to list one or more names, each once, got {list(value)}")


def check_config(config: NodeConfig) -> None:
    """Check what one value alone cannot show, group by group.

    Raises:
        ConfigError: two values contradict each other.
    """
    for group in GROUPS:
        group.check(config)  # each group's own, not only the last in the order of bases


def unknown_name_message(name: str, what: str, known: Iterable[str]) -> str:
    """"Expected ... got" for an unknown name, with the nearest known one as a hint."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f": did you mean '{nearest[0]}'?" if nearest else f"; known are {', '.join(known)}"
    return f"Expected the {what} to be known ones, got '{name}'{hint}"


def _type_name(example: Any) -> str:
    names = {bool: "true or false", int: "an integer", float: "a number with a decimal point", str: "a string"}
    if isinstance(example, tuple):
        return "a list of numbers with decimal points" if isinstance(example[0], float) else "a list of strings"
    return names[type(example)]


def _hint(example: Any, value: Any) -> str:
    return f": write {float(value)}" if type(example) is float and type(value) is int else ""
