"""Under what a scan is evaluated: as it was recorded, or made worse by one corruption at one level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import Frame, frame_seed
from pasco_core.errors import ConfigError, DataError


@dataclass(frozen=True, order=True)
class Condition:
    """A corruption and its level; both empty: the clean scan.

    >>> str(Condition("fog", "heavy")), str(Condition())
    ('fog/heavy', 'clean')
    """

    corruption: str = ""
    level: str = ""

    def __post_init__(self) -> None:
        if bool(self.corruption) != bool(self.level):
            raise ConfigError(f"Expected a condition to have a corruption and a level, or neither, got {self!r}")

    def __str__(self) -> str:
        return f"{self.corruption}/{self.level}" if self.corruption else "clean"

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition that ``str`` wrote.

        >>> Condition.parse("fog/heavy").level
        'heavy'
        """
        if text == "clean":
            return CLEAN
        corruption, _, level = text.partition("/")
        if not corruption or not level:
            raise DataError(f"Expected a condition to be 'clean' or CORRUPTION/LEVEL, got {text!r}")
        return cls(corruption, level)

    def apply(self, points: np.ndarray, frame: Frame, seed: int) -> np.ndarray:
        """The scan under this condition: (M, 4) float32, the same for the same frame and seed in any process."""
        if not self.corruption:
            return points
        from pasco_core.data.simulation.corruptions import corrupt

        return corrupt(points, self.corruption, self.level, frame_seed(seed, frame)).points


CLEAN = Condition()
"""The scan as it was recorded."""


def conditions_of(corruptions: str | None, levels: str | None = None) -> tuple[Condition, ...]:
    """The clean scan, then every corruption asked for at every level asked for.

    Args:
        corruptions: ``all``, names with commas between them, or None for the clean scan alone.
        levels: names with commas between them; default: all.

    Raises:
        ConfigError: an unknown name, or levels without corruptions.
    """
    if corruptions is None:
        if levels is not None:
            raise ConfigError(f"Expected levels to come with corruptions, got levels {levels!r} alone")
        return (CLEAN,)
    from pasco_core.data.simulation.corruptions import CORRUPTIONS, LEVELS

    names = tuple(CORRUPTIONS) if corruptions == "all" else _known(corruptions, tuple(CORRUPTIONS), "corruptions")
    chosen = tuple(LEVELS) if levels is None else _known(levels, tuple(LEVELS), "levels")
    return (CLEAN, *(Condition(name, level) for name in names for level in chosen))


def _known(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ConfigError(f"Expected {what} to be of {', '.join(known)}, got {', '.join(unknown) or repr(text)}")
    return names
