"""Points of a sweep, each measured from where the moving sensor was then, brought to one instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pasco_core.data.point_cloud import PointCloud
from pasco_core.geometry.trajectory import rigid_inverse

KNOTS = 65
"""Poses that are asked for over a sweep; between them points move evenly, which is exact to well below a millimetre."""

PosesAt = Callable[[np.ndarray], "np.ndarray | None"]
"""Times (N,) int64 in nanoseconds -> sensor poses (N, 4, 4) in a fixed frame, or None where they are not known."""


def deskewed(cloud: PointCloud, stamp: int, poses_at: PosesAt, instant: int | None = None) -> PointCloud | None:
    """The cloud as a standing sensor would have measured it, in the sensor's frame at one instant.

    Args:
        cloud: points with ``times``, each in the sensor's frame when it was measured; without times all count as
            measured at the stamp.
        stamp: of the cloud, nanoseconds.
        poses_at: where the sensor was.
        instant: nanoseconds; by default the stamp.

    Returns:
        The same points moved, or None where the poses are not known over the whole sweep.
    """
    instant = stamp if instant is None else instant
    times = np.zeros(len(cloud)) if cloud.times is None else cloud.times
    first, last = float(times.min()), float(times.max())
    knots = np.linspace(first, last, KNOTS if last > first else 1)
    asked = np.append(stamp + np.rint(knots * 1e9).astype(np.int64), instant)
    poses = poses_at(asked)
    if poses is None:
        return None
    moves = (rigid_inverse(poses[-1]) @ poses[:-1])[:, :3]
    points = cloud.points.copy()
    points[:, :3] = _moved(cloud.points[:, :3], moves, (times - first) / max((last - first) / (KNOTS - 1), 1e-12))
    return replace(cloud, points=points)


def _moved(xyz: np.ndarray, moves: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points (N, 3), each moved by the transform between ``moves`` (K, 3, 4) at the fractional row ``at`` (N,)."""
    row = np.minimum(at.astype(np.int64), max(len(moves) - 2, 0))
    share = (at - row).astype(np.float32)
    table = moves.astype(np.float32).reshape(len(moves), 12)
    slope = np.diff(table, axis=0) if len(moves) > 1 else np.zeros_like(table)
    x, y, z = np.ascontiguousarray(xyz.T)
    moved = np.empty_like(xyz)
    for axis in range(3):
        # Column by column: many times as fast as one small matrix product per point.
        a, b, c, d = (table[:, i][row] + slope[:, i][row] * share for i in range(4 * axis, 4 * axis + 4))
        moved[:, axis] = a * x + b * y + c * z + d
    return moved
