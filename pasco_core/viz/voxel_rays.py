"""Which voxel each pixel of a camera sees: exact ray marching through a dense grid, vectorised over the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage

from pasco_core.geometry import VoxelGrid
from pasco_core.viz.camera import Camera

_FAR = 120  # cap of the skip distance, so that it fits an int8
_BAND = 1 << 16  # rays under way at a time, so that their state stays in the processor's cache


@dataclass(frozen=True)
class VoxelHits:
    """The nearest occupied voxel of every pixel.

    Args:
        voxel: (H, W) int32, flat index into the grid, -1 where the ray meets nothing.
        face: (H, W) int8, the side that is seen: 2 * axis for the side towards -axis, 2 * axis + 1 towards +axis.
        position: (H, W, 2) float32, where on the side the ray lands, 0 to 1 along its two axes in ascending order.
        depth: (H, W) float32, metres along the camera's forward axis, infinite where nothing is met.
    """

    voxel: np.ndarray
    face: np.ndarray
    position: np.ndarray
    depth: np.ndarray


class RayCamera(Protocol):
    """What is known of a camera: where it stands, in the grid's frame in metres, and where its pixels look."""

    position: tuple[float, float, float]
    width: int
    height: int

    def ray_directions(self) -> np.ndarray:
        """Directions (height, width, 3) float64, a step of 1 goes 1 m deeper; a pixel with NaN sees nothing."""


def cast_voxels(occupied: np.ndarray, grid: VoxelGrid, camera: Camera | RayCamera) -> VoxelHits:
    """The voxels of ``occupied`` (bool, ``grid.shape``) that ``camera`` sees, one ray per pixel.

    Amanatides and Woo's traversal ("A fast voxel traversal algorithm for ray tracing", 1987), where one step leaves the
    largest cube around the voxel that is known to be empty, not only the voxel itself.
    """
    clearance = _clearance(occupied)
    origin = (np.asarray(camera.position, np.float64) - grid.origin) / grid.voxel_size
    directions = camera.ray_directions().reshape(-1, 3) / grid.voxel_size
    bands = []
    for start in range(0, len(directions), _BAND):
        march = _March(clearance, grid.shape, origin, directions[start : start + _BAND].T)
        while march.step():
            pass
        bands.append((march.voxel, march.face, march.position, march.depth))
    voxel, face, position, depth = (np.concatenate(parts) for parts in zip(*bands, strict=True))
    size = (camera.height, camera.width)
    return VoxelHits(voxel.reshape(size), face.reshape(size), position.reshape(*size, 2), depth.reshape(size))


class _March:
    """Rays under way; arrays over them are (3, n) or (n,), in units of voxels from the grid's origin.

    The results, one row per ray, are those of ``VoxelHits``.
    """

    def __init__(self, clearance: np.ndarray, size: tuple[int, int, int], origin: np.ndarray, directions: np.ndarray):
        n = directions.shape[1]
        self.voxel = np.full(n, -1, np.int32)
        self.face = np.zeros(n, np.int8)
        self.position = np.zeros((n, 2), np.float32)
        self.depth = np.full(n, np.inf, np.float32)
        self._clearance = clearance
        self._size = size
        self._strides = (np.float32(size[1] * size[2]), np.float32(size[2]))
        self._origin = origin.astype(np.float32)
        self._enter(origin[:, None], np.where(np.abs(directions) < 1e-9, 1e-9, directions))

    def _enter(self, origin: np.ndarray, direction: np.ndarray) -> None:
        """Puts every ray that meets the grid on the grid's first voxel."""
        size = np.asarray(self._size, np.float64)[:, None]
        to_low, to_high = -origin / direction, (size - origin) / direction
        enter = np.minimum(to_low, to_high)
        start = np.maximum(enter.max(axis=0), 0.0)
        meets = start < np.maximum(to_low, to_high).min(axis=0)
        self._pixel = np.flatnonzero(meets)
        self._direction = direction[:, meets].astype(np.float32)
        self._inverse = 1.0 / self._direction
        self._forward = (self._direction > 0).astype(np.float32)
        self._time = start[meets].astype(np.float32)
        self._axis = enter.argmax(axis=0)[meets].astype(np.int8)
        at = origin + direction[:, meets] * start[meets]
        self._cell = np.clip(np.floor(at), 0, size - 1).astype(np.float32)

    def step(self) -> bool:
        """One step of every ray; False when none is left."""
        if not len(self._pixel):
            return False
        flat = (self._cell[0] * self._strides[0] + self._cell[1] * self._strides[1] + self._cell[2]).astype(np.int32)
        clearance = self._clearance[flat]
        arrived = clearance == 0
        if arrived.any():
            self._record(np.flatnonzero(arrived), flat)
        left = self._leap(clearance.astype(np.float32) - 1) & ~arrived
        if not left.all():
            self._keep(np.flatnonzero(left))
        return bool(len(self._pixel))

    def _leap(self, reach: np.ndarray) -> np.ndarray:
        """Moves each ray out of the empty cube of ``reach`` voxels around its own; mask of those still in the grid."""
        times = [
            (cell + forward * (reach + reach + 1) - reach - origin) * inverse
            for cell, forward, origin, inverse in zip(
                self._cell, self._forward, self._origin, self._inverse, strict=True
            )
        ]
        time = np.minimum(np.minimum(times[0], times[1]), times[2])
        inside = np.ones(len(time), bool)
        for a in range(3):
            cell = self._direction[a] * time
            cell += self._origin[a]
            np.floor(cell, out=cell)
            # Rounding must not carry a ray over a side that it has not reached, nor keep it behind the one it has.
            low, high = self._cell[a] - reach, self._cell[a] + reach
            np.maximum(cell, low, out=cell)
            np.minimum(cell, high, out=cell)
            leaves = times[a] == time
            ahead = np.where(self._forward[a] > 0, high + 1, low - 1)
            np.copyto(cell, ahead, where=leaves)
            self._axis[leaves] = a
            inside &= (cell >= 0) & (cell < self._size[a])
            self._cell[a] = cell
        self._time = time
        return inside

    def _record(self, rays: np.ndarray, flat: np.ndarray) -> None:
        pixel, axis, time = self._pixel[rays], self._axis[rays], self._time[rays]
        direction = self._direction[:, rays]
        against = np.take_along_axis(direction, axis[None].astype(np.intp), axis=0)[0] < 0
        at = np.clip(self._origin[:, None] + direction * time - self._cell[:, rays], 0.0, 1.0)
        self.voxel[pixel] = flat[rays]
        self.face[pixel] = 2 * axis + against
        self.position[pixel, 0] = np.where(axis == 0, at[1], at[0])
        self.position[pixel, 1] = np.where(axis == 2, at[1], at[2])
        self.depth[pixel] = time

    def _keep(self, rays: np.ndarray) -> None:
        self._pixel, self._time, self._axis = self._pixel[rays], self._time[rays], self._axis[rays]
        self._direction, self._inverse = self._direction.take(rays, axis=1), self._inverse.take(rays, axis=1)
        self._forward, self._cell = self._forward.take(rays, axis=1), self._cell.take(rays, axis=1)


def _clearance(occupied: np.ndarray) -> np.ndarray:
    """Flat int8: 0 in an occupied voxel, else d: the cube of 2 d - 1 voxels around this one is empty."""
    if not occupied.any():
        return np.full(occupied.size, _FAR, np.int8)
    distance = ndimage.distance_transform_cdt(~occupied, metric="chessboard")
    return np.minimum(distance, _FAR).astype(np.int8).ravel()
