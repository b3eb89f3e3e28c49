"""The masks of a training target: one per stuff class and one per thing instance, as one volume of numbers."""

from __future__ import annotations

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import LabelSet
from pasco_core.errors import DataError

_MOST = np.iinfo(np.int16).max


def mask_targets(semantics: np.ndarray, instances: np.ndarray, labels: LabelSet) -> tuple[np.ndarray, np.ndarray]:
    """The classes of the masks, and which voxel belongs to which.

    Stuff classes come first, ascending, then the instances, ascending; the class of an instance is that of its first
    voxel. Empty and unknown voxels, and thing voxels without an instance, are in no mask.

    Args:
        semantics: (X, Y, Z) uint8, 0 = empty, 255 = unknown.
        instances: (X, Y, Z) uint16, 0 = none.
        labels: tells things from stuff.

    Returns:
        (K,) uint8 class of mask 1 … K; K may be 0.
        (X, Y, Z) int16, number of the voxel's mask, 0 = none.

    Raises:
        DataError: an instance on a voxel that is empty or stuff, or more masks than int16 can number.
    """
    occupied = np.flatnonzero((semantics != 0) & (semantics != UNKNOWN))
    classes = semantics.reshape(-1)[occupied]
    present = np.bincount(classes, minlength=256)
    stuff = [c for c in range(1, labels.n_classes) if present[c] and not labels.is_thing(c)]
    number_of_class = np.zeros(256, np.int16)
    number_of_class[stuff] = np.arange(1, len(stuff) + 1)
    mask_ids = np.zeros(semantics.shape, np.int16)
    mask_ids.reshape(-1)[occupied] = number_of_class[classes]

    voxels = np.flatnonzero(instances != 0)
    classes = semantics.reshape(-1)[voxels]
    voxels, classes = voxels[classes != UNKNOWN], classes[classes != UNKNOWN]
    _check_things(classes, labels)
    ids, first, number = np.unique(instances.reshape(-1)[voxels], return_index=True, return_inverse=True)
    if len(stuff) + len(ids) > _MOST:
        raise DataError(f"Expected at most {_MOST} masks in a scene, got {len(stuff) + len(ids)}")
    mask_ids.reshape(-1)[voxels] = number + len(stuff) + 1
    return np.concatenate([np.array(stuff, np.uint8), classes[first]]), mask_ids


def _check_things(classes: np.ndarray, labels: LabelSet) -> None:
    things = np.zeros(256, bool)
    things[list(labels.thing_ids)] = True
    wrong = classes[~things[classes]]
    if len(wrong):
        raise DataError(
            f"Expected instances to be on voxels of thing classes ({labels.name}: {sorted(labels.thing_ids)}), "
            f"got {len(wrong)} voxels of other classes, the first of class {wrong[0]}"
        )
