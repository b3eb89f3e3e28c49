"""YAML files of people who may be mistaken or hostile: the safe subset, small, without aliases and repeated keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from pasco_core.errors import ConfigError

MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """YAML's safe subset without aliases, which can make a small file huge, and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no plain text", key_node.start_mark)
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value!r} stands there twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


# As ROS 2 launch writes lists into its parameter files; ROS itself does not look at tags.
_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _Loader.construct_yaml_seq)
# YAML 1.1 reads 1e-4 as text, because it has no dot.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a file.

    Raises:
        ConfigError: the file is missing, larger than a megabyte, not UTF-8, not YAML or not a mapping.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"Expected {path} to be a readable file, got {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"Expected {path} to be at most {MAX_BYTES} bytes, got more")
    try:
        values = parse_yaml(data.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"Expected {path} to be UTF-8 text, got byte {error.start} that is not") from error
    if not isinstance(values, dict):
        got = "nothing" if values is None else type(values).__name__
        raise ConfigError(f"Expected {path} to hold named settings, got {got}")
    return values


def parse_yaml(text: str, source: str) -> Any:
    """The value of a YAML text.

    Raises:
        ConfigError: not YAML of the safe subset, an alias, or a repeated key.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        raise ConfigError(f"Expected {source} to be YAML, got {error.problem or 'none'}{where}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"Expected {source} to be YAML, got {' '.join(str(error).split())}") from error
