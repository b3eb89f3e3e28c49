"""What every corruption takes and gives: a checked KITTI cloud in, its points with where they came from out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.point_cloud import checked_points
from pasco_core.errors import CloudError

ADDED = -1
"""``source`` of a return that no point of the clean scan stands for: a drop of fog, a snowflake, a wrong range."""

MAX_INTENSITY = 0.99
"""KITTI's largest intensity."""


@dataclass(frozen=True)
class Corrupted:
    """A scan after a corruption; the returns stay in the order of the rays they lie on.

    Args:
        points: (M, 4) float32, x y z in metres in the LiDAR frame and intensity, 0 to 0.99 where it was changed.
        source: (M,) int64, index of the clean point each one is, -1 for returns that were added.
        ray: (M,) int64, index of the clean point on whose ray each one lies, whether it is that point or was added.
    """

    points: np.ndarray
    source: np.ndarray
    ray: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


def checked(points: np.ndarray) -> np.ndarray:
    """``points`` as (N, 4) float32.

    Raises:
        CloudError: as ``checked_points``; ``EMPTY`` without a point, ``INTENSITY`` for intensities outside 0 to 1.
    """
    points = checked_points(points)
    if not len(points):
        raise CloudError("Expected the cloud to have at least one point, got none", "EMPTY")
    low, high = points[:, 3].min(), points[:, 3].max()
    if low < 0.0 or high > 1.0:
        raise CloudError(f"Expected the intensities to be 0 to 1, got {low:g} to {high:g}", "INTENSITY")
    return points


def ranges_of(points: np.ndarray) -> np.ndarray:
    """(N,) float64 metres from the sensor, at least 0.1 so that a point at the sensor divides nothing by zero."""
    xyz = points[:, :3].astype(np.float64)
    return np.maximum(np.sqrt((xyz * xyz).sum(axis=1)), 0.1)


def kept(points: np.ndarray, keep: np.ndarray) -> Corrupted:
    """The points of the mask ``keep`` (N,) as they are."""
    index = np.flatnonzero(keep)
    return Corrupted(points[index], index, index)


def dimmed(points: np.ndarray, share: np.ndarray, keep: np.ndarray) -> Corrupted:
    """The points of the mask ``keep`` (N,), each with ``share`` (N,) of its intensity."""
    points = points.copy()
    points[:, 3] = as_intensity(points[:, 3] * share)
    return kept(points, keep)


def with_new_ranges(
    result: Corrupted, clean: np.ndarray, ray: np.ndarray, at: np.ndarray, intensity: np.ndarray
) -> Corrupted:
    """``result`` and, in the order of the rays, further returns at ``at`` (K,) metres on the rays ``ray`` (K,)."""
    scale = at / ranges_of(clean[ray])
    new = np.empty((len(ray), 4), np.float32)
    new[:, :3] = clean[ray, :3] * scale[:, None]
    new[:, 3] = as_intensity(intensity)
    rays = np.concatenate([result.ray, ray])
    order = np.argsort(rays, kind="stable")
    source = np.concatenate([result.source, np.full(len(ray), ADDED, np.int64)])
    return Corrupted(np.concatenate([result.points, new])[order], source[order], rays[order])


def as_intensity(value: np.ndarray) -> np.ndarray:
    """``value`` in the steps of 0.01 from 0 to 0.99 in which KITTI's sensor reports intensities, float32."""
    return np.clip(value, 0.0, MAX_INTENSITY).round(2).astype(np.float32)
