"""One parameter of the node: its default, and what a person and ROS must know about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    fixed: bool = False,
    length: int = 0,
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
    """
    details = {"description": description, "low": low, "high": high, "choices": choices, "fixed": fixed,
               "length": length}
    return field(default=default, metadata=details)


@dataclass(frozen=True)
class SettingsGroup:
    """Parameters that belong together; the name of a field is the name of the parameter."""

    def check(self) -> None:
        """Check what one value alone cannot show.

        Raises:
            ConfigError: two values contradict each other.
        """
