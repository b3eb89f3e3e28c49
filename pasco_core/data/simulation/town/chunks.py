"""Static parts of the town in pieces of some tens of metres, kept while they are near."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.mesh import Mesh

CHUNK = 40.0
"""Metres: side of the squares into which tiles are divided."""
_KEPT_TILES = 16


@dataclass(frozen=True)
class Chunk:
    """A part of a tile: ``centre`` (2,) and ``reach`` of a circle around its vertices seen from above."""

    mesh: Mesh
    centre: np.ndarray
    reach: float

    @classmethod
    def of(cls, mesh: Mesh) -> Chunk:
        x, y = mesh.vertices[:, 0], mesh.vertices[:, 1]
        low, high = np.array([x.min(), y.min()], np.float64), np.array([x.max(), y.max()], np.float64)
        return cls(mesh, (low + high) / 2.0, float(np.hypot(*(high - low)) / 2.0))


def cut(mesh: Mesh, size: float) -> list[Mesh]:
    """The mesh in pieces, each with the triangles whose middle lies in one square of a raster of ``size`` metres."""
    square = np.floor(mesh.vertices[mesh.triangles][..., :2].mean(axis=1) / size).astype(np.int64)
    square -= square.min(axis=0)
    key = square[:, 0] * (square[:, 1].max() + 1) + square[:, 1]
    order = np.argsort(key, kind="stable")
    return [_piece(mesh, part) for part in np.split(order, np.flatnonzero(np.diff(key[order])) + 1)]


def _piece(mesh: Mesh, chosen: np.ndarray) -> Mesh:
    used, triangles = np.unique(mesh.triangles[chosen], return_inverse=True)
    return Mesh(
        mesh.vertices[used],
        triangles.reshape(-1, 3).astype(np.int32),
        mesh.category[chosen],
        mesh.instance[chosen],
        mesh.material[chosen],
    )


class TileStore:
    """The chunks of the tiles looked at last.

    Args:
        build: makes the static meshes of tile (i, j), each some tens of metres wide.
    """

    def __init__(self, build: Callable[[int, int], list[Mesh]]):
        self._build = build
        self._kept: OrderedDict[tuple[int, int], list[Chunk]] = OrderedDict()

    def within(self, tiles: list[tuple[int, int]], centre: np.ndarray, radius: float) -> list[Mesh]:
        """Meshes of all chunks of ``tiles`` that reach into the circle."""
        found = []
        for tile in tiles:
            if tile not in self._kept:
                self._kept[tile] = [Chunk.of(mesh) for mesh in self._build(*tile)]
            self._kept.move_to_end(tile)
            found += [c.mesh for c in self._kept[tile] if np.hypot(*(c.centre - centre)) < radius + c.reach]
        while len(self._kept) > max(_KEPT_TILES, len(tiles)):
            self._kept.popitem(last=False)
        return found
