"""What the node accepts from its sensors."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.settings.setting import NO_DIAGNOSTICS, SettingsGroup, setting

EMPTY_POLICIES = ("publish", "skip")


@dataclass(frozen=True)
class InputSettings(SettingsGroup):
    """What the node accepts from its sensors."""

    max_points: int = setting(
        300_000, "Capacity in points; of a larger cloud an evenly spread subset is used.", low=1, high=20_000_000)
    min_range: float = setting(
        0.1, "Points nearer than this are left out [m]; drivers write missing returns as 0, 0, 0.", low=0.0, high=100.0)
    empty_cloud: str = setting(
        "publish", "What a cloud without a finite point, or without one in the grid, leads to: publish (an all-unknown "
        "grid) or skip.",
        choices=EMPTY_POLICIES)
    future_tolerance: float = setting(
        1.0, "A cloud whose stamp lies further ahead of the node's clock is rejected [s]; 0 accepts any.",
        low=0.0, high=1e9)
    input_timeout: float = setting(
        5.0, "Without a cloud for this long, and while a computation takes longer, diagnostics report an error [s].",
        low=0.1, high=3600.0, node_only=NO_DIAGNOSTICS)
    skip_without_subscribers: bool = setting(
        True, "Compute nothing while no output has a subscriber.", node_only="a replay computes every cloud")
