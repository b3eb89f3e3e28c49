"""The rays of one turn of a LiDAR: all at once, or each column from where the moving car is when it fires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.sensing.beam_tables import SpinningLidar

SLICES = 10  # of a turn, in each of which the traffic is where it is at the slice's middle


@dataclass(frozen=True)
class Shots:
    """Rays of a turn, beam by beam from the top, counter-clockwise from forward within a beam.

    Args:
        origins: (N, 3) or (3,) float64, metres in the world.
        directions: (N, 3) float32 unit vectors in the world.
        local: (N, 3) float32, the same directions in the frame of the sensor when it fired.
        times: (N,) float32, seconds after the scan's time.
    """

    origins: np.ndarray
    directions: np.ndarray
    local: np.ndarray
    times: np.ndarray


def still_shots(sensor: SpinningLidar, pose: np.ndarray) -> Shots:
    """All rays at the scan's time, from the sensor's pose (4, 4) in the world then."""
    local = sensor.directions().reshape(-1, 3)
    turned = (local.astype(np.float64) @ pose[:3, :3].T).astype(np.float32)
    return Shots(pose[:3, 3], turned, local, np.zeros(len(local), np.float32))


def column_times(sensor: SpinningLidar, period: float) -> np.ndarray:
    """(n_azimuths,) float64, seconds after the scan's time at which each column fires.

    The turn begins and ends backwards, and looks forward at the scan's time, as KITTI's does.
    """
    part = np.arange(sensor.n_azimuths) / sensor.n_azimuths
    return ((part + 0.5) % 1.0 - 0.5) * period


def sweep_shots(sensor: SpinningLidar, pose_at: Callable[[float], np.ndarray], time: float, period: float) -> Shots:
    """Rays that are fired one column after the other.

    Args:
        sensor: what turns.
        pose_at: the sensor's pose (4, 4) in the world at a time.
        time: of the scan, seconds.
        period: of a turn, seconds.
    """
    times = column_times(sensor, period)
    poses = poses_between(pose_at, time, times)
    local = sensor.directions()
    turned = np.einsum("aij,baj->bai", poses[:, :3, :3], local.astype(np.float64)).astype(np.float32)
    origins = np.broadcast_to(poses[:, :3, 3], local.shape)
    seconds = np.broadcast_to(times.astype(np.float32), local.shape[:2])
    return Shots(origins.reshape(-1, 3), turned.reshape(-1, 3), local.reshape(-1, 3), seconds.reshape(-1))


def poses_between(pose_at: Callable[[float], np.ndarray], time: float, offsets: np.ndarray) -> np.ndarray:
    """(N, 4, 4) poses at ``time + offsets``, which lie within a tenth of a second or so, from a few exact ones."""
    from scipy.spatial.transform import Rotation, Slerp

    knots = np.linspace(offsets.min(), offsets.max(), 9)
    exact = np.stack([pose_at(time + knot) for knot in knots])
    poses = np.tile(np.eye(4), (len(offsets), 1, 1))
    poses[:, :3, :3] = Slerp(knots, Rotation.from_matrix(exact[:, :3, :3]))(offsets).as_matrix()
    for axis in range(3):
        poses[:, axis, 3] = np.interp(offsets, knots, exact[:, axis, 3])
    return poses


def slices(shots: Shots) -> list[tuple[float, np.ndarray]]:
    """Middle time and indices of the shots of each slice; one slice where all fire at once."""
    first, last = float(shots.times.min()), float(shots.times.max())
    if first == last:
        return [(first, np.arange(len(shots.times)))]
    number = np.minimum(((shots.times - first) / (last - first) * SLICES).astype(np.int64), SLICES - 1)
    width = (last - first) / SLICES
    return [(first + (i + 0.5) * width, np.flatnonzero(number == i)) for i in range(SLICES)]


def to_frame(xyz: np.ndarray, times: np.ndarray, pose_at: Callable[[float], np.ndarray], time: float) -> np.ndarray:
    """Points (N, 3), each in the sensor's frame when it was measured, in the sensor's frame at ``time``; float32."""
    unique, row = np.unique(times.astype(np.float64), return_inverse=True)
    if len(unique) == 0:
        return xyz.astype(np.float32)
    relative = np.linalg.inv(pose_at(time)) @ poses_between(pose_at, time, unique)
    moved = np.einsum("nij,nj->ni", relative[row, :3, :3], xyz.astype(np.float64)) + relative[row, :3, 3]
    return moved.astype(np.float32)
