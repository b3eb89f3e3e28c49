"""Beams missing: some of the sensor's lasers or receivers are dead."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import Corrupted, kept
from pasco_core.data.simulation.corruptions.levels import BeamMissing
from pasco_core.data.simulation.corruptions.rings import beam_of_points


def corrupt_beam_missing(points: np.ndarray, missing: BeamMissing, rng: np.random.Generator) -> Corrupted:
    """Whole beams are gone, chosen at random; those of a lighter level are gone at a heavier one too (same seed)."""
    beam = beam_of_points(points)
    n_beams = int(beam.max()) + 1
    n_working = max(round(n_beams * missing.beams_of_64 / 64), 1)
    works = np.zeros(n_beams, bool)
    works[rng.permutation(n_beams)[:n_working]] = True
    return kept(points, works[beam])
