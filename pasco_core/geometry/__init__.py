"""Grids and rigid transforms."""

from pasco_core.geometry.voxel_grid import KITTI_GRID, VoxelGrid

__all__ = ["KITTI_GRID", "VoxelGrid"]
