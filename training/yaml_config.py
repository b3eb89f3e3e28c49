"""From a YAML file's values to frozen dataclasses: every key known, every value of its declared type."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from pasco_core.errors import ConfigError, PascoError
from pasco_core.yaml_file import parse_yaml

T = TypeVar("T")


def build(kind: type[T], values: Any, where: str = "") -> T:
    """An instance of a dataclass from plain values; what is not given keeps its default.

    Args:
        kind: dataclass whose fields are declared as bool, int, float, str, tuples, mappings or dataclasses.
        values: a mapping.
        where: what the values are, for messages, such as ``data``.

    Raises:
        ConfigError: an unknown key, with the nearest known one, a value of another type, or a missing one.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"Expected {where or 'the settings'} to be named settings, got {values!r}")
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(_unknown(str(key), list(known), where))
    missing = [
        name for name, field in known.items()
        if name not in values and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise ConfigError(f"Expected {where or 'the settings'} to have {', '.join(missing)}, got none")
    converted = {key: convert(hints[key], value, _join(where, key)) for key, value in values.items()}
    try:
        return kind(**converted)
    except PascoError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from error


def convert(kind: Any, value: Any, where: str) -> Any:
    """``value`` as the declared type ``kind``; ints pass for floats, lists for tuples, nothing else for anything."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return build(kind, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is not None and issubclass(_class_of(origin), Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"Expected {where} to be a mapping, got {value!r}")
        key_kind, value_kind = arguments
        keys = [convert(key_kind, key, f"a key of {where}") for key in value]
        return dict(zip(keys, (convert(value_kind, entry, _join(where, key)) for key, entry in value.items())))
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return convert(next(a for a in arguments if a is not type(None)), value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"Expected {where} to be {_NAMES.get(kind, kind.__name__)}, got {value!r}")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def plain(value: Any) -> Any:
    """A config as plain values that ``build`` accepts: mappings, lists, numbers, texts."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, (tuple, list)) else value


def dump(value: Any) -> str:
    """A config as YAML text."""
    return yaml.safe_dump(plain(value), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def with_setting(values: dict[str, Any], assignment: str) -> dict[str, Any]:
    """The values with one changed by ``a.b=value``, the value written as in YAML.

    Raises:
        ConfigError: no such form; unknown keys are found by ``build``.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        example = "such as optimiser.learning_rate=1e-4"
        raise ConfigError(f"Expected --set to be written key=value, {example}, got {assignment!r}")
    path = key.strip().split(".")
    changed = dict(values)
    place = changed
    for name in path[:-1]:
        inner = place.get(name)
        if inner is not None and not isinstance(inner, dict):
            raise ConfigError(f"Expected {name} of --set {assignment} to be a group of settings, got {inner!r}")
        place[name] = dict(inner or {})
        place = place[name]
    place[path[-1]] = parse_yaml(text, f"the value of --set {key}")
    return changed


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """One line ``a.b: old → new`` for each setting that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        lines = []
        for key in keys:
            lines += differences(old.get(key, "none"), new.get(key, "none"), _join(where, key))
        return lines
    return [] if old == new else [f"{where}: {old} → {new}"]


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"Expected {where} to be a list, got {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(convert(arguments[0], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if len(value) != len(arguments):
        raise ConfigError(f"Expected {where} to be a list of {len(arguments)}, got {len(value)}")
    return tuple(convert(kind, entry, f"{where}[{i}]") for i, (kind, entry) in enumerate(zip(arguments, value)))


def _class_of(origin: Any) -> type:
    return origin if isinstance(origin, type) else object


def _join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _unknown(key: str, known: list[str], where: str) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"
    return f"Expected {where or 'the experiment'} to have known settings only, got '{key}'; {hint}"
