"""Voxel truth seen through a rigid transform: by looking back from every target voxel, column by column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.errors import DataError
from pasco_core.geometry import VoxelGrid
from pasco_core.geometry.rigid import check_transform


@dataclass(frozen=True)
class WarpedTruth:
    """Voxel truth on the lattice of a grid, without the grid's bounds.

    Args:
        lower: (3,) int32, voxel index of the first voxel of the arrays; may be negative.
        semantics: (X, Y, Z) uint8, class, 255 = unknown.
        instances: (X, Y, Z) uint16, instance of the source, 0 = none.
    """

    lower: np.ndarray
    semantics: np.ndarray
    instances: np.ndarray

    @property
    def upper(self) -> np.ndarray:
        """(3,) int32 voxel index of the last voxel, inclusive."""
        return self.lower + np.array(self.semantics.shape, np.int32) - 1

    def known_box(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Bounds (3,) int32, inclusive, of the voxels that are not unknown; None where there is no such voxel."""
        box = bounds(self.semantics != UNKNOWN)
        return None if box is None else (self.lower + box[0], self.lower + box[1])

    def cut(self, lower: np.ndarray, upper: np.ndarray) -> WarpedTruth:
        """The part within inclusive bounds (3,) int32, which must not be empty."""
        first = np.maximum(lower - self.lower, 0)
        last = np.minimum(upper, self.upper) - self.lower
        part = tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last))
        return WarpedTruth(self.lower + first.astype(np.int32), self.semantics[part], self.instances[part])


def warp_truth(truth: VoxelTruth, transform: np.ndarray, grid: VoxelGrid) -> WarpedTruth:
    """Every voxel of the box around the moved known voxels, with the truth of the voxel that the inverse leads to.

    The nearest voxel counts, and what leads out of the grid is unknown. Where nothing is known the box is that of the
    whole moved grid. A yaw, mirror, shift or scale moves the columns of the grid as a whole, which makes this fast.

    Args:
        truth: over ``grid``.
        transform: 4×4, applied to column points in metres.
        grid: the lattice.

    Raises:
        ConfigError: the transform is not affine and invertible.
        DataError: the truth has not the grid's shape.
    """
    _check(truth, grid)
    transform = check_transform(transform)
    known = truth.semantics != UNKNOWN
    lower, upper = _moved_box(known if known.any() else np.ones_like(known), transform, grid)
    back = np.linalg.inv(transform.astype(np.float64)).astype(np.float32)
    source = _moved([np.arange(a, b + 1) for a, b in zip(lower, upper)], back, grid)
    semantics = _look_up(truth.semantics, source, UNKNOWN)
    return WarpedTruth(lower, semantics, _look_up(truth.instances, source, 0))


def bounds(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last index (3,) int32 of the set voxels along each axis; None where no voxel is set."""
    # Long rows first: one reduction over a short last axis takes twenty times as long as all of these.
    side = np.any(mask, axis=0)
    filled = (np.any(mask, axis=(1, 2)), np.any(side, axis=1), np.any(side, axis=0))
    if not filled[0].any():
        return None
    ends = [np.flatnonzero(line)[[0, -1]] for line in filled]
    return tuple(np.array(side, np.int32) for side in zip(*ends))  # type: ignore[return-value]


def _check(truth: VoxelTruth, grid: VoxelGrid) -> None:
    for name, array, dtype in (("semantics", truth.semantics, np.uint8), ("instances", truth.instances, np.uint16)):
        if array.shape != grid.shape or array.dtype != dtype:
            rule = f"{np.dtype(dtype)} of shape {grid.shape}"
            raise DataError(f"Expected the truth's {name} to be {rule}, got {array.dtype} of shape {array.shape}")


def _moved(axes: list[np.ndarray], transform: np.ndarray, grid: VoxelGrid) -> list[np.ndarray]:
    """Voxel index along x, y and z of every moved voxel of a box, each int32 and broadcastable to the box.

    A zero in the matrix leaves an axis out, so a yaw gives (X, Y, 1), (X, Y, 1) and (1, 1, Z). All in float32 and in
    the order of a matrix product, as the published targets were made; rounding is half to even.
    """
    size, half = np.float32(grid.voxel_size), np.float32(grid.voxel_size / 2)
    origin = np.asarray(grid.origin, np.float32)
    centres = [values.astype(np.float32) * size + half + origin[i] for i, values in enumerate(axes)]
    centres = [line.reshape([-1 if i == axis else 1 for i in range(3)]) for axis, line in enumerate(centres)]
    moved = []
    for row, start in zip(transform[:3], origin):
        terms = [factor * line for factor, line in zip(row[:3], centres) if factor != 0]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        moved.append(np.rint((total + row[3] - start - half) / size).astype(np.int32))
    return moved


def _moved_box(mask: np.ndarray, transform: np.ndarray, grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Inclusive bounds (3,) int32 of the moved voxels of a mask that is not empty."""
    ends, flattened = [], {}
    for index in _moved([np.arange(n) for n in mask.shape], transform, grid):
        flat = tuple(axis for axis in range(3) if index.shape[axis] == 1 < mask.shape[axis])
        if flat not in flattened:
            flattened[flat] = _any_along(mask, flat)
        chosen = index[np.broadcast_to(flattened[flat], index.shape)]
        ends.append((chosen.min(), chosen.max()))
    return tuple(np.array(side, np.int32) for side in zip(*ends))  # type: ignore[return-value]


def _any_along(mask: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """``mask.any(axes, keepdims=True)``, one axis after the other, which is faster than all of them at once."""
    for axis in axes:
        mask = mask.any(axis=axis, keepdims=True)
    return mask


def _look_up(volume: np.ndarray, source: list[np.ndarray], outside: int) -> np.ndarray:
    """The values of ``volume`` at the source indices, ``outside`` where they leave it."""
    x, y, z = source
    inside = [(index >= 0) & (index < n) for index, n in zip(source, volume.shape)]
    if x.shape[2] != 1 or y.shape[2] != 1 or z.shape[:2] != (1, 1):
        flat = (np.where(inside[0], x, 0) * volume.shape[1] + np.where(inside[1], y, 0)) * volume.shape[2]
        values = volume.reshape(-1)[flat + np.where(inside[2], z, 0)]
        values[~(inside[0] & inside[1] & inside[2])] = outside
        return values
    heights, fits = z.ravel(), inside[2].ravel()
    columns = np.full((volume.shape[0] * volume.shape[1] + 1, len(heights)), outside, volume.dtype)
    columns[:-1, _as_slice(np.flatnonzero(fits))] = volume.reshape(-1, volume.shape[2])[:, _as_slice(heights[fits])]
    return columns[np.where(inside[0] & inside[1], x * volume.shape[1] + y, len(columns) - 1)[:, :, 0]]


def _as_slice(index: np.ndarray) -> slice | np.ndarray:
    """The same choice as a slice where the indices are consecutive, which copies several times as fast."""
    if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
