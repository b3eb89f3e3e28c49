"""How much of a triangle lies inside a unit box: six planes cut it, each only the triangles that reach beyond it."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.truth.box_meetings import ON_BORDER

_MOST = 9  # corners of a triangle that six planes cut


def clipped_areas(corners: np.ndarray) -> np.ndarray:
    """Area (N,) of each triangle (3, 3, N), corner, axis, triangle, inside the unit box [0, 1]³."""
    polygon = np.empty((_MOST, 3, corners.shape[2]))
    polygon[:3] = corners
    polygon[3:] = corners[:1]  # unused places repeat the first corner, which changes no area
    outside = np.zeros(corners.shape[2], bool)
    beyond = {0.0: -corners.min(axis=0), 1.0: corners.max(axis=0) - 1.0}
    used = 3
    for axis in range(3):
        for bound, sign in ((0.0, 1.0), (1.0, -1.0)):
            rows = np.flatnonzero(beyond[bound][axis] >= ON_BORDER)
            part = polygon[:used, :, rows]
            side = sign * (part[:, axis] - bound)
            side[np.abs(side) < ON_BORDER] = 0.0
            inside = side >= 0
            outside[rows] |= ~inside.any(axis=0)
            cut = np.flatnonzero(inside.any(axis=0) & ~inside.all(axis=0))
            used += 1
            polygon[:used, :, rows[cut]] = clipped = _clip(part[:, :, cut], side[:, cut])
            polygon[used:, :, rows[cut]] = clipped[0]
    x, y, z = np.moveaxis(polygon[1:] - polygon[0], 1, 0)
    normal = ((a[:-1] * b[1:] - b[:-1] * a[1:]).sum(axis=0) for a, b in ((y, z), (z, x), (x, y)))
    area = 0.5 * np.sqrt(sum(n * n for n in normal))
    return np.where(outside, 0.0, area)


def _clip(polygon: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The part of convex polygons (W, 3, N) with ``side`` (W, N) >= 0, in one place more.

    Some corners of each are inside, some are not. Those inside follow each other; behind them the border is left, and
    entered again before them.
    """
    width = len(side)
    inside = side >= 0
    following = np.roll(inside, -1, axis=0)
    leave, enter = (inside & ~following).argmax(axis=0), (~inside & following).argmax(axis=0)
    places = np.concatenate([polygon, *(_crossing(polygon, side, edge)[None] for edge in (leave, enter))])
    left, entered = width, width + 1  # where the crossings are in places
    place = np.arange(width + 1)[:, None]
    rest = place - leave - 2 + enter  # from the entrance on, if the first place is inside
    closed = np.where(place <= leave, place, np.where(rest < width, rest, 0))
    closed = np.where(place == leave + 1, left, np.where(place == leave + 2, entered, closed))
    opened = np.where(place + enter <= leave, place + enter, np.where(place + enter == leave + 1, left, entered))
    opened[0] = entered
    return np.take_along_axis(places, np.where(inside[0], closed, opened)[:, None], axis=0)


def _crossing(polygon: np.ndarray, side: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """(3, N) where the edges that start at the places ``edge`` (N,) cross the border."""
    edge = edge[None]
    end = np.where(edge + 1 < len(side), edge + 1, 0)
    here, there = np.take_along_axis(side, edge, axis=0), np.take_along_axis(side, end, axis=0)
    start = np.take_along_axis(polygon, edge[:, None], axis=0)[0]
    return start + here / (here - there) * (np.take_along_axis(polygon, end[:, None], axis=0)[0] - start)
