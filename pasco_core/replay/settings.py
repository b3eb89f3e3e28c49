"""The settings of a replay: the parameters of the node, less those that only a node that runs live can have."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pasco_core.errors import ConfigError
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.parameter_files import node_meant, read_parameter_file
from pasco_core.settings.setting import unknown_name_message
from pasco_core.settings.value_checks import check_config, check_value, plain_value
from pasco_core.yaml_file import parse_yaml

_OPTIONS = {"checkpoint": "--checkpoint", "features_checkpoint": "--features", "device": "--device",
            "num_threads": "--threads", "max_age": "--max-age", "camera_topics": "--camera"}
"""Parameters that are options of the command."""
_OF_THE_COMPUTER = ("device", "num_threads")
"""Parameters that are not taken from a vehicle's file, because they belong to the computer that the node runs on."""


def _other_default(name: str, default: Any, **details: Any) -> Any:
    """A parameter of the node with another default, or other rules, in a replay."""
    return field(default=default, metadata={**NodeConfig.setting(name).metadata, **details})


@dataclass(frozen=True)
class ReplaySettings(NodeConfig):
    """The node's settings with the values of a replay; parameters that only the node has stand at their defaults.

    ``num_threads`` is one, not PyTorch's own choice: the last digits of a network's output depend on it. ``device`` is
    the CPU, where the same input gives the same bits.

    Raises:
        ConfigError: a value breaks its rule, two contradict each other, or a parameter is the node's alone.
    """

    device: str = _other_default("device", "cpu")
    num_threads: int = _other_default("num_threads", 1, low=1)

    def __post_init__(self) -> None:
        for name in self.names():
            value, setting = getattr(self, name), self.setting(name)
            check_value(name, value, type(self))
            if setting.metadata["node_only"] and value != setting.default:
                raise ConfigError(_node_only_message(name))
        check_config(self)

    @classmethod
    def own_names(cls) -> tuple[str, ...]:
        """Names of the parameters that a replay has, in order."""
        return tuple(name for name in cls.names() if not cls.setting(name).metadata["node_only"])

    def own_values(self) -> dict[str, Any]:
        """The parameters that a replay has, by name."""
        return {name: getattr(self, name) for name in self.own_names()}


def settings_from(texts: Iterable[str], **values: Any) -> ReplaySettings:
    """Settings from ``name=value`` texts, values written as in YAML, and values that are known already.

    Raises:
        ConfigError: an unknown name or one that comes twice, or a value of another type or outside its range.

    >>> settings_from(["base_frame=base_link", "max_points=1000"]).max_points
    1000
    """
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"Expected a parameter to be written name=value, got {text!r}")
        if name in given:
            raise ConfigError(f"Expected each parameter to be given once, got {name} again with {value!r}")
        _check_settable(name)
        given[name] = _value(name, value)
    return replace(ReplaySettings(), **{**values, **given})


def settings_in_file(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a parameter file of the node says to a replay.

    Args:
        path: a ROS 2 parameter file, such as config/panoptic_scene_completion.yaml.

    Returns:
        name -> value of the parameters that a replay takes from it, and remarks on the others.

    Raises:
        ConfigError: the file is none of the node's, or holds an unknown name or a wrong value.
    """
    values = read_parameter_file(path, node_meant(path))
    taken = {name: value for name, value in values.items()
             if name not in _OF_THE_COMPUTER and not ReplaySettings.setting(name).metadata["node_only"]}
    if "intensity_maxima" in taken:
        taken["intensity_maxima"] = taken["intensity_maxima"][:1]  # of the one LiDAR of a replay
    return taken, _remarks(path, {name: value for name, value in values.items() if name not in taken})


def _remarks(path: Path, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Parameters that a replay does not use: by name where they are not at the node's defaults."""
    changed = [name for name, value in values.items() if value != NodeConfig.setting(name).default]
    others = len(values) - len(changed)
    if changed:
        told = ", ".join(f"{name} = {_text(values[name])}" for name in changed)
        more = f", nor {others} more at the node's defaults" if others else ""
        return (f"A replay does not use these parameters of {path.name}: {told}{more}",)
    return (f"A replay does not use {others} parameters of {path.name}, all at the node's defaults",) if others else ()


def _check_settable(name: str) -> None:
    if name in _OPTIONS:
        raise ConfigError(f"Expected the node's parameter {name} to be given with {_OPTIONS[name]}, got --param {name}")
    if name not in ReplaySettings.names():
        known = [own for own in ReplaySettings.own_names() if own not in _OPTIONS]
        raise ConfigError(unknown_name_message(name, "parameters of a replay", known))
    if ReplaySettings.setting(name).metadata["node_only"]:
        raise ConfigError(_node_only_message(name))


def _node_only_message(name: str) -> str:
    why = ReplaySettings.setting(name).metadata["node_only"]
    return f"Expected a parameter that a replay has, got '{name}', which only the node has: {why}"


def _value(name: str, text: str) -> Any:
    """A checked value; unlike ROS, which knows the type from the text alone, whole numbers are taken for floats."""
    example = ReplaySettings.setting(name).default
    value = text if isinstance(example, str) else plain_value(parse_yaml(text, f"parameter '{name}'"))
    if isinstance(example, float):
        value = _as_float(value)
    elif isinstance(example, tuple) and isinstance(example[0], float) and isinstance(value, tuple):
        value = tuple(map(_as_float, value))
    check_value(name, value, ReplaySettings)
    return value


def _as_float(value: Any) -> Any:
    """A whole number as a float, infinite where it is too large for one; anything else as it is."""
    if type(value) is not int:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _text(value: Any) -> str:
    """A value as YAML writes it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
