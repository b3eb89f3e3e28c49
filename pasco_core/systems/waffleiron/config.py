"""Everything that describes a WaffleIron network and the view it was trained for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from pasco_core.errors import CheckpointError, ConfigError
from pasco_core.nn.state_dict import without_module_prefix

N_FEATURES = 5
"""Input features per point: intensity, x, y, z, radius."""

# Where width and class count can be read, the first one present wins: key, axis of its shape.
_CHANNEL_SOURCES = (("embed.final.weight", 0), ("embed.conv1.weight", 0), ("classif.weight", 1))
_BLOCK_KEY = re.compile(r"waffleiron\.(?:channel_mix|spatial_mix)\.(\d{1,9})\.")


@dataclass(frozen=True)
class WaffleIronConfig:
    """Size of the network and geometry of its pre-processing; the defaults are the published SemanticKITTI model.

    Args:
        channels: width of every token.
        depth: number of token-mixing and channel-mixing pairs.
        n_classes: number of class logits.
        planes: the axis each plane is seen along (2: the x-y plane, 1: x-z, 0: y-z); block i mixes on plane
            ``i % len(planes)``.
        grids: cells (height, width) of each plane over the field of view.
        field_of_view: minimum and maximum corner (x, y, z) in metres, LiDAR frame, exclusive.
        voxel_size: edge in metres of the voxels that keep one point each.
        neighbours: nearest points that the embedding of a point looks at, itself not counted.
        augment_features: whether test-time augmentation also moves the feature columns x, y, z and radius. False is a
            quirk of the features that PaSCo's published weights were trained on, and moves only where points are for
            voxels, crop, cells and neighbours.

    Raises:
        ConfigError: a value breaks its rule.

    >>> WaffleIronConfig(channels=32, depth=6).cell_counts
    (62500, 3000, 3000)
    """

    channels: int = 256
    depth: int = 48
    n_classes: int = 19
    planes: tuple[int, ...] = (2, 1, 0)
    grids: tuple[tuple[int, int], ...] = ((250, 250), (250, 12), (250, 12))
    field_of_view: tuple[tuple[float, ...], tuple[float, ...]] = ((-50.0, -50.0, -3.0), (50.0, 50.0, 2.0))
    voxel_size: float = 0.1
    neighbours: int = 16
    augment_features: bool = False

    def __post_init__(self) -> None:
        for name in ("channels", "depth", "n_classes", "neighbours"):
            self._require(_is_count(getattr(self, name)), name, "a positive integer")
        # Smaller voxels are below what float32 coordinates of a long-range cloud can tell apart.
        self._require(_is_number(self.voxel_size) and self.voxel_size >= 0.01, "voxel_size", "at least 0.01 m")
        self._require(isinstance(self.augment_features, bool), "augment_features", "true or false")
        self._require(_is_list_of(_is_axis, self.planes) and len(self.planes) > 0, "planes", "axes out of 0, 1 and 2")
        self._require(
            _is_list_of(_is_grid, self.grids) and len(self.grids) == len(self.planes),
            "grids",
            f"{len(self.planes)} pairs (height, width) of positive integers, one per plane",
        )
        self._require(_is_box(self.field_of_view), "field_of_view", "a lower and a higher corner (x, y, z) in metres")
        # Lists, as JSON and YAML give them, become tuples, so that configs can be hashed and compared.
        object.__setattr__(self, "planes", tuple(self.planes))
        object.__setattr__(self, "grids", tuple(tuple(grid) for grid in self.grids))
        object.__setattr__(self, "field_of_view", tuple(tuple(corner) for corner in self.field_of_view))

    def _require(self, holds: bool, name: str, rule: str) -> None:
        if not holds:
            raise ConfigError(f"Expected WaffleIron's {name} to be {rule}, got {getattr(self, name)!r}")

    @property
    def cell_counts(self) -> tuple[int, ...]:
        """Number of cells of each plane."""
        return tuple(height * width for height, width in self.grids)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], geometry: WaffleIronConfig | None = None) -> WaffleIronConfig:
        """Read width, depth and class count off the keys and shapes of a checkpoint.

        Args:
            state: tensors under the authors' key names, optionally all prefixed ``module.``.
            geometry: where planes, grids, field of view, voxel size and neighbours come from; keys do not tell them.
                Default: the published SemanticKITTI model.

        Raises:
            CheckpointError: the keys are not those of a WaffleIron network.
        """
        state = without_module_prefix(state)
        channels = next((size for source in _CHANNEL_SOURCES if (size := _axis(state, *source))), 0)
        n_classes = _axis(state, "classif.weight", 0) or _axis(state, "classif.bias", 0)
        # Counting the blocks, not taking the highest index, keeps a hostile index from asking for a billion blocks.
        depth = len({int(match[1]) for key in state if (match := _BLOCK_KEY.match(key))})
        found = {"channels": channels, "n_classes": n_classes, "depth": depth}
        if not all(found.values()):
            lacking = ", ".join(name for name, value in found.items() if not value)
            raise CheckpointError(
                "Expected the checkpoint to be a WaffleIron network, whose embed.*, waffleiron.* and classif.* entries "
                f"tell {lacking}, got {len(state)} keys such as {sorted(state)[:3]}"
            )
        return replace(geometry or cls(), channels=channels, n_classes=n_classes, depth=depth)


def _axis(state: Mapping[str, Any], key: str, axis: int) -> int:
    value = state.get(key)
    return int(value.shape[axis]) if isinstance(value, torch.Tensor) and value.ndim > axis else 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_axis(value: object) -> bool:
    return value in (0, 1, 2) and isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_list_of(rule: Callable[[object], bool], values: Any, length: int | None = None) -> bool:
    is_list = isinstance(values, (list, tuple)) and length in (None, len(values))
    return is_list and all(map(rule, values))


def _is_grid(value: object) -> bool:
    return _is_list_of(_is_count, value, 2)


def _is_corner(value: object) -> bool:
    return _is_list_of(_is_number, value, 3)


def _is_box(value: Any) -> bool:
    return _is_list_of(_is_corner, value, 2) and all(low < high for low, high in zip(*value))
