"""One random stream per kind of thing and place, so that nothing depends on the order of looking at the town."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Kind(IntEnum):
    """What a stream is for; numbers are part of what a seed means."""

    PLAN = 1
    STREET = 2
    PROFILE = 3
    SEGMENT = 4
    SHEET = 5
    BLOCK = 6
    ROUTE = 7
    TRAFFIC = 8
    PROTOTYPES = 9
    PARKED = 10
    FURNITURE = 11
    PEOPLE = 12
    RELIEF = 13
    PATCHES = 14
    GREEN = 15


def generator(seed: int, kind: Kind, *place: int) -> np.random.Generator:
    """The stream of ``kind`` at ``place`` (whole numbers of either sign) in the town of ``seed``."""
    return np.random.default_rng([seed, int(kind), *(int(p) % (1 << 32) for p in place)])
