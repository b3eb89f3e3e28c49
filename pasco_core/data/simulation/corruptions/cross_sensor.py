"""Cross-sensor: the same place, scanned by a sensor with fewer beams and a coarser azimuth."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import Corrupted, kept
from pasco_core.data.simulation.corruptions.levels import CrossSensor
from pasco_core.data.simulation.corruptions.rings import beam_of_points


def corrupt_cross_sensor(points: np.ndarray, sensor: CrossSensor, rng: np.random.Generator) -> Corrupted:
    """A subset of the points: evenly spaced beams, and on each the first return of every azimuth step.

    Where the beams and the steps start is random.
    """
    beam = beam_of_points(points)
    n_beams = int(beam.max()) + 1
    offset, phase = rng.integers(0, 4), rng.random()
    share = sensor.beams_of_64 / 64
    number = np.floor((np.arange(n_beams + 1) + offset) * share).astype(np.int64)
    chosen = np.diff(number) > 0
    azimuth = np.degrees(np.arctan2(points[:, 1].astype(np.float64), points[:, 0]))
    step = np.floor(azimuth / sensor.azimuth_step + phase).astype(np.int64)
    cell = (step - step.min()) * n_beams + beam
    first = np.zeros(len(points), bool)
    first[np.unique(cell, return_index=True)[1]] = True
    return kept(points, first & chosen[beam])
