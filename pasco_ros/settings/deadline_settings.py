"""How old a result may be, and what the node does to keep up."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_ros.settings.setting import SettingsGroup, setting


@dataclass(frozen=True)
class DeadlineSettings(SettingsGroup):
    """How old a result may be, and what the node does to keep up."""

    max_age: float = setting(
        0.0, "A cloud whose stamp is older than this by the node's clock, before or after its computation, is dropped "
        "[s]; 0 sets no limit. A recording played without use_sim_time is as old as it is.", low=0.0, high=3600.0)
