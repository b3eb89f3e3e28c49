"""The street plan: an endless grid of streets of several kinds, gently bent and laid over hills.

Everything is planned on a flat sheet with coordinates (u, v) in metres on which streets are straight. ``Sheet`` bends
it into the world: shears of some metres over some hundred make streets wind and crossings oblique, and change
lengths and angles so little that what is apart on the sheet is apart in the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pasco_core.data.simulation.town.randomness import Kind, generator

PITCH = 96.0  # metres between streets, on average
_JITTER = 17.0
CORNER = 4.5  # radius of the kerb at a crossing's corner
_ARC = tuple(CORNER * (1.0 - np.cos(np.radians(a))) for a in (22.5, 45.0, 67.5, 90.0))
PAINT = 0.12  # width of a painted line


@dataclass(frozen=True)
class Profile:
    """Cross-section of a street, as distances in metres from its centre line, the same on both sides.

    Args:
        kind: ``narrow`` (one lane each way, room for parking), ``main`` (two lanes each way) or ``highway``.
        lanes: lanes in each direction.
        road: outer edge of the lanes.
        kerb: outer edge of the parking strip, where the kerb stands.
        walk: outer edge of the sidewalk.
    """

    kind: str
    lanes: int
    road: float
    kerb: float
    walk: float

    @property
    def lane(self) -> float:
        """Width of a lane."""
        return self.road / self.lanes

    @property
    def stop(self) -> float:
        """Distance from the crossing street's centre line to the stop line, for this street being crossed."""
        return self.kerb + CORNER + 1.0

    def offsets(self) -> tuple[float, ...]:
        """Where the ground changes across the street, ascending from the centre line."""
        at = {0.0, PAINT / 2, self.road - 0.3, self.road - 0.3 + PAINT, self.road, self.kerb, self.walk}
        at |= {self.kerb + a for a in _ARC} | {self.stop, self.stop + 0.45}
        if self.lanes == 2:
            at |= {self.lane - PAINT / 2, self.lane + PAINT / 2}
        return tuple(sorted(at))


@dataclass(frozen=True)
class Segment:
    """A street between two crossings.

    Args:
        kind: ``residential``, ``urban``, ``rural`` or ``highway``.
        parking: whether there is a parking strip on the lower and the upper side (in the sheet's coordinate).
        sidewalk: whether there is a sidewalk on the lower and the upper side; grass otherwise.
        wide: whether the sidewalk takes the room of a parking strip that is not there; grass otherwise.
    """

    kind: str
    parking: tuple[bool, bool]
    sidewalk: tuple[bool, bool]
    wide: bool = False


class Plan:
    """Where the streets are and what they are like, on the sheet.

    Streets of axis 0 run along v at u = ``position(0, k)``; streets of axis 1 run along u at v = ``position(1, k)``.
    The segment m of a street lies between its crossings with the streets m and m + 1 of the other axis.
    """

    def __init__(self, seed: int):
        self.seed = seed
        rng = generator(seed, Kind.PLAN)
        self._phase = rng.uniform(0.0, 2.0 * np.pi, (2, 3))
        self._urbanity = float(rng.uniform(0.35, 0.8))
        self._main = rng.integers(0, 7, 2)
        self._highway = int(rng.integers(3, 9)) if rng.random() < 0.8 else 10**9
        self.position = lru_cache(4096)(self._position)
        self.profile = lru_cache(4096)(self._profile)
        self.segment = lru_cache(4096)(self._segment)

    def _position(self, axis: int, k: int) -> float:
        return float(np.round(PITCH * k + generator(self.seed, Kind.STREET, axis, k).uniform(-_JITTER, _JITTER), 2))

    def _profile(self, axis: int, k: int) -> Profile:
        rng = generator(self.seed, Kind.PROFILE, axis, k)
        if axis == 0 and (k + 4) % 11 == self._highway:
            return Profile("highway", 2, 8.2, 8.2, 11.5)
        if k % 7 == self._main[axis]:
            road = float(rng.uniform(6.3, 6.6))
            return Profile("main", 2, road, road + float(rng.uniform(2.1, 2.4)), road + float(rng.uniform(5.6, 7.0)))
        road = float(rng.uniform(3.25, 3.5))
        kerb = road + float(rng.uniform(2.05, 2.25))
        return Profile("narrow", 1, road, kerb, kerb + float(rng.uniform(2.6, 4.4)))

    def density(self, i: int, j: int) -> float:
        """How urban the tile (i, j) is, 0 (countryside) to 1 (town centre); changes slowly from tile to tile."""
        wave = np.sin(0.55 * i + self._phase[0, 0]) + np.sin(0.48 * j + self._phase[0, 1])
        wave += 0.7 * np.sin(0.33 * (i + j) + self._phase[0, 2])
        return float(np.clip(self._urbanity + 0.25 * wave, 0.0, 1.0))

    def _segment(self, axis: int, k: int, m: int) -> Segment:
        rng = generator(self.seed, Kind.SEGMENT, axis, k, m)
        beside = ((k - 1, m), (k, m)) if axis == 0 else ((m, k - 1), (m, k))
        density = max(self.density(*tile) for tile in beside)
        draws = rng.random(4)
        if self.profile(axis, k).kind == "highway":
            return Segment("highway", (False, False), (False, False))
        if density < 0.25:
            return Segment("rural", (False, False), (bool(draws[0] < 0.65), bool(draws[1] < 0.45)))
        kind = "urban" if density > 0.6 else "residential"
        parking = (bool(draws[2] < 0.42), bool(draws[3] < 0.42))
        return Segment(kind, parking, (True, True), bool(draws[0] < 0.55 or kind == "urban"))

    def tile_at(self, u: float, v: float) -> tuple[int, int]:
        """The tile between four streets that holds (u, v)."""
        return self._interval(0, u), self._interval(1, v)

    def _interval(self, axis: int, at: float) -> int:
        k = int(np.floor(at / PITCH))
        return next(n for n in (k + 1, k, k - 1) if self.position(axis, n) <= at)


class Sheet:
    """Bends the flat plan into the world and lays it over hills."""

    def __init__(self, seed: int):
        rng = generator(seed, Kind.SHEET)
        slant = rng.uniform(0.35, 1.0)
        length = rng.uniform((160.0, 320.0), (260.0, 520.0), (2, 2))
        self._bend_wave = 2.0 * np.pi / length
        self._bend = slant * rng.uniform(0.025, 0.055, (2, 2)) / self._bend_wave
        self._bend_phase = rng.uniform(0.0, 2.0 * np.pi, (2, 2))
        hilly = rng.uniform(0.25, 1.0)
        length = rng.uniform((120.0, 220.0, 400.0), (180.0, 380.0, 700.0))
        turn = rng.uniform(0.0, 2.0 * np.pi, 3)
        self._hill_wave = (2.0 * np.pi / length)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        self._hill = hilly * rng.uniform((0.005, 0.01, 0.012), (0.012, 0.025, 0.03)) * length / (2.0 * np.pi)
        self._hill_phase = rng.uniform(0.0, 2.0 * np.pi, 3)

    def _shift(self, axis: int, t: np.ndarray) -> np.ndarray:
        return (self._bend[axis] * np.sin(np.multiply.outer(t, self._bend_wave[axis]) + self._bend_phase[axis])).sum(-1)

    def to_world(self, uv: np.ndarray) -> np.ndarray:
        """(..., 2) metres on the sheet to (..., 2) metres in the world."""
        return np.stack([uv[..., 0] + self._shift(0, uv[..., 1]), uv[..., 1] + self._shift(1, uv[..., 0])], axis=-1)

    def to_sheet(self, xy: np.ndarray) -> np.ndarray:
        """Inverse of ``to_world``, by fixed-point iteration (each step shrinks the error to an eighth or less)."""
        uv = np.array(xy, np.float64)
        for _ in range(14):
            uv = xy - (self.to_world(uv) - uv)
        return uv

    def direction(self, uv: np.ndarray, heading: np.ndarray) -> np.ndarray:
        """Heading in the world, radians from +x, of a heading on the sheet at (..., 2) ``uv``."""
        step = 0.01 * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        change = self.to_world(uv + step) - self.to_world(uv - step)
        return np.arctan2(change[..., 1], change[..., 0])

    def hills(self, xy: np.ndarray) -> np.ndarray:
        """(...) height in metres of the land at (..., 2) in the world."""
        return (self._hill * np.sin(xy @ self._hill_wave.T + self._hill_phase)).sum(-1)
