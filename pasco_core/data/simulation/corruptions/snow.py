"""Snowfall: flakes in the beam scatter light away, and those close to the sensor are returned themselves.

After Hahner et al. 2022 ("LiDAR snowfall simulation for robust 3D object detection"): flakes of Gunn and Marshall's
sizes in a widening beam, the strongest echo wins. Instead of placing every flake, the strongest echo on each ray is
drawn from its exact distribution: flakes are a Poisson process along the beam.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import Corrupted, dimmed, ranges_of, with_new_ranges
from pasco_core.data.simulation.corruptions.echo import WEAKEST_ECHO, overlap, signal_to_noise, two_way
from pasco_core.data.simulation.corruptions.levels import Snow

FLAKE_REFLECTIVITY = 0.25
"""Of the diffuse plate that is as bright from behind as a flake: 2 pi over its lidar ratio of 25 sr (ice crystals)."""
_DENSITY = 0.1  # of a flake over that of water
_DIVERGENCE = 3e-3  # radians, HDL-64E
_APERTURE = 0.01  # metres, the beam's width at the sensor
_GRID = np.arange(0.25, 40.0, 0.25)  # metres from the sensor; no flake is seen farther away
_STRENGTHS = np.geomspace(1.0, 1e3, 49)


@dataclass(frozen=True)
class Flakes:
    """Snowflakes in the air: sizes follow an exponential distribution.

    Args:
        per_cubic_metre: how many.
        mean_diameter: metres.
    """

    per_cubic_metre: float
    mean_diameter: float

    @property
    def extinction(self) -> float:
        """1/m: twice the cross-section per volume (large particles); the mean of D² is twice the squared mean."""
        return self.per_cubic_metre * 2.0 * np.pi / 4.0 * 2.0 * self.mean_diameter**2


def flakes_of(snow: Snow) -> Flakes:
    """Gunn and Marshall 1958: N(D) = 3800 R^-0.87 e^(-2.55 R^-0.48 D) per m³ and mm of melted diameter D."""
    per_millimetre = 3800.0 * snow.rate**-0.87
    slope = 2.55 * snow.rate**-0.48
    return Flakes(per_millimetre / slope, 1e-3 / slope * _DENSITY ** (-1.0 / 3.0))


def flakes_stronger_than(flakes: Flakes, strength: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Mean number per metre of the beam, at ``distance``, of flakes whose echo exceeds ``strength`` times the weakest.

    A flake of diameter D in a beam of width B sends back reflectivity · xi · (D / B)² / r².
    """
    width = _APERTURE + _DIVERGENCE * distance
    smallest = width * np.sqrt(
        strength * WEAKEST_ECHO * distance**2 / np.maximum(FLAKE_REFLECTIVITY * overlap(distance), 1e-12)
    )
    in_beam = flakes.per_cubic_metre * np.pi / 4.0 * width**2
    return in_beam * np.exp(-smallest / flakes.mean_diameter)


def corrupt_snow(points: np.ndarray, snow: Snow, rng: np.random.Generator) -> Corrupted:
    """Of target and flakes, the strongest echo is returned if it exceeds the noise."""
    distance = ranges_of(points)
    flakes = flakes_of(snow)
    left = two_way(flakes.extinction, distance)
    target = signal_to_noise(points, rng) * left
    strength, where = _strongest_flake(flakes, distance, rng)
    scattered = np.flatnonzero((strength > 1.0) & (strength > target))
    seen = target >= 1.0
    seen[scattered] = False
    at = _range_of_flake(flakes, strength[scattered], distance[scattered], where[scattered])
    intensity = strength[scattered] * WEAKEST_ECHO * at**2
    return with_new_ranges(dimmed(points, left, seen), points, scattered, at, intensity)


@lru_cache(maxsize=16)
def _numbers(flakes: Flakes) -> np.ndarray:
    """(strengths, distances) mean number of flakes before a distance whose echo exceeds a strength."""
    density = flakes_stronger_than(flakes, _STRENGTHS[:, None], _GRID[None])
    return np.cumsum(density, axis=1) * (_GRID[1] - _GRID[0])


def _strongest_flake(
    flakes: Flakes, distance: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) strength of the strongest flake before ``distance``, 0 for none above the noise; and a uniform draw.

    The strongest is weaker than s with probability e^(-number stronger than s).
    """
    level, where = rng.exponential(1.0, len(distance)), rng.random(len(distance))
    numbers = _numbers(flakes)
    column = np.searchsorted(_GRID, distance, side="right") - 1
    strength = np.zeros(len(distance))
    some = np.flatnonzero((column >= 0) & (level < numbers[0][np.maximum(column, 0)]))
    order = some[np.argsort(column[some], kind="stable")]
    for part in np.split(order, np.flatnonzero(np.diff(column[order])) + 1):
        if len(part):
            falling = numbers[:, column[part[0]]]
            strength[part] = np.exp(np.interp(-level[part], -falling, np.log(_STRENGTHS)))
    return strength, where


def _range_of_flake(flakes: Flakes, strength: np.ndarray, distance: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Ranges of flakes of given strengths: distributed as such flakes are along the beam, before ``distance``."""
    numbers = _numbers(flakes)
    of_strength = np.clip(np.searchsorted(_STRENGTHS, strength) - 1, 0, len(_STRENGTHS) - 2)
    between = np.maximum(numbers[:-1] - numbers[1:], 0.0)
    at = np.zeros(len(strength))
    for row in np.unique(of_strength):
        part = of_strength == row
        cumulative = np.maximum.accumulate(between[row])
        wanted = uniform[part] * np.interp(distance[part], _GRID, cumulative)
        at[part] = np.interp(wanted, cumulative, _GRID)
    return np.minimum(at, distance)
