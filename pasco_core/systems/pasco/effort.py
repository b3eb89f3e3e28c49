"""How much of a scene is computed: all of it, or less in less time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pasco_core.errors import ConfigError
from pasco_core.geometry import VoxelGrid
from pasco_core.systems.pasco.config import BOX_STEP

Box = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Voxels from the first corner to the second, which is not part of it."""


@dataclass(frozen=True)
class Effort:
    """What is computed of a scene.

    Args:
        n_subnets: subnets that complete the scene and make the ensemble, the first ones; None: all. Every subnet's
            input is read either way, as the network was trained.
        max_range: half the edge in metres of the square around the sensor that is completed, rounded up to cells of
            8 voxels; the rest of the grid is unknown. None: the whole grid.
        instances: whether there are segments; without, no mask is computed and no voxel belongs to one.
    """

    FULL: ClassVar[Effort]

    n_subnets: int | None = None
    max_range: float | None = None
    instances: bool = True

    def __post_init__(self) -> None:
        if self.n_subnets is not None and self.n_subnets < 1:
            raise ConfigError(f"Expected n_subnets of an effort to be at least 1, got {self.n_subnets}")
        if self.max_range is not None and not (math.isfinite(self.max_range) and self.max_range > 0):
            raise ConfigError(f"Expected max_range of an effort to be a positive number in m, got {self.max_range}")

    def subnets_of(self, n_subnets: int) -> int:
        """How many of a network's subnets are computed."""
        return n_subnets if self.n_subnets is None else min(self.n_subnets, n_subnets)

    def box(self, grid: VoxelGrid) -> Box:
        """The part of the grid that is completed, in whole cells.

        Raises:
            ConfigError: nothing of the grid lies within ``max_range``.
        """
        if self.max_range is None:
            return (0, 0, 0), grid.shape
        cell = BOX_STEP * grid.voxel_size
        lower, upper = [], []
        for origin, size in zip(grid.origin[:2], grid.shape[:2]):
            lower.append(max(0, math.floor((-self.max_range - origin) / cell + 1e-6) * BOX_STEP))
            upper.append(min(size, math.ceil((self.max_range - origin) / cell - 1e-6) * BOX_STEP))
        if any(low >= high for low, high in zip(lower, upper)):
            raise ConfigError(f"Expected max_range to reach into the grid, got {self.max_range:g} m")
        return (lower[0], lower[1], 0), (upper[0], upper[1], grid.shape[2])

    def note(self, n_subnets: int, grid: VoxelGrid) -> str:
        """What was left out, in words for the notes of a scene; "" for full effort."""
        parts = []
        if self.subnets_of(n_subnets) < n_subnets:
            parts.append(f"{self.subnets_of(n_subnets)} of {n_subnets} subnets")
        if self.box(grid) != ((0, 0, 0), grid.shape):
            parts.append(f"nothing known beyond {self.max_range:g} m")
        if not self.instances:
            parts.append("no segments")
        return f"less effort: {', '.join(parts)}" if parts else ""


Effort.FULL = Effort()


def effort_levels(n_subnets: int, max_range: float, grid: VoxelGrid) -> Mapping[str, Effort | None]:
    """Levels of effort of a network, from the most to the least; each keeps the reductions of those before it.

    Args:
        n_subnets: of the network; with one there is no level "fewer_subnets".
        max_range: of the level "shorter_range", which is left out where it would be the whole grid.
        grid: of the scenes.

    Returns:
        "full" (None: the default), "fewer_subnets" (half of them, rounded up), "shorter_range", "semantics_only".
    """
    levels: dict[str, Effort | None] = {"full": None}
    half = (n_subnets + 1) // 2 if n_subnets > 1 else None
    if half is not None:
        levels["fewer_subnets"] = Effort(half)
    shorter = Effort(half, max_range)
    if shorter.box(grid) == Effort.FULL.box(grid):
        shorter = Effort(half)
    else:
        levels["shorter_range"] = shorter
    levels["semantics_only"] = Effort(shorter.n_subnets, shorter.max_range, instances=False)
    return levels


def inside_box(voxels: np.ndarray, box: Box) -> np.ndarray:
    """Mask (N,) of the voxels (N, 3) that lie in the box."""
    return np.all((voxels >= box[0]) & (voxels < box[1]), axis=1)
