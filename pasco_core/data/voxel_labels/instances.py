"""Thing instances of a voxel grid by connected components, numbered the same whichever library finds them."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from types import ModuleType

import numpy as np

from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.errors import ConfigError, DataError

MIN_VOXELS = 8
"""Components smaller than this are not instances; their voxels count as unknown."""

MAX_INSTANCES = 65535


def label_instances(semantics: np.ndarray, thing_ids: Collection[int], min_voxels: int = MIN_VOXELS) -> VoxelTruth:
    """Instances of the thing classes: 26-connected voxels of the same class.

    Classes come in ascending order, within one the components in raster order (x slowest, z fastest) of their first
    voxel, numbered from 1 without gaps. A component of fewer than ``min_voxels`` voxels becomes unknown and has no
    instance. This is how PaSCo's targets were made. Uses connected-components-3d where installed, else SciPy; the
    result is the same.

    Args:
        semantics: (X, Y, Z) uint8, class of each voxel, 0 = empty, 255 = unknown; not changed.
        thing_ids: countable classes, 1 to 254.
        min_voxels: size from which on a component is an instance.

    Returns:
        Semantics without the small components, and instances.

    Raises:
        DataError: ``semantics`` is not a three-dimensional uint8 array, or has more than 65535 instances.
        ConfigError: a thing class or ``min_voxels`` out of range.
    """
    things = _checked(semantics, thing_ids, min_voxels)
    semantics, instances = semantics.copy(), np.zeros(semantics.shape, np.uint16)
    box = _bounding_box(things[semantics])
    if box is not None:
        inside = np.where(things[semantics[box]], semantics[box], np.uint8(0))
        ids, small = _numbered(inside, _components(inside), min_voxels)
        instances[box] = ids
        semantics[box][small] = UNKNOWN
    return VoxelTruth(semantics, instances)


def _checked(semantics: np.ndarray, thing_ids: Collection[int], min_voxels: int) -> np.ndarray:
    """(256,) bool: which label is a thing."""
    if semantics.ndim != 3 or semantics.dtype != np.uint8:
        got = f"{semantics.dtype} of shape {semantics.shape}"
        raise DataError(f"Expected semantics to be a uint8 array (X, Y, Z), got {got}")
    if any(not 0 < int(i) < UNKNOWN for i in thing_ids):
        raise ConfigError(f"Expected thing classes to be 1 to {UNKNOWN - 1}, got {sorted(thing_ids)}")
    if min_voxels < 1:
        raise ConfigError(f"Expected min_voxels to be at least 1, got {min_voxels}")
    things = np.zeros(256, bool)
    things[[int(i) for i in thing_ids]] = True
    return things


def _bounding_box(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest box with every set voxel; things fill a small part of a scene."""
    box = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(filled):
            return None
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)  # type: ignore[return-value]


def _components(classes: np.ndarray) -> np.ndarray:
    """Integer id > 0, in any order, of each 26-connected set of equal non-zero ``classes``; 0 elsewhere."""
    cc3d = _cc3d()
    if cc3d is not None:
        return cc3d.connected_components(np.ascontiguousarray(classes), connectivity=26)
    return _components_by_scipy(classes)


def _cc3d() -> ModuleType | None:
    """connected-components-3d, ten times as fast as SciPy, where it is installed."""
    try:
        return importlib.import_module("cc3d")
    except ImportError:
        return None


def _components_by_scipy(classes: np.ndarray) -> np.ndarray:
    """The same sets, one class at a time within its own bounding box."""
    from scipy import ndimage

    ids, n_ids = np.zeros(classes.shape, np.int32), 0
    for category, box in enumerate(ndimage.find_objects(classes), start=1):
        if box is None:
            continue
        found, n_found = ndimage.label(classes[box] == category, structure=np.ones((3, 3, 3), bool))
        view = ids[box]
        np.add(found, n_ids, out=view, where=found > 0)
        n_ids += n_found
    return ids


def _numbered(classes: np.ndarray, components: np.ndarray, min_voxels: int) -> tuple[np.ndarray, np.ndarray]:
    """(uint16 instance ids, mask of the voxels of small components), from components in any order."""
    at = np.flatnonzero(classes)
    found, first, of_voxel, sizes = np.unique(
        components.ravel()[at], return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, classes.ravel()[at[first]]))
    order = order[sizes[order] >= min_voxels]
    if len(order) > MAX_INSTANCES:
        raise DataError(f"Expected a grid to hold at most {MAX_INSTANCES} instances, got {len(order)}")
    number = np.zeros(len(found), np.uint16)
    number[order] = np.arange(1, len(order) + 1)
    ids = np.zeros(classes.size, np.uint16)
    ids[at] = number[of_voxel.ravel()]
    small = np.zeros(classes.size, bool)
    small[at] = number[of_voxel.ravel()] == 0
    return ids.reshape(classes.shape), small.reshape(classes.shape)
