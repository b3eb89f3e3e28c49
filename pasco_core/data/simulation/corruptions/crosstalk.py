"""Crosstalk: the receiver takes another pulse for its own, and the range is wrong."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import Corrupted, kept, ranges_of, with_new_ranges
from pasco_core.data.simulation.corruptions.levels import Crosstalk

_NEAREST, _FARTHEST = 1.0, 80.0  # metres: where a foreign pulse may fall into the receiver's window
_SAME_TIME = np.radians(1.0)  # beams that fire within this azimuth see each other's echoes


def corrupt_crosstalk(points: np.ndarray, crosstalk: Crosstalk, rng: np.random.Generator) -> Corrupted:
    """A share of the returns is replaced by one on the same ray at the range of another pulse.

    Half of them read the echo of another beam of the sensor that fired at about the same time; the other half the pulse
    of a foreign LiDAR, which is not synchronised, so every range is as likely, and so is every strength.
    """
    n = len(points)
    draw, kind, foreign, brightness = rng.random((4, n))
    ranges = ranges_of(points)
    neighbour = _another_at_the_same_time(points, rng)
    wrong = np.flatnonzero(draw < crosstalk.share)
    own = kind[wrong] < 0.5
    at = np.where(own, ranges[neighbour[wrong]], _NEAREST + foreign[wrong] * (_FARTHEST - _NEAREST))
    intensity = np.where(own, points[neighbour[wrong], 3], brightness[wrong])
    keep = np.ones(n, bool)
    keep[wrong] = False
    return with_new_ranges(kept(points, keep), points, wrong, at, intensity)


def _another_at_the_same_time(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) for each point, a random one of about the same azimuth: the next in a random order within its sector."""
    sector = np.floor(np.arctan2(points[:, 1], points[:, 0]) / _SAME_TIME).astype(np.int64)
    order = np.lexsort((rng.random(len(points)), sector))
    following = np.roll(order, -1)
    other = np.empty(len(points), np.int64)
    other[order] = following
    return other
