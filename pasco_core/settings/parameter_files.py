"""Parameter files of ROS 2, read and checked: ROS itself ignores unknown names and other nodes' keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from pasco_core.errors import ConfigError
from pasco_core.settings.node_config import NODE_NAME, NodeConfig
from pasco_core.settings.setting import SettingsGroup, unknown_name_message
from pasco_core.settings.value_checks import check_value, plain_value
from pasco_core.yaml_file import read_yaml

_PARAMETERS = "ros__parameters"
# Parameters that every ROS 2 node has.
_ROS_NAMES = ("use_sim_time", "start_type_description_service")
_ROS_PREFIXES = ("qos_overrides.",)


def parameter_files(arguments: Sequence[str]) -> list[Path]:
    """The files given with ``--params-file`` on a ROS command line.

    >>> [str(path) for path in parameter_files(["--ros-args", "--params-file", "a.yaml", "-r", "x:=y"])]
    ['a.yaml']
    """
    return [Path(value) for option, value in pairwise(arguments) if option == "--params-file"]


def check_command_line(arguments: Sequence[str]) -> None:
    """Check what ROS would ignore without a word, or refuse without naming the file and the parameter.

    Args:
        arguments: the whole command line, the program's name first.

    Raises:
        ConfigError: a word outside of ``--ros-args``, or a parameter file that ROS cannot read.
    """
    foreign = list(takewhile(lambda word: word != "--ros-args", arguments[1:]))
    if foreign:
        raise ConfigError(f"Expected ROS arguments after --ros-args, got {' '.join(foreign)!r}")
    for path in parameter_files(arguments):
        for name, value in (entry for _, parameters in _read_sections(path) for entry in _flat(parameters)):
            if isinstance(value, list) and len({type(item) for item in value}) > 1:
                got = f"{value}: write numbers with decimal points"
                raise ConfigError(f"Expected parameter '{name}' in {path} to have items of one type, got {got}")


def read_parameter_file(path: Path, node: str, kind: type[SettingsGroup] = NodeConfig) -> dict[str, Any]:
    """The parameters that ROS gives a node from a file, checked to be its own, in names and values it knows.

    Args:
        path: a ROS 2 parameter file.
        node: fully qualified name of the node, such as ``/panoptic_scene_completion``.
        kind: the settings of the node.

    Returns:
        name -> value, of the settings alone. Where several sections mean the node, the last one in the file wins.

    Raises:
        ConfigError: the file cannot be read, has no section for the node, or holds an unknown name or a wrong value.
    """
    sections = _read_sections(path)
    own = [parameters for pattern, parameters in sections if _matches(pattern, node)]
    if not own:
        wanted = node.rsplit("/", 1)[-1]
        found = ", ".join(name.lstrip("/") for name, _ in sections)
        raise ConfigError(f"Expected {path} to have a section '{wanted}' for this node, got {found}; rename it")
    values: dict[str, Any] = {}
    for name, value in (entry for parameters in own for entry in _flat(parameters)):
        check_name(name, str(path), kind)
        if name in kind.names():
            _check_value_in(path, name, value, kind)
            values[name] = plain_value(value)
    return values


def node_meant(path: Path) -> str:
    """Fully qualified name of the ``NODE_NAME`` node that a file speaks to, in whatever namespace it is.

    Raises:
        ConfigError: the file cannot be read, or speaks to several of them.
    """
    patterns = {pattern for pattern, _ in _read_sections(path)}
    named = {pattern for pattern in patterns if pattern.endswith(f"/{NODE_NAME}") and "*" not in pattern}
    if len(named) > 1:
        got = ", ".join(sorted(named))
        raise ConfigError(f"Expected {path} to have one section for a node '{NODE_NAME}', got {got}")
    return named.pop() if named else f"/{NODE_NAME}"


def check_name(name: str, source: str, kind: type[SettingsGroup] = NodeConfig) -> None:
    """Refuse a parameter name that neither the node nor ROS knows.

    Raises:
        ConfigError: with the nearest known name.
    """
    if name in kind.names() or name in _ROS_NAMES or name.startswith(_ROS_PREFIXES):
        return
    raise ConfigError(unknown_name_message(name, f"parameters in {source}", kind.names()))


def _check_value_in(path: Path, name: str, value: Any, kind: type[SettingsGroup]) -> None:
    try:
        check_value(name, value, kind)
    except ConfigError as error:
        raise ConfigError(f"{error} in {path}") from error


def _read_sections(path: Path) -> list[tuple[str, dict[str, Any]]]:
    sections = list(_sections(read_yaml(path)))
    if not sections:
        raise ConfigError(f"Expected {path} to have a section with '{_PARAMETERS}', got none")
    return sections


def _sections(content: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """(node pattern, parameters) of a file, whose namespaces may be nested."""
    for key, value in content.items():
        name = f"{prefix}/{str(key).strip('/')}"
        if isinstance(value, dict) and isinstance(value.get(_PARAMETERS), dict):
            yield name, value[_PARAMETERS]
        elif isinstance(value, dict) and depth < 8:
            yield from _sections(value, name, depth + 1)


def _matches(pattern: str, node: str) -> bool:
    """Whether a section's name, in which * stands for one name and ** for any, means the node."""
    parts = [".*" if part == "**" else "[^/]+" if part == "*" else re.escape(part) for part in pattern.split("/")]
    return re.fullmatch("/".join(parts).replace("/.*", "(/.*)?"), node) is not None


def _flat(parameters: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in parameters.items():
        if isinstance(value, dict) and depth < 8:
            yield from _flat(value, f"{prefix}{key}.", depth + 1)
        else:
            yield f"{prefix}{key}", value
