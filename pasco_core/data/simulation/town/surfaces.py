"""What the ground can be: class, material and level of each kind of surface."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.materials import MATERIAL

CLASS = {name: index for index, name in enumerate(SEMANTIC_KITTI.class_names)}
KERB = 0.13  # metres from the road up to the sidewalk


class Surface(IntEnum):
    """Kinds of ground."""

    ROAD = 0
    MARKING = 1
    PARKING = 2
    WALK = 3
    GRASS = 4
    SOIL = 5
    DRIVE = 6
    YARD = 7
    PATH = 8
    LOT = 9


_TABLE = {
    Surface.ROAD: ("road", "asphalt", 0.0),
    Surface.MARKING: ("road", "lane paint", 0.0),
    Surface.PARKING: ("parking", "asphalt", 0.0),
    Surface.WALK: ("sidewalk", "paving", KERB),
    Surface.GRASS: ("terrain", "grass", 0.11),
    Surface.SOIL: ("terrain", "soil", 0.11),
    Surface.DRIVE: ("parking", "paving", KERB),
    Surface.YARD: ("other-ground", "concrete", KERB),
    Surface.PATH: ("sidewalk", "paving", KERB),
    Surface.LOT: ("parking", "asphalt", KERB),
}
CATEGORY = np.array([CLASS[_TABLE[s][0]] for s in Surface], np.uint8)
GROUND_MATERIAL = np.array([MATERIAL[_TABLE[s][1]] for s in Surface], np.uint8)
LEVELS, LEVEL_INDEX = np.unique([_TABLE[s][2] for s in Surface], return_inverse=True)
"""Heights above the road, ascending, and which of them each surface has."""
