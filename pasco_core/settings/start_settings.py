"""How the node starts."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.settings.setting import SettingsGroup, setting


@dataclass(frozen=True)
class StartSettings(SettingsGroup):
    """How the node starts."""

    autostart: bool = setting(
        False, "Configure and activate at the start, without waiting for somebody's request; also after a respawn.",
        fixed=True, node_only="a replay has no states to go through")
