"""First hits of rays from one point with solids and the ground, exactly, in NumPy.

Only the block of beams and azimuths that can meet a solid is tested against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.ground import SteppedGround
from pasco_core.data.simulation.solids import Solid, unit_gradient, unit_interval

_NOTHING = -1
_GROUND = -2


@dataclass(frozen=True)
class Hits:
    """First hits of a block of rays.

    Args:
        distance: (beams, azimuths) float64 metres, infinite where nothing is met.
        solid: (beams, azimuths) int32, index of the solid, -1 for nothing, -2 for the ground.
        cosine: (beams, azimuths) float64, cosine of the angle between the ray and the surface's normal.
        window: (beams, azimuths) bool, whether the hit lies on a window.
        kerb: (beams, azimuths) bool, whether the hit lies on a kerb of the ground.
    """

    distance: np.ndarray
    solid: np.ndarray
    cosine: np.ndarray
    window: np.ndarray
    kerb: np.ndarray

    @property
    def on_ground(self) -> np.ndarray:
        return self.solid == _GROUND


def cast(
    solids: list[Solid],
    ground: SteppedGround,
    origin: np.ndarray,
    directions: np.ndarray,
    max_range: float,
    rng: np.random.Generator,
) -> Hits:
    """First hits of a spin of rays.

    Args:
        solids: what may be hit.
        ground: what everything stands on.
        origin: (3,) metres.
        directions: (3, beams, azimuths) unit vectors: the elevation descends along the first axis and is the same
            along the second, over which the azimuth grows evenly by one whole turn.
        max_range: metres.
        rng: decides how far rays get into foliage.
    """
    size = directions.shape[1:]
    flat = directions.reshape(3, -1).astype(np.float64)
    distance, kerb = ground.first_hits(origin, flat)
    cosine = np.where(kerb, np.hypot(flat[0], flat[1]), np.abs(flat[2]))
    solid = np.where(np.isfinite(distance), _GROUND, _NOTHING).astype(np.int32)
    hits = Hits(*(a.reshape(size) for a in (distance, solid, cosine, np.zeros(size, bool), kerb)))
    for index, candidate in enumerate(solids):
        for block in _blocks(candidate, origin, directions, max_range):
            _cast_block(index, candidate, origin, directions, block, hits, rng)
    return hits


def _cast_block(
    index: int,
    solid: Solid,
    origin: np.ndarray,
    directions: np.ndarray,
    block: tuple[slice, slice],
    hits: Hits,
    rng: np.random.Generator,
) -> None:
    """Tests one block of rays and writes the hits that are nearer than those before."""
    start = solid.to_local(origin - np.asarray(solid.centre))
    direction = solid.to_local(directions[:, block[0], block[1]].astype(np.float64))
    enter, leave = unit_interval(solid, start, direction)
    at = enter
    if solid.mean_free_path:
        at = np.maximum(enter, 0.0) + rng.exponential(solid.mean_free_path, enter.shape)
    nearer = (enter < leave) & (at > 0.0) & (at < leave) & (at < hits.distance[block])
    if not nearer.any():
        return
    at, direction = at[nearer], direction[:, nearer]
    local = start[:, None] + at * direction
    normal = solid.to_world_normal(unit_gradient(solid, local))
    ray = directions[:, block[0], block[1]][:, nearer]
    hits.distance[block][nearer] = at
    hits.solid[block][nearer] = index
    hits.cosine[block][nearer] = rng.uniform(0.3, 1.0, len(at)) if solid.mean_free_path else -(normal * ray).sum(axis=0)
    hits.window[block][nearer] = _on_window(solid, local) if solid.glass else False
    hits.kerb[block][nearer] = False


def _on_window(solid: Solid, local: np.ndarray) -> np.ndarray:
    """Whether points (3, n) of the unit shape lie in a regular pattern of windows, 1.3 m x 1.5 m, on its sides."""
    x, y, z = (p * h for p, h in zip(local, solid.half, strict=True))
    along = np.where(np.abs(local[0]) > np.abs(local[1]), y, x)
    height = z + solid.half[2]
    return (np.mod(along, 2.9) < 1.3) & (np.mod(height - 0.9, 2.8) < 1.5) & (height > 0.9) & (np.abs(local[2]) < 0.97)


def _blocks(
    solid: Solid, origin: np.ndarray, directions: np.ndarray, max_range: float
) -> list[tuple[slice, slice]]:
    """The one or two blocks of rays (beams, azimuths) that the upright box around ``solid`` spans."""
    hx, hy, hz = solid.half
    c, s = np.cos(solid.yaw), np.sin(solid.yaw)
    to = np.asarray(solid.centre, np.float64) - origin
    inside = np.array([c * to[0] + s * to[1], c * to[1] - s * to[0]])
    nearest = float(np.hypot(*np.maximum(np.abs(inside) - (hx, hy), 0.0)))
    farthest = float(np.hypot(*np.add(np.abs(inside), (hx, hy))))
    if nearest > max_range:
        return []
    beams = _beam_span(to[2] - hz, to[2] + hz, nearest, farthest, directions[2, :, 0])
    if beams.start >= beams.stop:
        return []
    n = directions.shape[2]
    if nearest == 0.0:
        return [(beams, slice(0, n))]
    # The azimuth seen from outside a convex footprint spans less than half a turn around that of its centre.
    middle = np.arctan2(to[1], to[0])
    corners = [(to[0] + c * i * hx - s * j * hy, to[1] + s * i * hx + c * j * hy) for i in (-1, 1) for j in (-1, 1)]
    offsets = [(np.arctan2(y, x) - middle + np.pi) % (2 * np.pi) - np.pi for x, y in corners]
    phase = np.arctan2(directions[1, 0, 0], directions[0, 0, 0])
    low = int(np.floor((middle - phase + min(offsets)) * n / (2 * np.pi))) % n
    count = min(int(np.ceil((max(offsets) - min(offsets)) * n / (2 * np.pi))) + 2, n)
    if low + count <= n:
        return [(beams, slice(low, low + count))]
    return [(beams, slice(low, n)), (beams, slice(0, low + count - n))]


def _beam_span(bottom: float, top: float, nearest: float, farthest: float, rise: np.ndarray) -> slice:
    """The beams whose sine ``rise`` (descending) lies between those of a box from ``bottom`` to ``top`` metres."""
    highest = np.arctan2(top, nearest if top > 0 else farthest)
    lowest = np.arctan2(bottom, farthest if bottom > 0 else nearest)
    first = np.searchsorted(-rise, -np.sin(highest) - 1e-6, side="left")
    last = np.searchsorted(-rise, -np.sin(lowest) + 1e-6, side="right")
    return slice(int(first), int(last))
