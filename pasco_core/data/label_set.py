"""Class names, thing classes and colours of the datasets the networks are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.errors import ConfigError


@dataclass(frozen=True)
class LabelSet:
    """The classes of a dataset; class 0 is always "empty" and label 255 always "unknown".

    Args:
        name: short name of the dataset.
        class_names: name of class 0, 1, ...
        thing_ids: countable classes.
        colours: (classes, 3) uint8 RGB.
    """

    name: str
    class_names: tuple[str, ...]
    thing_ids: frozenset[int]
    colours: np.ndarray

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def no_object(self) -> int:
        """Index of the extra "no object" entry in query probabilities."""
        return len(self.class_names)

    @property
    def ground_ids(self) -> frozenset[int]:
        """Classes a vehicle can stand or drive on."""
        return frozenset(i for i, name in enumerate(self.class_names) if name in _GROUND)

    def is_thing(self, category: int) -> bool:
        """Whether class ``category`` is countable."""
        return category in self.thing_ids


_GROUND = frozenset({"road", "parking", "sidewalk", "other-ground", "terrain"})

# RGB of the SemanticKITTI colour table, which every published figure uses.
_COLOURS = {
    "empty": (0, 0, 0), "car": (100, 150, 245), "bicycle": (100, 230, 245), "motorcycle": (30, 60, 150),
    "truck": (80, 30, 180), "other-vehicle": (0, 0, 255), "person": (255, 30, 30), "bicyclist": (255, 40, 200),
    "motorcyclist": (150, 30, 90), "road": (255, 0, 255), "parking": (255, 150, 255), "sidewalk": (75, 0, 75),
    "other-ground": (175, 0, 75), "building": (255, 200, 0), "fence": (255, 120, 50), "vegetation": (0, 175, 0),
    "trunk": (135, 60, 0), "terrain": (150, 240, 80), "pole": (255, 240, 150), "traffic-sign": (255, 0, 0),
    "other-structure": (255, 150, 0), "other-object": (50, 255, 255),
}


def _label_set(name: str, names: str, things: range) -> LabelSet:
    class_names = tuple(names.split())
    colours = np.array([_COLOURS[c] for c in class_names], np.uint8)
    colours.setflags(write=False)
    return LabelSet(name, class_names, frozenset(things), colours)


SEMANTIC_KITTI = _label_set(
    "SemanticKITTI",
    "empty car bicycle motorcycle truck other-vehicle person bicyclist motorcyclist road parking sidewalk other-ground "
    "building fence vegetation trunk terrain pole traffic-sign",
    range(1, 9),
)
KITTI_360 = _label_set(
    "SSCBench-KITTI-360",
    "empty car bicycle motorcycle truck other-vehicle person road parking sidewalk other-ground building fence "
    "vegetation terrain pole traffic-sign other-structure other-object",
    range(1, 7),
)


def label_set_for(n_classes: int) -> LabelSet:
    """The label set with that many classes (20: SemanticKITTI, 19: KITTI-360)."""
    for labels in (SEMANTIC_KITTI, KITTI_360):
        if labels.n_classes == n_classes:
            return labels
    raise ConfigError(f"Expected the number of classes to be 20 (SemanticKITTI) or 19 (KITTI-360), got {n_classes}")
