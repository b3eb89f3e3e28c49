"""The parameters as documents: a table for the node's page and a file with all defaults, made from the settings.

scripts/write_documents.py writes both; a test compares them with what is in the repository.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from dataclasses import Field, fields
from typing import Any

from pasco_core.settings.node_config import GROUPS, NODE_NAME
from pasco_core.settings.setting import SettingsGroup

_WIDTH = 120


def parameter_table(groups: Iterable[type[SettingsGroup]] = GROUPS) -> str:
    """A Markdown table of every parameter; * marks those fixed once configured, † those that a replay does not have."""
    rows = ["| name | default | allowed | meaning |", "|---|---|---|---|"]
    for group in groups:
        rows.append(f"| **{_title(group)}** | | | |")
        rows += [_row(setting) for setting in _own_fields(group)]
    return "\n".join(rows) + "\n"


def parameter_yaml(groups: Iterable[type[SettingsGroup]] = GROUPS, node: str = NODE_NAME) -> str:
    """A ROS 2 parameter file with every parameter at its default, each one described."""
    lines = [
        f"# Parameters of the node {node}, all at their defaults.",
        "# Those marked (fixed) can be changed only before the node is configured.",
        "/**:",
        "  ros__parameters:",
    ]
    for group in groups:
        lines += [f"    # --- {_title(group)}", ""]
        for setting in _own_fields(group):
            lines += [*_comment(setting), f"    {setting.name}: {_value(setting.default)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _own_fields(group: type[SettingsGroup]) -> list[Field]:
    own = [f for f in fields(group) if f.name in vars(group).get("__annotations__", {})]
    return own


def _title(group: type[SettingsGroup]) -> str:
    return (group.__doc__ or "").split("\n")[0].rstrip(".")


def _row(setting: Field) -> str:
    details = setting.metadata
    marks = (" *" if details["fixed"] else "") + (" †" if details["node_only"] else "")
    return f"| `{setting.name}`{marks} | {_value(setting.default)} | {_allowed(setting)} | {_meaning(setting)} |"


def _comment(setting: Field) -> list[str]:
    fixed = "(fixed) " if setting.metadata["fixed"] else ""
    allowed = f" Allowed: {_allowed(setting)}." if _allowed(setting) else ""
    text = f"{fixed}{_meaning(setting)}{allowed}"
    return textwrap.wrap(text, _WIDTH, initial_indent="    # ", subsequent_indent="    # ")


def _meaning(setting: Field) -> str:
    return " ".join(setting.metadata["description"].split())


def _allowed(setting: Field) -> str:
    details = setting.metadata
    if details["choices"]:
        return ", ".join(details["choices"])
    return "" if details["low"] is None else f"{details['low']:g} – {details['high']:g}"


def _value(value: Any) -> str:
    """As YAML writes it; floats keep their point, because ROS takes a number without one for an integer."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
