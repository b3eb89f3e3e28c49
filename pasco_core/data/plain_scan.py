"""A scan that needs no simulator: level ground between two walls, for warming a network up."""

from __future__ import annotations

import numpy as np

_HEIGHT = 1.73  # metres of KITTI's sensor above the road
_WALLS = 8.0  # metres to the left and to the right
_TOP = 3.0  # metres of the walls above the sensor
_REACH = 60.0


def plain_scan() -> np.ndarray:
    """(N, 4) float32, x y z in metres in KITTI's LiDAR frame and intensity 0.3: always the same some 100 k points."""
    elevation = np.radians(np.linspace(2.0, -24.8, 64))[:, None]
    azimuth = np.linspace(0.0, 2.0 * np.pi, 2000, endpoint=False)[None]
    x, y = np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth)
    z = np.broadcast_to(np.sin(elevation), x.shape)
    with np.errstate(divide="ignore"):
        distance = np.minimum(np.where(z < 0, -_HEIGHT / z, np.inf), _WALLS / np.abs(y))
    met = (distance < _REACH) & (z * distance < _TOP)
    xyz = np.stack([x, y, z])[:, met] * distance[met]
    return np.concatenate([xyz.T, np.full((xyz.shape[1], 1), 0.3)], axis=1).astype(np.float32)
