"""Which voxels a straight line from a sensor reaches: exact ray traversal of a grid, in jumps through empty space."""

from __future__ import annotations

import numpy as np

from pasco_core.geometry import VoxelGrid

_NO_HIT = -1
_LEVEL = 1e-12  # a component below this counts as this, so that no division is by zero
_NEAR = 2.0  # voxels around a hit within which a voxel is asked for itself


class SightLines:
    """The occupied voxels of a grid, ready for questions of what hides what.

    A voxel is seen from a position if the segment from there to its centre enters no other occupied voxel; the voxel
    that holds the position does not hide anything, and space outside the grid is empty. There is no limit to the view.
    A line that runs exactly through an edge or a corner may be stopped by any of the voxels that meet there.

    From a voxel whose nearest occupied neighbour is r voxels away (in the maximum norm, a distance transform) the ray
    jumps to where it leaves the empty cube of radius r - 1, so the result is that of stepping voxel by voxel.

    Args:
        occupied: (X, Y, Z) bool.
        grid: where its voxels are; its shape is that of ``occupied``.
    """

    def __init__(self, occupied: np.ndarray, grid: VoxelGrid):
        self.occupied = occupied
        self.grid = grid
        self._clearance = _clearance(occupied).ravel()

    def seen_from(self, position: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
        """Mask (X, Y, Z) of the voxels that are seen from ``position`` (3,) in metres.

        One ray goes through each voxel of the grid's surface; a voxel that is clearly before or behind what the rays
        around it hit needs no ray of its own. Only the others, about one in ten, are asked one by one.

        Args:
            position: in metres, anywhere.
            among: (X, Y, Z) bool, the voxels to ask for; the others are returned as not seen. Default: all.
        """
        start = (np.asarray(position, np.float64) - self.grid.origin) / self.grid.voxel_size
        distance, surface = _distances_and_exits(start, self.grid.shape)
        nearest, farthest = self._hits_around(position, start, surface)
        seen = distance + _NEAR < nearest[surface]
        asked = np.ones_like(seen) if among is None else among
        unsure = np.flatnonzero(~seen & (distance - _NEAR <= farthest[surface]) & asked)
        seen &= asked
        seen.ravel()[unsure] = ~self.hidden(position, unsure)
        return seen

    def _hits_around(
        self, position: np.ndarray, start: np.ndarray, surface: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest distance in voxels of what the rays through a surface voxel and its neighbours hit.

        Flat over the grid, with values in the voxels that ``surface`` names; infinite without a hit.
        """
        from scipy.ndimage import maximum_filter, minimum_filter

        ends = np.zeros(self.grid.n_voxels, bool)
        ends[surface] = True
        ends = np.flatnonzero(ends)
        _, place = self.first_hits(position, ends)
        length = np.linalg.norm(np.stack(np.unravel_index(ends, self.grid.shape)) + 0.5 - start[:, None], axis=0)
        least = np.full(self.grid.shape, np.inf, np.float32)
        greatest = np.full(self.grid.shape, -np.inf, np.float32)
        least.ravel()[ends] = greatest.ravel()[ends] = place * length
        return minimum_filter(least, 3).ravel(), maximum_filter(greatest, 3).ravel()

    def hidden(self, position: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        """Mask (N,) of the ``voxels`` (N,) int64 flat indices that are not seen from ``position`` (3,) in metres."""
        hit, _ = self.first_hits(position, voxels)
        return (hit != _NO_HIT) & (hit != voxels)

    def first_hits(self, position: np.ndarray, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First occupied voxel on the way from ``position`` to the centres of ``voxels``.

        Args:
            position: (3,) metres, anywhere.
            voxels: (N,) int64 flat indices.

        Returns:
            (N,) int64 flat index of the voxel that is hit, -1 = none, and (N,) float64, where the ray enters it: 0 at
            the position, 1 at the centre, infinite without a hit.
        """
        start = (np.asarray(position, np.float64) - self.grid.origin) / self.grid.voxel_size
        centres = np.stack(np.unravel_index(voxels, self.grid.shape)) + 0.5
        return _march(self._clearance, self.grid.shape, start, centres - start[:, None])


def _distances_and_exits(start: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """For every voxel: float32 distance of its centre from ``start``, and where the ray to it leaves the grid.

    Both in voxels; the exit is the flat index of a voxel of the grid's surface.
    """
    axes = np.ix_(*(np.arange(size, dtype=np.float32) + np.float32(0.5 - s) for size, s in zip(shape, start)))
    ways = [np.where(np.abs(way) < _LEVEL, np.float32(_LEVEL), way) for way in axes]
    leaves = [np.float32(np.where(way > 0, size, 0) - s) / way for way, s, size in zip(ways, start, shape)]
    stretch = np.minimum(np.minimum(leaves[0], leaves[1]), leaves[2])
    flat = np.zeros(shape, np.int32)
    for way, s, size in zip(ways, start, shape):
        index = np.clip(stretch * way + np.float32(s), 0, size - 1).astype(np.int32)
        flat = flat * size + index
    return np.sqrt(ways[0] ** 2 + ways[1] ** 2 + ways[2] ** 2), flat


def _clearance(occupied: np.ndarray) -> np.ndarray:
    """Int32 distance of each voxel to the nearest occupied one in the maximum norm."""
    from scipy.ndimage import distance_transform_cdt

    if not occupied.any():
        return np.full(occupied.shape, max(occupied.shape), np.int32)
    return distance_transform_cdt(~occupied, metric="chessboard").astype(np.int32)


def _march(
    clearance: np.ndarray, shape: tuple[int, int, int], start: np.ndarray, ways: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rays from ``start`` (3,) along ``ways`` (3, N), in voxels, ending in the grid: first hit's voxel and place."""
    hit, place = np.full(ways.shape[1], _NO_HIT, np.int64), np.full(ways.shape[1], np.inf)
    size, start = np.array(shape)[:, None], start[:, None]
    ways = np.where(np.abs(ways) < _LEVEL, _LEVEL, ways)
    inverse = 1 / ways
    t = np.maximum((np.where(ways > 0, 0, size) - start) * inverse, 0).max(axis=0)  # where the ray enters the grid
    voxel = np.clip(np.floor(start + t * ways).astype(np.int32), 0, size - 1)
    rays = np.arange(ways.shape[1])
    own = _start_voxel(start[:, 0], shape)
    while len(rays):
        flat = (voxel[0] * shape[1] + voxel[1]) * shape[2] + voxel[2]
        free = clearance[flat]
        if own is not None:  # every ray begins there
            free, own = np.maximum(free, 1), None
        found = free == 0
        hit[rays[found]], place[rays[found]] = flat[found], t[found]
        t, voxel = _jump(start, ways, inverse, voxel, np.maximum(free, 1))
        going = np.flatnonzero((t < 1) & ~found)
        rays, t, ways, inverse = rays[going], t[going], ways[:, going], inverse[:, going]
        voxel = np.clip(voxel[:, going], 0, size - 1)
    return hit, place


def _jump(
    start: np.ndarray, ways: np.ndarray, inverse: np.ndarray, voxel: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the rays leave the empty cubes of radius ``free`` - 1 around their voxels, and the voxels entered there."""
    ahead = ways > 0
    plane = voxel + np.where(ahead, free, 1 - free)
    times = (plane - start) * inverse
    axis = times.argmin(axis=0)
    t = np.minimum(times[axis, np.arange(len(axis))], 1)
    reached = np.clip(np.floor(start + t * ways).astype(np.int32), voxel - free + 1, voxel + free - 1)
    crossing = np.arange(3)[:, None] == axis
    return t, np.where(crossing, np.where(ahead, plane, plane - 1), reached)


def _start_voxel(start: np.ndarray, shape: tuple[int, int, int]) -> tuple[int, ...] | None:
    """The voxel that holds the start, if one does."""
    voxel = tuple(int(v) for v in np.floor(start))
    return voxel if all(0 <= v < size for v, size in zip(voxel, shape)) else None
