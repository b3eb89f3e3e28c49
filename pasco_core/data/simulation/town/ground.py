"""The ground of one tile: strips of road, parking, sidewalk and land with kerbs between them, as one closed surface.

The lines along which a tile is cut come from its streets and from a fixed raster alone, so neighbouring tiles share
their border's vertices bit for bit, and no ray gets through between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.layout import CORNER, PAINT, Plan, Profile, Segment, Sheet
from pasco_core.data.simulation.town.surfaces import CATEGORY, GROUND_MATERIAL, LEVEL_INDEX, LEVELS, Surface

RASTER = 2.0  # metres between the lines inside a block
CLEAR = 9.0  # metres from the crossing street's kerb to where parking strips begin


@dataclass(frozen=True)
class Side:
    """One of the four streets around a tile, seen from the tile.

    Args:
        axis: 0 for the streets at lower and upper u, 1 for those at lower and upper v.
        upper: whether the tile lies on the street's upper side.
        line: coordinate of the street's centre line.
    """

    axis: int
    upper: bool
    line: float
    profile: Profile
    segment: Segment

    @property
    def parking(self) -> bool:
        return self.segment.parking[int(self.upper)]

    @property
    def sidewalk(self) -> bool:
        return self.segment.sidewalk[int(self.upper)]

    @property
    def sign(self) -> float:
        """Direction along the axis from the street into the tile."""
        return 1.0 if self.upper else -1.0


@dataclass(frozen=True)
class Patch:
    """A rectangle of ground inside a block, u0 <= u <= u1 and v0 <= v <= v1, on the raster."""

    u0: float
    v0: float
    u1: float
    v1: float
    surface: Surface


class Tile:
    """The land between the centre lines of four streets.

    Args:
        i, j: number of the streets at its lower u and lower v.
    """

    def __init__(self, plan: Plan, sheet: Sheet, i: int, j: int):
        self.plan, self.sheet, self.i, self.j = plan, sheet, i, j
        self.sides = (
            self._side(0, i, j, True),
            self._side(0, i + 1, j, False),
            self._side(1, j, i, True),
            self._side(1, j + 1, i, False),
        )
        low_u, high_u, low_v, high_v = (s.line + s.sign * s.profile.walk for s in self.sides)
        self.block = (low_u, low_v, high_u, high_v)
        self.patches: list[Patch] = []
        self.relief_height, self.relief_phase = 0.0, (0.0, 0.0)

    def _side(self, axis: int, k: int, m: int, upper: bool) -> Side:
        plan = self.plan
        return Side(axis, upper, plan.position(axis, k), plan.profile(axis, k), plan.segment(axis, k, m))

    def relief(self, uv: np.ndarray) -> np.ndarray:
        """(...) metres by which the block's land swells at (..., 2); none on the streets around it."""
        low_u, low_v, high_u, high_v = self.block
        u, v = uv[..., 0], uv[..., 1]
        inside = np.minimum(np.minimum(u - low_u, high_u - u), np.minimum(v - low_v, high_v - v))
        rise = np.clip(inside / 14.0, 0.0, 1.0)
        wave = np.sin(u / 7.3 + self.relief_phase[0]) + np.sin(v / 6.4 + 0.06 * u + self.relief_phase[1])
        return self.relief_height * rise * rise * (3.0 - 2.0 * rise) * (0.6 + 0.35 * wave)

    def road_height(self, uv: np.ndarray) -> np.ndarray:
        """(...) height of the land without kerbs at (..., 2) on the sheet."""
        return self.sheet.hills(self.sheet.to_world(uv)) + self.relief(uv)

    def height(self, uv: np.ndarray) -> np.ndarray:
        """(...) height of the ground at (..., 2) on the sheet."""
        return self.road_height(uv) + LEVELS[LEVEL_INDEX[self.surface(uv)]]

    def surface(self, uv: np.ndarray) -> np.ndarray:
        """(...) ``Surface`` at (..., 2) on the sheet."""
        u, v = uv[..., 0], uv[..., 1]
        west, east, south, north = self.sides
        near_u, a = _nearer(u - west.line, east.line - u)
        near_v, b = _nearer(v - south.line, north.line - v)
        kind = self._inside(u, v)
        for m, across in enumerate((south, north)):
            for n, along in enumerate((west, east)):
                here = (near_u == n) & (near_v == m)
                if here.any():
                    kind[here] = _beside_streets(along, across, a[here], b[here], u[here], v[here], kind[here])
        return kind

    def _inside(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        kind = np.full(u.shape, int(Surface.GRASS), np.int8)
        for p in self.patches:
            kind[(u >= p.u0) & (u <= p.u1) & (v >= p.v0) & (v <= p.v1)] = int(p.surface)
        return kind

    def lines(self, axis: int) -> np.ndarray:
        """Coordinates at which the tile is cut, ascending."""
        low, high = self.sides[2 * axis : 2 * axis + 2]
        special = np.array(
            [low.line + o for o in low.profile.offsets()] + [high.line - o for o in high.profile.offsets()]
        )
        start, stop = low.line + low.profile.walk, high.line - high.profile.walk
        raster = np.arange(np.ceil(start / RASTER), np.floor(stop / RASTER) + 1) * RASTER
        return np.unique(np.round(np.concatenate([special, raster]), 4))

    def mesh(self) -> Mesh:
        """The ground in the world."""
        u, v = self.lines(0), self.lines(1)
        grid = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1)
        xy, z = self.sheet.to_world(grid), self.road_height(grid)
        falling = self._corners_fall(u, v)
        faces, surface = _faces(self._triangle_surfaces(grid, falling), falling, len(u), len(v))
        levels = LEVELS[:, None, None]
        vertices = np.concatenate([np.broadcast_to(xy, (len(LEVELS), *xy.shape)), (z + levels)[..., None]], axis=-1)
        count = len(faces)
        return Mesh(
            vertices.reshape(-1, 3).astype(np.float32),
            faces.astype(np.int32),
            CATEGORY[surface],
            np.zeros(count, np.int32),
            GROUND_MATERIAL[surface],
        )

    def _corners_fall(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(nu - 1, nv - 1) whether a cell is split from its upper left to its lower right: so the kerbs' arcs run."""
        left = (u[:-1] + u[1:]) / 2 < (u[0] + u[-1]) / 2
        low = (v[:-1] + v[1:]) / 2 < (v[0] + v[-1]) / 2
        return left[:, None] == low[None, :]

    def _triangle_surfaces(self, grid: np.ndarray, falling: np.ndarray) -> np.ndarray:
        """(2, nu - 1, nv - 1) surface of each cell's lower and upper triangle, taken at its centroid."""
        p00, p10, p01, p11 = grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]
        f = falling[..., None]
        lower = p00 + p10 + np.where(f, p01, p11)
        upper = p11 + p01 + np.where(f, p10, p00)
        return self.surface(np.stack([lower, upper]) / 3.0)


def _nearer(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (high < low).astype(np.int8), np.minimum(low, high)


def _beside_streets(
    along: Side, across: Side, a: np.ndarray, b: np.ndarray, u: np.ndarray, v: np.ndarray, kind: np.ndarray
) -> np.ndarray:
    """Surfaces in the quarter of a tile next to two streets, ``a`` metres from one and ``b`` from the other."""
    p, q = along.profile, across.profile
    arm_a, arm_b = CORNER - (a - p.kerb), CORNER - (b - q.kerb)
    corner = (arm_a > 0) & (arm_b > 0) & (arm_a**2 + arm_b**2 > CORNER**2) & (a > p.kerb) & (b > q.kerb)
    kind = np.where((a < p.walk) & along.sidewalk | (b < q.walk) & across.sidewalk, int(Surface.WALK), kind)
    kind = _strip(kind, along, across, a, b - q.kerb, v)
    kind = _strip(kind, across, along, b, a - p.kerb, u)
    crossing = (a < p.kerb) & (b < q.kerb)
    return np.where(corner | crossing, int(Surface.ROAD), kind)


def _strip(kind: np.ndarray, side: Side, across: Side, a: np.ndarray, beyond: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Carriageway and parking strip of one street; ``beyond`` = metres from the crossing street's kerb."""
    p = side.profile
    if side.parking:
        strip = Surface.PARKING
    else:
        paved = Surface.YARD if p.lanes == 2 else Surface.WALK
        strip = paved if side.segment.wide else Surface.GRASS
    verge = (a >= p.road) & (a < p.kerb)
    begins = beyond > CLEAR
    if strip is not Surface.PARKING:  # narrows the road in a slant
        begins = (beyond - CORNER) / 3.5 + (a - p.road) / max(p.kerb - p.road, 1e-6) > 1.0
    kind = np.where(verge, np.where(begins, int(strip), int(Surface.ROAD)), kind)
    kind = np.where(a < p.road, int(Surface.ROAD), kind)
    return np.where(_painted(side, across, a, beyond, at), int(Surface.MARKING), kind)


def _painted(side: Side, across: Side, a: np.ndarray, beyond: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Whether there is a line on the carriageway: centre line, lane line, edge line or stop line."""
    p, kind = side.profile, side.segment.kind
    open_road = beyond > CORNER + 1.5
    dashed = np.floor(at / RASTER) % 3 == 0
    centre = (a < PAINT / 2) & (dashed | (p.lanes == 2)) & (kind != "residential")
    lane = (p.lanes == 2) & (np.abs(a - p.lane) < PAINT / 2) & dashed
    edge = (np.abs(a - (p.road - 0.3 + PAINT / 2)) < PAINT / 2) & (kind in ("rural", "highway"))
    # Traffic keeps right, so it comes towards the crossing on this half of the street or on the other.
    arrives = (side.upper == across.upper) == (side.axis == 1)
    stop = (beyond > CORNER + 1.0) & (beyond < CORNER + 1.45) & arrives & (kind not in ("highway", "rural"))
    return ((centre | lane | edge) & open_road | stop) & (a < p.road)


def _faces(kinds: np.ndarray, falling: np.ndarray, nu: int, nv: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (T, 3) as indices into (levels, nu, nv) vertices and their surfaces (T,), kerbs included."""
    index = np.arange(nu * nv).reshape(nu, nv)
    i00, i10, i01, i11 = index[:-1, :-1], index[1:, :-1], index[:-1, 1:], index[1:, 1:]
    lower = np.stack([i00, i10, np.where(falling, i01, i11)], axis=-1)
    upper = np.stack([i11, i01, np.where(falling, i10, i00)], axis=-1)
    flat = np.concatenate([lower.reshape(-1, 3), upper.reshape(-1, 3)])
    surface = kinds.reshape(-1)
    level = LEVEL_INDEX * (nu * nv)
    faces, surfaces = [flat + level[surface][:, None]], [surface]
    left, right = np.where(falling, kinds[0], kinds[1]), np.where(falling, kinds[1], kinds[0])
    for a, b, start, stop in (
        (right[:-1], left[1:], index[1:-1, :-1], index[1:-1, 1:]),
        (kinds[1][:, :-1], kinds[0][:, 1:], index[:-1, 1:-1], index[1:, 1:-1]),
        (kinds[0], kinds[1], np.where(falling, i10, i00), np.where(falling, i01, i11)),
    ):
        step = LEVEL_INDEX[a] != LEVEL_INDEX[b]
        a, b, start, stop = a[step], b[step], start[step], stop[step]
        low, high = level[a], level[b]
        faces.append(np.stack([start + low, stop + low, stop + high], axis=-1))
        faces.append(np.stack([start + low, stop + high, start + high], axis=-1))
        surfaces += [np.where(high > low, b, a)] * 2
    return np.concatenate(faces), np.concatenate(surfaces)
