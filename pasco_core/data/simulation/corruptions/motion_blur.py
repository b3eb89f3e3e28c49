"""Motion blur: the sensor moved during the sweep in ways that nobody compensated.

A sweep takes a tenth of a second. Speed and turn rate that are missing in the compensation bend the scan, more the
longer before or after the moment of the scan's pose; vibration of the mounting makes it tremble. Points fired at the
same instant move together, as one rigid body.
"""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import Corrupted
from pasco_core.data.simulation.corruptions.levels import MotionBlur

SWEEP = 0.1
"""Seconds of one turn."""

_MODES = 6
_FREQUENCIES = (8.0, 90.0)  # hertz: from a car's axles to its body panels


def firing_time(points: np.ndarray) -> np.ndarray:
    """(N,) float64 seconds, -0.05 to 0.05, from the moment the sensor faces forward, which KITTI's poses belong to."""
    return np.arctan2(points[:, 1].astype(np.float64), points[:, 0]) * (SWEEP / (2.0 * np.pi))


def corrupt_motion_blur(points: np.ndarray, blur: MotionBlur, rng: np.random.Generator) -> Corrupted:
    """Every point moved by the error of the sensor's pose at its time; none is lost, intensities stay."""
    time = firing_time(points)
    velocity = rng.normal(0.0, blur.speed, 3) * (1.0, 1.0, 0.1)
    turning = np.radians(rng.normal(0.0, blur.turn_rate, 3))
    shift = velocity[:, None] * time + blur.shake * _vibration(time, rng)
    roll, pitch, yaw = turning[:, None] * time + np.radians(blur.tilt) * _vibration(time, rng)
    x, y, z = points[:, :3].astype(np.float64).T
    x, y, z = _turned(x, y, z, roll, pitch, yaw)
    moved = points.copy()
    moved[:, :3] = (np.stack([x, y, z]) + shift).T
    index = np.arange(len(points))
    return Corrupted(moved, index, index)


def _vibration(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(3, N) a sum of sines of random frequency and phase per axis, slow ones larger; standard deviation about 1."""
    low, high = _FREQUENCIES
    frequency = low * (high / low) ** rng.random((3, _MODES))
    phase = rng.uniform(0.0, 2.0 * np.pi, (3, _MODES))
    total = np.zeros((3, len(time)))
    for mode in range(_MODES):
        f = frequency[:, mode, None]
        total += low / f * np.sin(2.0 * np.pi * f * time + phase[:, mode, None])
    mean_square = (1.0 - (low / high) ** 2) / (2.0 * np.log(high / low))  # of low / f, whose logarithm is uniform
    return total * np.sqrt(2.0 / _MODES / mean_square)


def _turned(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, roll: np.ndarray, pitch: np.ndarray, yaw: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each point turned about x by its roll, then about y by its pitch, then about z by its yaw, radians."""
    y, z = np.cos(roll) * y - np.sin(roll) * z, np.sin(roll) * y + np.cos(roll) * z
    x, z = np.cos(pitch) * x + np.sin(pitch) * z, np.cos(pitch) * z - np.sin(pitch) * x
    return np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y, z
