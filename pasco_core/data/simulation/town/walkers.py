"""People who walk around their block on its sidewalks, all the way and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town import fleet
from pasco_core.data.simulation.town.bikes_and_people import PHASES, STRIDE
from pasco_core.data.simulation.town.ground import Tile
from pasco_core.data.simulation.town.layout import Sheet
from pasco_core.data.simulation.town.randomness import Kind, generator
from pasco_core.data.simulation.town.shapes import placed
from pasco_core.data.simulation.town.surfaces import KERB

_FIRST_NUMBER = 3 << 29  # above those of standing things and of traffic
_PER_TILE = 64
_GAP = 3.0  # metres between two who walk one behind the other


@dataclass(frozen=True)
class Walkers:
    """Those who walk around one tile's block, all equally fast and in the same direction.

    Args:
        tile: where.
        out: metres from the block's edge to where they walk, on the sidewalk.
        speed: metres per second; negative = clockwise.
        start: (N,) metres along the way at time 0.
        height: (N,) centimetres.
    """

    tile: Tile
    out: float
    speed: float
    start: np.ndarray
    height: np.ndarray

    @classmethod
    def around(cls, tile: Tile) -> Walkers:
        """Those of ``tile``; none where a sidewalk is missing."""
        rng = generator(tile.plan.seed, Kind.PEOPLE, tile.i, tile.j)
        u0, v0, u1, v1 = tile.block
        length = 2.0 * (u1 - u0 + v1 - v0)
        mean = 2.0 + 10.0 * tile.plan.density(tile.i, tile.j)
        count = int(rng.poisson(mean)) if all(s.sidewalk for s in tile.sides) else 0
        slots = rng.permutation(int(length / _GAP))[: min(count, _PER_TILE)]
        speed = float(rng.uniform(1.0, 1.6) * rng.choice([-1.0, 1.0]))
        start = slots * _GAP + rng.uniform(0.0, 1.4, len(slots))
        return cls(tile, float(rng.uniform(0.97, 1.25)), speed, start, rng.integers(155, 192, len(slots)))

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Where they are on the sheet (N, 2) and their headings on it (N,)."""
        point, heading = around_block(self.tile.block, self.out, self.start + self.speed * time)
        return point, heading + (np.pi if self.speed < 0 else 0.0)

    def meshes(self, sheet: Sheet, time: float, centre: np.ndarray, radius: float) -> list[Mesh]:
        """Those within the circle, in the world."""
        uv, heading = self.at(time)
        xy = sheet.to_world(uv)
        phase = np.abs(self.speed) * time / STRIDE + self.start
        picture = np.floor(phase * PHASES).astype(np.int64) % PHASES
        first = _FIRST_NUMBER + ((self.tile.i & 1023) * 1024 + (self.tile.j & 1023)) * _PER_TILE
        meshes = []
        for k in np.flatnonzero(np.hypot(*(xy - centre).T) < radius + 1.0):
            xyz = np.array([*xy[k], sheet.hills(xy[k]) + KERB])
            body = fleet.walking(int(picture[k]), int(self.height[k]))
            meshes.append(placed(body, xyz, sheet.direction(uv[k], heading[k]), instance=first + int(k)))
        return meshes


def around_block(block: tuple[float, float, float, float], out: float, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) and headings (N,) after ``s`` metres counter-clockwise around a block, ``out`` metres beside it.

    The way starts at the lower left and goes around each corner in a quarter of a circle.
    """
    u0, v0, u1, v1 = block
    arc = out * np.pi / 2
    sides = np.array([u1 - u0, v1 - v0, u1 - u0, v1 - v0])
    ends = np.cumsum(sides + arc)
    s = np.mod(s, ends[-1])
    k = np.searchsorted(ends, s, side="right").clip(0, 3)
    rest = s - (ends[k] - sides[k] - arc)
    along, bend = np.minimum(rest, sides[k]), np.maximum(rest - sides[k], 0.0) / out
    corner = np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])[k]
    base = k * np.pi / 2
    heading = base + bend
    forward = np.stack([np.cos(base), np.sin(base)], axis=-1)
    outward = np.stack([np.sin(heading), -np.cos(heading)], axis=-1)
    return corner + along[:, None] * forward + out * outward, heading
