"""The one point-cloud type between the readers (files, messages) and the networks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pasco_core.errors import CloudError


@dataclass(frozen=True)
class PointCloud:
    """Finite LiDAR points in the sensor frame (REP-103).

    Args:
        points: (N, 4) float32, x y z in metres and intensity in the sensor's own scale (KITTI: 0 to 1).
        removed: how many points of the source were not finite and left out.
        notes: what the reader had to guess or change, one sentence each.
        times: (N,) float64, seconds after the cloud's stamp at which each point was measured; None where not known.
        rings: (N,) number of the beam of each point; None where the source does not say.
    """

    points: np.ndarray
    removed: int = 0
    notes: tuple[str, ...] = ()
    times: np.ndarray | None = None
    rings: np.ndarray | None = None

    def taking(self, chosen: np.ndarray) -> PointCloud:
        """The points of a mask (N,) or of indices, with everything that is known of them; ``removed`` stays."""
        times, rings = (None if column is None else column[chosen] for column in (self.times, self.rings))
        return replace(self, points=self.points[chosen], times=times, rings=rings)

    def __len__(self) -> int:
        return len(self.points)


def checked_points(points: np.ndarray) -> np.ndarray:
    """What the networks read, points (N, 4) of x y z in metres and intensity, as finite contiguous float32.

    Raises:
        CloudError: ``LAYOUT`` for another shape or kind of array, ``NOT_FINITE`` for NaN and infinities.
    """
    rule = "Expected the points to be numbers (N, 4), x y z intensity"
    try:
        array = np.asarray(points)
    except (TypeError, ValueError) as error:
        raise CloudError(f"{rule}, got a {type(points).__name__}: {error}", "LAYOUT") from error
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "fiu":
        raise CloudError(f"{rule}, got {array.dtype} {array.shape}", "LAYOUT")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is refused below
        array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        bad = ~np.isfinite(array).all(axis=1)
        first = int(bad.argmax())
        raise CloudError(
            f"Expected every point to be finite in float32, got {int(bad.sum())} of {len(array)} points that are not, "
            f"the first at row {first}: {array[first].tolist()}",
            "NOT_FINITE",
        )
    return array
