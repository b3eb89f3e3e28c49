"""The beam table and the spin of a rotating LiDAR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.errors import ConfigError


@dataclass(frozen=True)
class SpinningLidar:
    """A LiDAR whose beams, fixed in elevation, turn once around the vertical axis per scan.

    Args:
        elevations: degrees above the horizon of each beam, strictly descending.
        n_azimuths: firings per turn; the first looks forward (+x), then counter-clockwise.
        height: metres of the sensor above the road.
        max_range: metres beyond which nothing is returned.
        range_noise: standard deviation of the range in metres.
        dropout: share of the returns that are lost for no visible reason.
    """

    elevations: tuple[float, ...]
    n_azimuths: int
    height: float
    max_range: float
    range_noise: float
    dropout: float

    def __post_init__(self) -> None:
        if not self.elevations or (np.diff(self.elevations) >= 0).any() or max(map(abs, self.elevations)) >= 90:
            raise ConfigError(
                f"Expected elevations to be strictly descending within (-90, 90) degrees, got {self.elevations}"
            )
        if self.n_azimuths < 8:
            raise ConfigError(f"Expected n_azimuths to be at least 8, got {self.n_azimuths}")

    @property
    def azimuths(self) -> np.ndarray:
        """(n_azimuths,) float64, radians in [0, 2 pi), counter-clockwise from forward."""
        return np.arange(self.n_azimuths) * (2.0 * np.pi / self.n_azimuths)

    def directions(self) -> np.ndarray:
        """Unit vectors (3, beams, n_azimuths) float32 in the sensor frame (x forward, y left, z up)."""
        elevation, azimuth = np.radians(self.elevations)[:, None], self.azimuths[None]
        rise = np.broadcast_to(np.sin(elevation), (len(self.elevations), self.n_azimuths))
        across = np.cos(elevation)
        return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), rise]).astype(np.float32)


# Velodyne's HDL-64E S2 as mounted on the KITTI car: two blocks of 32 beams, about 1/3 and 1/2 degree apart; 10 turns a
# second at one firing per 0.1728 degrees (user's manual, 63-HDL64ES2); 1.73 m above the road (Geiger et al. 2013).
HDL_64E = SpinningLidar(
    elevations=tuple(np.concatenate([np.linspace(2.4, -7.9, 32), np.linspace(-8.4, -23.8, 32)]).round(3).tolist()),
    n_azimuths=2083,
    height=1.73,
    max_range=80.0,
    range_noise=0.015,
    dropout=0.012,
)
