"""One parameter: its default, and what a person, ROS and a replay must know about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from typing import Any

from pasco_core.errors import ConfigError

NO_DIAGNOSTICS = "a replay publishes no diagnostics"


def setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    fixed: bool = False,
    length: int = 0,
    node_only: str = "",
) -> Any:
    """A field of a dataclass of settings.

    Args:
        default: value where none is given; its type is the parameter's. A list is a tuple of strings or of floats, not
            empty, because ROS cannot tell the type of an empty one.
        description: what it does, with the unit.
        low, high: range, of each item of a list.
        choices: the strings that are allowed.
        fixed: can be changed only before the node is configured.
        length: number of items that a list must be a multiple of; 0: any, but each item only once.
        node_only: why a replay of a recording does not have it; "" where it has it.
    """
    details = {"description": description, "low": low, "high": high, "choices": choices, "fixed": fixed,
               "length": length, "node_only": node_only}
    return field(default=default, metadata=details)


@dataclass(frozen=True)
class SettingsGroup:
    """Parameters that belong together; the name of a field is the name of the parameter."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all parameters, in order."""
        return tuple(f.name for f in fields(cls))

    @classmethod
    def setting(cls, name: str) -> Field:
        """The field behind a parameter; its ``metadata`` has what ``setting`` was given.

        Raises:
            ConfigError: there is no such parameter.
        """
        for candidate in fields(cls):
            if candidate.name == name:
                return candidate
        raise ConfigError(unknown_name_message(name, "parameters of the node", cls.names()))

    def check(self) -> None:
        """Check what one value alone cannot show.

        Raises:
            ConfigError: two values contradict each other.
        """


def unknown_name_message(name: str, what: str, known: Iterable[str]) -> str:
    """"Expected ... got" for an unknown name, with the nearest known one as a hint."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f": did you mean '{nearest[0]}'?" if nearest else f"; known are {', '.join(known)}"
    return f"Expected the {what} to be known ones, got '{name}'{hint}"
