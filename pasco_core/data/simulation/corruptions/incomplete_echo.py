"""Incomplete echo: dark cars and clothes return too little light to be seen."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import Corrupted, kept
from pasco_core.data.simulation.corruptions.echo import signal_to_noise
from pasco_core.data.simulation.corruptions.ground import fit_ground
from pasco_core.data.simulation.corruptions.levels import IncompleteEcho

_DARK = 0.2  # intensity below which a surface may be black paint or cloth
_OBJECT_HEIGHT = (0.2, 3.0)  # metres above the road between which vehicles and people are


def corrupt_incomplete_echo(
    points: np.ndarray, echo: IncompleteEcho, rng: np.random.Generator, things: np.ndarray | None = None
) -> Corrupted:
    """Points on dark objects are lost, the weaker their echo, the likelier.

    An echo of mean strength S that fluctuates exponentially stays below a threshold k with probability 1 - e^(-k / S).

    Args:
        points: (N, 4) float32.
        echo: the level.
        rng: of the draws.
        things: (N,) bool, which points belong to vehicles and people; by default, dark points at the height of such.
    """
    strength = signal_to_noise(points, rng)
    draw = rng.random(len(points))
    threshold = 10.0 ** (echo.lost_decibels / 10.0)
    lost = draw < -np.expm1(-threshold / strength)
    return kept(points, ~(lost & (_dark_objects(points) if things is None else things)))


def _dark_objects(points: np.ndarray) -> np.ndarray:
    """(N,) bool, without labels: dark, above the road and not higher than a van."""
    dark = points[:, 3] < _DARK
    ground = fit_ground(points)
    if ground is None:
        return dark
    height = ground.height_over(points)
    return dark & ~ground.is_near(points) & (height > _OBJECT_HEIGHT[0]) & (height < _OBJECT_HEIGHT[1])
