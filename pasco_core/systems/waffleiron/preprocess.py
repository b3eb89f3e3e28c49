"""From raw LiDAR points to what the network reads: features, neighbours, plane cells; and back to every point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from pasco_core.errors import CloudError
from pasco_core.systems.waffleiron.config import WaffleIronConfig

# Points are kept strictly inside the field of view, by this margin in metres.
_BORDER = 1e-4
# Wild returns beyond this range (metres) do not shape the down-sampling grid: they would make float32 voxels coarse.
_MAX_RANGE = 1e4
# Threads of the nearest-neighbour search, all cores: the result does not depend on how many.
_WORKERS = -1


@dataclass(frozen=True)
class PreparedCloud:
    """One cloud as the network reads it; M points are kept of N.

    Args:
        kept: (M,) int64, index of each kept point in the cloud, ordered by voxel.
        features: (M, 5) float32: intensity, x, y, z in metres, radius in metres.
        cells: (planes, M) int64, flat cell of each kept point in each plane.
        neighbours: (M, K) int64, rows of the K nearest other kept points, nearest first.
        nearest: (N,) int64, row of the kept point that answers for each point of the cloud.
    """

    kept: np.ndarray
    features: np.ndarray
    cells: np.ndarray
    neighbours: np.ndarray
    nearest: np.ndarray


def prepare(points: np.ndarray, config: WaffleIronConfig, coordinates: np.ndarray | None = None) -> PreparedCloud:
    """Down-sample and crop a cloud, and find neighbours and plane cells.

    Args:
        points: (N, 4) float32, x y z in metres in the LiDAR frame, intensity; finite, N at least 1.
        config: voxel size, field of view, planes, neighbours.
        coordinates: (N, 3) float32, where the points are for voxels, crop, cells and neighbours: test-time augmentation
            moves these. Default: as measured. The feature columns follow only if ``config.augment_features``.

    Raises:
        CloudError: no point lies inside the field of view.

    Source: WaffleIron (Puy et al., ICCV 2023), section 3 and the SemanticKITTI setting of its release.
    """
    xyz = points[:, :3] if coordinates is None else coordinates
    kept = first_per_voxel(xyz, config.voxel_size)
    kept = kept[inside(xyz[kept], config)]
    if len(kept) == 0:
        low, high = config.field_of_view
        raise CloudError(
            f"Expected at least one point to be inside the field of view {list(low)} to {list(high)} m, "
            f"got none of {len(points)}",
            "OUT_OF_VIEW",
        )
    kept_xyz = np.ascontiguousarray(xyz[kept])
    tree = cKDTree(kept_xyz)
    return PreparedCloud(
        kept=kept,
        features=point_columns(kept_xyz if config.augment_features else points[kept, :3], points[kept, 3]),
        cells=plane_cells(kept_xyz, config),
        neighbours=nearest_neighbours(tree, config.neighbours),
        nearest=_nearest_kept(tree, xyz, kept),
    )


def first_per_voxel(xyz: np.ndarray, voxel_size: float) -> np.ndarray:
    """Index (M,) of the first point of every occupied voxel, ordered by voxel (x slowest); voxels start at the minimum.

    Points farther than 10 km along an axis are left out.
    """
    near = np.flatnonzero((np.abs(xyz) <= _MAX_RANGE).all(axis=1))
    if len(near) == 0:
        return near
    near_xyz = xyz[near]
    voxel = ((near_xyz - near_xyz.min(axis=0)) / np.float32(voxel_size)).astype(np.int64)
    size = voxel.max(axis=0) + 1
    key = (voxel[:, 0] * size[1] + voxel[:, 1]) * size[2] + voxel[:, 2]
    return near[np.unique(key, return_index=True)[1]]


def inside(xyz: np.ndarray, config: WaffleIronConfig) -> np.ndarray:
    """Mask (N,) of the points strictly inside the field of view, by a margin of 0.1 mm."""
    low, high = np.asarray(config.field_of_view, np.float64)
    return ((xyz > low + _BORDER) & (xyz < high - _BORDER)).all(axis=1)


def point_columns(xyz: np.ndarray, intensity: np.ndarray) -> np.ndarray:
    """Feature columns (M, 5) of points (M, 3) in metres with intensity (M,): intensity, x, y, z, radius."""
    return np.column_stack([intensity, xyz, np.linalg.norm(xyz, axis=1)])


def plane_cells(xyz: np.ndarray, config: WaffleIronConfig) -> np.ndarray:
    """Flat cell (planes, M) int64 of points (M, 3) inside the field of view; the lower of the two axes is the row."""
    low, high = np.asarray(config.field_of_view, np.float64)
    cells = np.empty((len(config.planes), len(xyz)), np.int64)
    for plane, (dropped, grid) in enumerate(zip(config.planes, config.grids)):
        axes = [axis for axis in range(3) if axis != dropped]
        cell_size = (high[axes] - low[axes]) / grid
        row, column = ((xyz[:, axes] - low[axes]) / cell_size).astype(np.int64).T
        cells[plane] = row * grid[1] + column
    return cells


def nearest_neighbours(tree: cKDTree, k: int) -> np.ndarray:
    """Rows (M, k) int64 of the k nearest other points of each point of the tree, nearest first.

    With fewer than k other points the farthest is repeated, which no maximum over neighbours can see; a lone point is
    its own neighbour.
    """
    found = min(k, tree.n - 1)
    if found == 0:
        return np.zeros((tree.n, k), np.int64)
    rows = tree.query(tree.data, k=found + 1, workers=_WORKERS)[1][:, 1:]
    return np.pad(rows, ((0, 0), (0, k - found)), mode="edge").astype(np.int64, copy=False)


def _nearest_kept(tree: cKDTree, xyz: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Row (N,) of the kept point nearest to each point; a kept point answers for itself."""
    nearest = np.empty(len(xyz), np.int64)
    nearest[kept] = np.arange(len(kept))
    rest = np.ones(len(xyz), bool)
    rest[kept] = False
    nearest[rest] = tree.query(xyz[rest], workers=_WORKERS)[1]
    return nearest
