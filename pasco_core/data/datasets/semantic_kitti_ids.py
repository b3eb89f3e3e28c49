"""SemanticKITTI's raw label ids, and the classes they count as (learning map of semantic-kitti.yaml)."""

from __future__ import annotations

import os

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.errors import DataError

UNLISTED = 254
"""What ``CLASS_OF_RAW`` says of an id that the learning map does not list: a damaged file, never a class."""

# Raw ids per class; the first is the one that stands for the class when labels are written.
_RAW_IDS: tuple[tuple[int, ...], ...] = (
    (0,), (10, 252), (11,), (15,), (18, 258), (20, 13, 16, 256, 257, 259), (30, 254), (31, 253), (32, 255),
    (40, 60), (44,), (48,), (49,), (50,), (51,), (70,), (71,), (72,), (80,), (81,),
)
_UNKNOWN_IDS = (1, 52, 99)  # outlier, other-structure, other-object
MOVING_RAW_IDS = frozenset({252, 253, 254, 255, 256, 257, 258, 259})
"""Raw ids of things that moved while the sequence was recorded."""


def _tables() -> tuple[np.ndarray, np.ndarray]:
    class_of_raw = np.full(2**16, UNLISTED, np.uint8)
    raw_of_class = np.zeros(256, np.uint16)
    for category, raw_ids in enumerate(_RAW_IDS):
        class_of_raw[list(raw_ids)] = category
        raw_of_class[category] = raw_ids[0]
    class_of_raw[list(_UNKNOWN_IDS)] = UNKNOWN
    class_of_raw.setflags(write=False)
    raw_of_class.setflags(write=False)
    return class_of_raw, raw_of_class


CLASS_OF_RAW, RAW_OF_CLASS = _tables()
"""uint8 (65536,): class of a raw voxel id, 255 = unknown, ``UNLISTED`` = no such id; raw 0 is class 0, empty.

``RAW_OF_CLASS`` is uint16 (256,): the raw id of a class that is not moving; 0 for class 255 (unknown voxels are told by
the ``.invalid`` file, unknown points by raw id 0) and for every number that is no class."""


def voxel_classes(raw: np.ndarray, source: str | os.PathLike[str]) -> np.ndarray:
    """Classes uint8 of raw voxel ids uint16, any shape: raw 0 is empty.

    Raises:
        DataError: an id that the learning map does not list; the message names ``source``, the id and how many.
    """
    classes = CLASS_OF_RAW[raw]
    unlisted = classes == UNLISTED
    if unlisted.any():
        ids, counts = np.unique(raw[unlisted], return_counts=True)
        shown = ", ".join(f"{i} ({n}×)" for i, n in zip(ids[:5], counts[:5]))
        more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
        raise DataError(f"Expected the label ids in {source} to be in SemanticKITTI's learning map, got {shown}{more}")
    return classes


def point_classes(raw: np.ndarray, source: str | os.PathLike[str]) -> np.ndarray:
    """Classes uint8 of raw point ids: as for voxels, but a point is never empty, so raw 0 (unlabelled) is unknown.

    Raises:
        DataError: an id that the learning map does not list.
    """
    classes = voxel_classes(raw, source)
    classes[classes == 0] = UNKNOWN
    return classes
