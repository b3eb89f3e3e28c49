"""The road plane under a scan, without labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_REACH = 40.0  # metres within which the plane is fitted
_LOWEST_SENSOR = 0.5  # metres: what is less below the sensor is not the ground
_BIN = 0.1


@dataclass(frozen=True)
class GroundPlane:
    """The plane z = a x + b y + c in the LiDAR frame.

    Args:
        a, b: slopes.
        c: metres, height under the sensor, negative.
    """

    a: float
    b: float
    c: float

    def height_over(self, points: np.ndarray) -> np.ndarray:
        """(N,) float64 metres of points (N, 3 or more) above the plane."""
        xyz = points[:, :3].astype(np.float64)
        return xyz[:, 2] - self.a * xyz[:, 0] - self.b * xyz[:, 1] - self.c

    def is_near(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool: within 0.2 m of the plane and 1 % of the distance, because streets are not flat."""
        distance = np.hypot(points[:, 0].astype(np.float64), points[:, 1])
        return np.abs(self.height_over(points)) < 0.2 + 0.01 * distance

    def cosine(self, points: np.ndarray) -> np.ndarray:
        """(N,) float64, cosine of the angle between the rays to the points and the plane's normal."""
        xyz = points[:, :3].astype(np.float64)
        along = np.abs(xyz[:, 2] - self.a * xyz[:, 0] - self.b * xyz[:, 1])
        length = np.sqrt((xyz * xyz).sum(axis=1)) * np.sqrt(1.0 + self.a**2 + self.b**2)
        return np.clip(along / np.maximum(length, 1e-9), 0.0, 1.0)


def fit_ground(points: np.ndarray) -> GroundPlane | None:
    """The plane most points near the sensor lie on, from below it; None where there is nothing like it.

    The commonest height within 20 m starts it; least squares over what is near the plane so far, ever nearer, ends it.
    """
    xyz = points[:, :3].astype(np.float64)
    distance = np.hypot(xyz[:, 0], xyz[:, 1])
    below = xyz[(distance < 20.0) & (xyz[:, 2] < -_LOWEST_SENSOR), 2]
    if len(below) < 100:
        return None
    bins = np.floor(-below / _BIN).astype(np.int64)
    plane = GroundPlane(0.0, 0.0, -(float(np.bincount(bins).argmax()) + 0.5) * _BIN)
    for tolerance in (0.5, 0.3, 0.2, 0.2):
        near = (np.abs(plane.height_over(points)) < tolerance) & (distance < _REACH)
        if np.count_nonzero(near) < 100:
            return None
        table = np.stack([xyz[near, 0], xyz[near, 1], np.ones(np.count_nonzero(near))], axis=1)
        a, b, c = np.linalg.lstsq(table.T @ table, table.T @ xyz[near, 2], rcond=None)[0]
        plane = GroundPlane(float(a), float(b), float(c))
    return plane
