"""The ground of the simulator: level strips along a curved street, with kerbs between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SteppedGround:
    """Level strips on both sides of a curved centre line, joined by vertical kerbs.

    Args:
        edges: distances from the centre line in metres at which the strips end, ascending; the last strip has no end.
        heights: (len(edges) + 1) metres of each strip, from the centre outwards.
        categories: semantic class of each strip.
        bend: metres that the centre line swings to the left and back over one ``wavelength``.
        wavelength: metres along x of one swing.
    """

    edges: tuple[float, ...]
    heights: tuple[float, ...]
    categories: tuple[int, ...]
    bend: float = 0.0
    wavelength: float = 1.0

    def centre_line(self, x: np.ndarray | float) -> np.ndarray | float:
        """y of the centre line at x."""
        return self.bend * (0.5 - 0.5 * np.cos(2.0 * np.pi / self.wavelength * x))

    def heading(self, x: float) -> float:
        """Direction of the centre line at x, radians from +x."""
        wave = 2.0 * np.pi / self.wavelength
        return float(np.arctan(0.5 * self.bend * wave * np.sin(wave * x)))

    def strip_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Index of the strip at (x, y)."""
        return np.searchsorted(self.edges, np.abs(y - self.centre_line(x)), side="right")

    def height_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Height in metres at (x, y)."""
        return np.asarray(self.heights)[self.strip_at(x, y)]

    def first_hits(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances (n,) at which rays (3, n) from ``origin`` (3,) meet the ground, and whether they meet a kerb.

        A ray reaches the strips' levels from the highest to the lowest. At each it either lands on a strip of that
        level, or is already below a higher strip: then it has gone through the kerb in between. Rays that do not
        descend get an infinite distance. ``origin`` must be above all strips.
        """
        distance = np.full(direction.shape[1], np.inf)
        kerb = np.zeros(direction.shape[1], bool)
        left = np.flatnonzero(direction[2] < -1e-6)
        before = np.zeros(len(left))
        for level in sorted(set(self.heights), reverse=True):
            at = (level - origin[2]) / direction[2, left]
            ground = self.height_at(origin[0] + at * direction[0, left], origin[1] + at * direction[1, left])
            below = ground > level + 1e-9
            if below.any():
                distance[left[below]] = self._kerb(origin, direction[:, left[below]], before[below], at[below])
                kerb[left[below]] = True
            lands = np.abs(ground - level) <= 1e-9
            distance[left[lands]] = at[lands]
            left, before = left[~(below | lands)], at[~(below | lands)]
        return distance, kerb

    def _kerb(self, origin: np.ndarray, direction: np.ndarray, above: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Bisects between a distance above the ground and one below it."""
        for _ in range(20):
            middle = (above + below) / 2.0
            x, y, z = (o + middle * d for o, d in zip(origin, direction, strict=True))
            under = z < self.height_at(x, y)
            above, below = np.where(under, above, middle), np.where(under, middle, below)
        return below
