"""Fog: what is far gets fainter and is lost, and droplets near the sensor answer instead.

The LiDAR equation with hard and soft targets of Hahner et al. 2021 ("Fog simulation on real LiDAR point clouds for 3D
object detection in adverse weather", equations 1 to 16, after Rasshofer et al. 2011). Where that work has one target
reflectivity for everything, KITTI's calibrated intensity is used, and a return must exceed the sensor's noise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import Corrupted, dimmed, ranges_of, with_new_ranges
from pasco_core.data.simulation.corruptions.echo import WEAKEST_ECHO, overlap, signal_to_noise, two_way
from pasco_core.data.simulation.corruptions.levels import Fog

PULSE_LENGTH = 299_792_458.0 * 5e-9
"""Metres of range over which HDL-64E's pulse of 5 ns (width at half power) reaches: c times that width."""

_STEP, _END = 0.05, 130.0  # metres: the table of the soft target's response


def extinction_of(fog: Fog) -> float:
    """Extinction coefficient alpha in 1/m: ln(20) / visibility (Koschmieder; Hahner et al. 2021, section 3.2)."""
    return float(np.log(20.0)) / fog.visibility


def backscatter_of(fog: Fog) -> float:
    """Backscattering coefficient beta in 1/(m sr): 0.046 / visibility (Rasshofer et al. 2011)."""
    return 0.046 / fog.visibility


def droplet_response(fog: Fog, distance: np.ndarray) -> np.ndarray:
    """What a thin layer of fog at ``distance`` metres sends back per metre of it, over beta: e^(-2 alpha r) xi / r²."""
    distance = np.maximum(distance, 1e-3)
    return two_way(extinction_of(fog), distance) * overlap(distance) / distance**2


def corrupt_fog(points: np.ndarray, fog: Fog, rng: np.random.Generator) -> Corrupted:
    """Of target and fog, the stronger echo is returned if it exceeds the noise.

    Targets lose e^(-2 alpha R) of their intensity. The fog's echo fluctuates exponentially around its mean, as that of
    many independent scatterers does; its range follows the droplets' response, before the target.
    """
    distance = ranges_of(points)
    left = two_way(extinction_of(fog), distance)
    target = signal_to_noise(points, rng) * left
    droplets = mean_soft_echo(fog, distance) * rng.exponential(1.0, len(points))
    where = rng.random(len(points))
    scattered = np.flatnonzero((droplets >= 1.0) & (droplets > target))
    seen = target >= 1.0
    seen[scattered] = False
    at = _range_of_droplets(fog, distance[scattered], where[scattered])
    intensity = droplets[scattered] * WEAKEST_ECHO * at**2
    return with_new_ranges(dimmed(points, left, seen), points, scattered, at, intensity)


def mean_soft_echo(fog: Fog, distance: np.ndarray) -> np.ndarray:
    """Mean of the fog's strongest echo before a target at ``distance`` (N,) metres, in units of the weakest echo."""
    grid, peak = _peak_response(fog)
    return np.pi * backscatter_of(fog) * np.interp(distance, grid, peak) / WEAKEST_ECHO


@lru_cache(maxsize=16)
def _peak_response(fog: Fog) -> tuple[np.ndarray, np.ndarray]:
    """Target distances, and the maximum over time of the response of the fog before them convolved with the pulse."""
    grid = np.arange(_STEP / 2, _END, _STEP)
    response = droplet_response(fog, grid)
    along = np.arange(_STEP / 2, PULSE_LENGTH, _STEP)
    pulse = np.sin(np.pi * along / PULSE_LENGTH) ** 2 * _STEP
    before = np.concatenate([np.arange(0.5, 12.0, 0.25), [_END]])
    near = grid < 2.0 * before[-2]  # the strongest echo comes from the first metres, whatever is behind
    peak = [np.convolve(response[near] * (grid[near] < end), pulse).max() for end in before]
    return before, np.array(peak)


@lru_cache(maxsize=16)
def _cumulative_response(fog: Fog) -> tuple[np.ndarray, np.ndarray]:
    grid = np.arange(0.0, _END, _STEP)
    middle = droplet_response(fog, grid[:-1] + _STEP / 2)
    return grid, np.concatenate([[0.0], np.cumsum(middle)])


def _range_of_droplets(fog: Fog, distance: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Ranges distributed as the droplets' response between the sensor and ``distance``."""
    grid, cumulative = _cumulative_response(fog)
    wanted = uniform * np.interp(distance, grid, cumulative)
    rising = slice(np.searchsorted(cumulative, 0.0, side="right") - 1, None)
    return np.minimum(np.interp(wanted, cumulative[rising], grid[rising]), distance)
