"""A simulated scan with the beam of each of its points, and a real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pasco_core.data.simulation.sensing.beam_tables import HDL_64E


@pytest.fixture(scope="session")
def street() -> np.ndarray:
    """(N, 4) float32: a road, two walls and dark cars, seen beam by beam by HDL-64E; exact elevations."""
    rng = np.random.default_rng(5)
    x, y, z = np.moveaxis(HDL_64E.directions()[:, ::2].astype(np.float64), -1, 0)
    with np.errstate(divide="ignore"):
        road, walls = np.where(z < 0, 1.73 / -z, 1e3), 9.0 / np.maximum(np.abs(y), 1e-3)
    distance = np.minimum(road, walls)
    reflectivity = np.where(distance * np.abs(y) < 8.9, 0.27, 0.4)
    height = 1.73 + distance * z
    car = (np.abs(np.arctan2(y, x)) < 0.1) & (12.0 * z > -1.5) & (12.0 * z < -0.2)
    distance, reflectivity = np.where(car, 12.0, distance), np.where(car, 0.05, reflectivity)
    seen = (distance < 80.0) & (height < 9.0) & (rng.random(distance.shape) > 0.02)
    intensity = np.clip(reflectivity * rng.normal(1.0, 0.2, distance.shape), 0.0, 0.99).round(2)
    return np.stack([x * distance, y * distance, z * distance, intensity], axis=-1)[seen].astype(np.float32)


@pytest.fixture(scope="session")
def real_scan(kitti_velodyne: Path) -> np.ndarray:
    """(N, 4) float32, the first scan of sequence 00."""
    return np.fromfile(kitti_velodyne / "000000.bin", "<f4").reshape(-1, 4)
