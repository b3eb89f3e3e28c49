"""Test-time augmentation: rigid-and-scale changes of where the points are, and the mean over several of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_SCALE_RANGE = 0.1


@dataclass(frozen=True)
class Augmentation:
    """One rotation about z, then at most one mirror, then one common scale.

    Args:
        angle: rotation about z in radians.
        mirror: axis whose sign changes (0: x, 1: y), or None.
        scale: factor on all three coordinates.
    """

    angle: float = 0.0
    mirror: int | None = None
    scale: float = 1.0

    def apply(self, xyz: np.ndarray) -> np.ndarray:
        """Coordinates (N, 3) in metres after the change, float32."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        matrix = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]]) * self.scale
        if self.mirror is not None:
            matrix[:, self.mirror] *= -1
        return (xyz.astype(np.float64) @ matrix).astype(np.float32)


def draw_augmentation(generator: np.random.Generator) -> Augmentation:
    """A rotation uniform over the circle; no mirror, x or y with equal chance; a scale uniform within 10 %."""
    angle = generator.uniform(-math.pi, math.pi)
    mirror = (None, 0, 1)[int(generator.integers(3))]
    return Augmentation(float(angle), mirror, float(generator.uniform(1 - _SCALE_RANGE, 1 + _SCALE_RANGE)))
