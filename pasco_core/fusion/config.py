"""How much one frame counts beside all before it, and when a thing is the one seen before."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from pasco_core.errors import ConfigError

_SHARES = ("trust", "trust_in_free", "trust_in_past", "least_overlap")


@dataclass(frozen=True)
class FusionConfig:
    """Settings of the fusion.

    Args:
        shape: voxels of the rolling window along x, y, z of the fixed frame.
        voxel_size: edge of a voxel in metres.
        trust: share of a frame's log odds that is believed. Frames of one drive are not independent: the same wall is
            misjudged in the same way again and again, so less than 1.
        trust_in_free: the same for what a frame calls empty.
        trust_in_past: share of what was believed before that counts beside a frame in its own voxels: the lattice of
            the window is another, so that surfaces one voxel thick come back displaced by up to half a voxel.
        most_evidence: bound of the log odds of a voxel, so that the grid can change its mind.
        most_for_things: the same where a thing is or was: it may have come or gone since the last frame.
        memory: seconds after which evidence has faded to 1/e.
        things_memory: the same for the voxels of things, which may move.
        gate: metres beyond its own size at which a thing is not taken for the one expected there.
        least_overlap: share of its voxels by which a thing is the one that was there.
        forget_after: seconds after which a thing that is not seen any more is given up.
        confirm_after: frames a thing must be seen in before it is told.
    """

    shape: tuple[int, int, int] = (384, 384, 48)
    voxel_size: float = 0.2
    trust: float = 0.5
    trust_in_free: float = 0.25
    trust_in_past: float = 0.35
    most_evidence: float = 2.0
    most_for_things: float = 1.0
    memory: float = 10.0
    things_memory: float = 1.0
    gate: float = 1.5
    least_overlap: float = 0.1
    forget_after: float = 1.0
    confirm_after: int = 2

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 8 or math.prod(self.shape) > 2**26:
            raise ConfigError(f"Expected the fusion's shape to be three sizes from 8, 2^26 voxels at most, "
                              f"got {self.shape}")
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.name != "shape" and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"Expected the fusion's {setting.name} to be above 0, got {value}")
            if setting.name in _SHARES and value > 1:
                raise ConfigError(f"Expected the fusion's {setting.name} to be at most 1, got {value}")
