"""Voxel labels made: instances by connected components, and whole grids from posed labelled scans."""

from pasco_core.data.voxel_labels.instances import label_instances

__all__ = ["label_instances"]
