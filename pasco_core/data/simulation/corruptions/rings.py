"""Which beam each point of a scan came from, for files that do not say (KITTI's have no ring column)."""

from __future__ import annotations

import numpy as np

MAX_BEAMS = 256
_TURN = 2.0 * np.pi
_HALF = np.pi
_DITHER = np.radians(2.0)  # a beam's end and the next one's start may alternate within this of the seam
_ROUNDING = 1e-6  # radians: what float32 coordinates may lie before the seam
_BIN = np.radians(0.02)


def beam_of_points(points: np.ndarray) -> np.ndarray:
    """(N,) int64, number of the beam of each point, 0 the highest, without gaps.

    KITTI's files, and the simulator's, list the beams from the top down and each beam counter-clockwise from forward;
    there a beam ends where the azimuth falls by more than half a turn. Both senses of rotation, both orders of the
    beams, and scans that start at the rear are recognised. Where the order of the points says nothing (shuffled, or
    column by column), the elevations are grouped around their most frequent values: exact for beams of one elevation,
    approximate for real sensors on a tilted car.

    Args:
        points: (N, 3 or more) finite, x y z in the sensor's frame.
    """
    x, y, z = points[:, :3].astype(np.float64).T
    azimuth, elevation = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
    ordered = _by_wraps(azimuth, elevation)
    return _by_elevation(elevation) if ordered is None else ordered


def _by_wraps(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray | None:
    """Beams from the seams in the order of the points; None where there is no such order."""
    step = np.diff(azimuth)
    step = (step + _HALF) % _TURN - _HALF
    forward = np.count_nonzero(step > 0.0) / max(len(step), 1)
    backward = np.count_nonzero(step < 0.0) / max(len(step), 1)
    if max(forward, backward) < 0.9:
        return None
    turning = azimuth if forward > backward else -azimuth
    ring = _seams(min((turning, turning - _HALF), key=_cut_off))
    n_beams = int(ring[-1]) + 1
    if not 2 <= n_beams <= MAX_BEAMS:
        return None
    middle = np.bincount(ring, elevation, n_beams) / np.maximum(np.bincount(ring, minlength=n_beams), 1)
    ascending = np.count_nonzero(np.diff(middle) > 0) > (n_beams - 1) / 2
    return n_beams - 1 - ring if ascending else ring


def _cut_off(azimuth: np.ndarray) -> float:
    """Radians that the first and the last beam lack if a counter-clockwise scan starts at azimuth 0: half a turn each
    where it does not. (The elevation is no sign: it jumps at the rear too, where a moving sensor closes its sweep.)"""
    return float((azimuth[0] + _ROUNDING) % _TURN + _TURN - (azimuth[-1] + _ROUNDING) % _TURN)


def _seams(azimuth: np.ndarray) -> np.ndarray:
    """(N,) int64, number of turns completed before each point of a counter-clockwise scan that starts at azimuth 0."""
    phase = (azimuth + _ROUNDING) % _TURN
    before, after = phase[:-1], phase[1:]
    falls = after < before - _HALF
    back_over = (before < _DITHER) & (after > _TURN - _DITHER)
    turns = np.concatenate([[0], np.cumsum(falls.astype(np.int64) - back_over)])
    return np.unique(turns, return_inverse=True)[1].reshape(-1)


def _by_elevation(elevation: np.ndarray) -> np.ndarray:
    """Beams from the peaks of the histogram of elevations; a point belongs to the nearest peak."""
    low = elevation.min()
    bins = ((elevation - low) / _BIN).astype(np.int64)
    count = np.convolve(np.bincount(bins, minlength=bins.max() + 1), [0.25, 0.5, 0.25])[1:-1]
    around = np.concatenate([[0.0] * 3, count, [0.0] * 3])
    left = np.max([around[i : i + len(count)] for i in range(3)], axis=0)
    right = np.max([around[i + 4 : i + 4 + len(count)] for i in range(3)], axis=0)
    enough = count > 0.1 * len(elevation) / MAX_BEAMS
    peaks = np.flatnonzero((count > left) & (count >= right) & enough)
    if not len(peaks):
        return np.zeros(len(elevation), np.int64)
    borders = (peaks[1:] + peaks[:-1]) / 2.0
    ring = len(peaks) - 1 - np.searchsorted(borders, bins)
    return np.unique(ring, return_inverse=True)[1].reshape(-1)
