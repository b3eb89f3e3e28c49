"""How old a result may be, and what the node does to keep up."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.errors import ConfigError
from pasco_core.settings.setting import SettingsGroup, setting

LEVELS = ("full", "fewer_subnets", "shorter_range", "semantics_only")
"""Levels of effort, from the most to the least; each keeps the reductions of those before it."""
AUTO, OFF = "auto", "off"
_FULL_EFFORT = "a replay computes every cloud with full effort"


@dataclass(frozen=True)
class DeadlineSettings(SettingsGroup):
    """How old a result may be, and what the node does to keep up."""

    max_age: float = setting(
        0.0, "A cloud whose stamp is older than this by the node's clock, before or after its computation, is dropped "
        "[s]; 0 sets no limit. A recording played without use_sim_time is as old as it is.", low=0.0, high=3600.0)
    target_rate: float = setting(
        0.0, "Results per second that the node should reach: a computation that takes longer than 1 / target_rate "
        "misses its deadline [Hz]; 0 sets no deadline beside max_age.", low=0.0, high=1000.0, node_only=_FULL_EFFORT)
    degradation: str = setting(
        AUTO, "auto: compute with less effort while deadlines are missed, and with more again when there is room; off: "
        "always full effort; or the level to keep: full, fewer_subnets (half of them), shorter_range (degraded_range; "
        "the rest is unknown) or semantics_only (no segments), each with the reductions of those before it.",
        choices=(AUTO, OFF, *LEVELS), node_only=_FULL_EFFORT)
    degraded_range: float = setting(
        25.6, "Half the edge of the square around the sensor that the levels from shorter_range on complete, rounded "
        "up to whole cells of the network [m].", low=1.6, high=1000.0, fixed=True, node_only=_FULL_EFFORT)
    missed_deadlines: int = setting(
        3, "So many missed deadlines among the last deadline_window computations lower the effort.", low=1, high=1000,
        node_only=_FULL_EFFORT)
    deadline_window: int = setting(5, "How many computations missed_deadlines looks back.", low=1, high=1000,
        node_only=_FULL_EFFORT)
    recovery_time: float = setting(
        5.0, "The effort is raised after there was room for it for so long [s]; after a raise that did not last, it "
        "is twice as long, up to 32 times.", low=0.1, high=3600.0, node_only=_FULL_EFFORT)
    recovery_headroom: float = setting(
        0.8, "There is room when the next higher level is expected to need at most this share of the time there is.",
        low=0.1, high=1.0, node_only=_FULL_EFFORT)

    @property
    def may_degrade(self) -> bool:
        """Whether these settings can lead to less than full effort."""
        has_deadline = self.max_age > 0 or self.target_rate > 0
        return has_deadline if self.degradation == AUTO else self.degradation not in (OFF, LEVELS[0])

    def check(self) -> None:
        """A count of missed deadlines that can never be reached is refused with ConfigError."""
        if self.missed_deadlines > self.deadline_window:
            raise ConfigError(
                f"Expected parameter 'missed_deadlines' to be at most deadline_window = {self.deadline_window}, "
                f"got {self.missed_deadlines}"
            )
