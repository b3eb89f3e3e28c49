"""How strong a return is beside the sensor's noise: the part of the LiDAR equation that all weather shares."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import ranges_of

WEAKEST_ECHO = 0.10 / 50.0**2
"""Reflectivity per square metre of range that is just detected: HDL-64E sees pavement (0.10) at 50 m (data sheet)."""

_DARKEST = 0.005
"""An intensity of 0 is anything below half of KITTI's step of 0.01."""

_OVERLAP_FROM, _OVERLAP_TO = 1.0, 8.0
"""Metres at which the receiver begins to see the laser's spot, and sees all of it (HDL-64E is focused at 5 to 24 m)."""


def overlap(distance: np.ndarray) -> np.ndarray:
    """Share of the laser's spot that the receiver sees at ``distance`` metres (xi of Hahner et al. 2021, eq. 6)."""
    return np.clip((np.asarray(distance, np.float64) - _OVERLAP_FROM) / (_OVERLAP_TO - _OVERLAP_FROM), 0.0, 1.0)


def signal_to_noise(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) float64, how many times stronger than the weakest detectable echo each return of a clear scan is.

    KITTI's intensity is calibrated to reflectivity, so the received power is intensity / range². Returns that this says
    are too weak were detected all the same (the intensity is rounded, and includes the angle of incidence); they get a
    margin of their own, which exceeds x with probability 1 / x.
    """
    power = np.maximum(points[:, 3].astype(np.float64), _DARKEST) / ranges_of(points) ** 2
    margin = np.exp(rng.exponential(1.0, len(points)))
    return np.maximum(power / WEAKEST_ECHO, margin)


def two_way(extinction: float, distance: np.ndarray) -> np.ndarray:
    """Share of the light that is left after the way to ``distance`` metres and back (Beer and Lambert)."""
    return np.exp(-2.0 * extinction * distance)
