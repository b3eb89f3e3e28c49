"""Spinning LiDARs: where their beams point, and how well they measure."""

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
        beam_gain: by how much the intensities of beams differ, standard deviation.
    """

    elevations: tuple[float, ...]
    n_azimuths: int
    height: float
    max_range: float
    range_noise: float
    dropout: float
    beam_gain: float = 0.0

    def __post_init__(self) -> None:
        if not self.elevations or (np.diff(self.elevations) >= 0).any() or max(map(abs, self.elevations)) >= 90:
            raise ConfigError(
                f"Expected elevations to be strictly descending within (-90, 90) degrees, got {self.elevations}"
            )
        if self.n_azimuths < 8:
            raise ConfigError(f"Expected n_azimuths to be at least 8, got {self.n_azimuths}")
        if not (self.max_range > 0 and min(self.height, self.range_noise, self.beam_gain) >= 0 <= self.dropout <= 1):
            raise ConfigError(
                "Expected max_range to be positive, height, range_noise and beam_gain not negative and dropout within "
                f"[0, 1], got {self.max_range}, {self.height}, {self.range_noise}, {self.beam_gain} and {self.dropout}"
            )

    @property
    def azimuths(self) -> np.ndarray:
        """(n_azimuths,) float64, radians in [0, 2 pi), counter-clockwise from forward."""
        return np.arange(self.n_azimuths) * (2.0 * np.pi / self.n_azimuths)

    def beam_characters(self) -> tuple[np.ndarray, np.ndarray]:
        """What makes beams differ, always the same for the same number of beams, each (beams,) float32: the error of
        the range that is the beam's own, in units of ``range_noise``, and what its intensities are off by."""
        rng = np.random.default_rng([len(self.elevations), 4000])
        bias, gain, weak = rng.standard_normal((3, len(self.elevations)), np.float32)
        return bias, np.float32(self.beam_gain) * (gain - 3.0 * (weak > 1.3))

    def directions(self) -> np.ndarray:
        """Unit vectors (beams, n_azimuths, 3) float32 in the sensor frame (x forward, y left, z up)."""
        elevation, azimuth = np.radians(self.elevations)[:, None], self.azimuths[None]
        rise = np.broadcast_to(np.sin(elevation), (len(self.elevations), self.n_azimuths))
        across = np.cos(elevation)
        return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), rise], axis=-1).astype(np.float32)


def _blocks(*blocks: tuple[float, float, int]) -> tuple[float, ...]:
    return tuple(np.concatenate([np.linspace(*block) for block in blocks]).round(3).tolist())


def _uneven(elevations: tuple[float, ...], by: float) -> tuple[float, ...]:
    """The beams as a factory adjusts them: each up to ``by`` degrees off, always the same way."""
    off = np.random.default_rng(len(elevations)).uniform(-by, by, len(elevations))
    return tuple((np.array(elevations) + off).round(3).tolist())


# Velodyne's HDL-64E S2 as mounted on the KITTI car: two blocks of 32 beams, about 1/3 and 1/2 degree apart; 10 turns a
# second at one firing per 0.1728 degrees (user's manual, 63-HDL64ES2); 1.73 m above the road (Geiger et al. 2013).
HDL_64E = SpinningLidar(
    elevations=_uneven(_blocks((2.5, -7.98, 32), (-8.4, -23.6, 32)), 0.09),
    n_azimuths=2083, height=1.73, max_range=80.0, range_noise=0.009, dropout=0.012, beam_gain=0.04,
)
# Ouster's OS1-64 with evenly spaced beams over 45 degrees, 1024 firings a turn (data sheet of OS1 rev. C).
OS1_64 = SpinningLidar(
    elevations=_blocks((22.5, -22.5, 64)),
    n_azimuths=1024, height=1.73, max_range=100.0, range_noise=0.02, dropout=0.01,
)
# Velodyne's VLP-32C: beams dense around the horizon (user's manual 63-9325, appendix), 0.2 degrees between firings.
VLP_32 = SpinningLidar(
    elevations=(
        15.0, 10.333, 7.0, 4.667, 3.333, 2.333, 1.667, 1.333, 1.0, 0.667, 0.333, 0.0, -0.333, -0.667, -1.0, -1.333,
        -1.667, -2.0, -2.333, -2.667, -3.0, -3.333, -3.667, -4.0, -4.667, -5.333, -6.148, -7.254, -8.843, -11.31,
        -15.639, -25.0,
    ),
    n_azimuths=1800, height=1.73, max_range=100.0, range_noise=0.02, dropout=0.01,
)
# Velodyne's VLP-16: two degrees between beams, 0.2 degrees between firings (user's manual 63-9243).
VLP_16 = SpinningLidar(
    elevations=_blocks((15.0, -15.0, 16)),
    n_azimuths=1800, height=1.73, max_range=100.0, range_noise=0.02, dropout=0.01,
)

SENSORS = {"hdl-64e": HDL_64E, "os1-64": OS1_64, "vlp-32": VLP_32, "vlp-16": VLP_16}
"""Name on the command line → sensor."""


def sensor_named(name: str) -> SpinningLidar:
    """The sensor of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in SENSORS:
        raise ConfigError(f"Expected the sensor to be one of {', '.join(SENSORS)}, got {name!r}")
    return SENSORS[name]
