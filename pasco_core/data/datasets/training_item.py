"""What the networks learn from one item: per subnet the warped truth at three strides, its masks and its box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pasco_core.data.datasets.label_warp import WarpedTruth, warp_truth
from pasco_core.data.datasets.target_scales import scaled_targets
from pasco_core.data.datasets.training_masks import mask_targets
from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.errors import ConfigError
from pasco_core.geometry import VoxelGrid

BOX_STEP = 8
"""Boxes start at multiples of the network's coarsest stride, and their sizes are such multiples."""

CROP_SHARE = 0.8
"""Share of the known box's x and y extent that a random crop keeps, as published (SemanticKITTI, training only)."""


@dataclass(frozen=True)
class Crop:
    """A cut through x and y: voxels with ``lower <= index < upper`` stay; z is not cut.

    Args:
        lower, upper: (2,) float64 bounds of the voxel index in x and y.
    """

    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def random(
        cls,
        box_min: np.ndarray,
        box_max: np.ndarray,
        rng: np.random.Generator,
        share: float,
        around: np.ndarray | None = None,
    ) -> Crop:
        """A place drawn evenly within the box, or among those that hold a voxel.

        Args:
            box_min, box_max: (3,) voxel indices, inclusive.
            rng: two numbers are drawn.
            share: of the extent ``box_max - box_min`` that is kept, more than 0 and at most 1.
            around: (2,) index in x and y of a voxel that is to lie in the crop, as far as it lies in the box.
        """
        if not 0 < share <= 1:
            raise ConfigError(f"Expected the crop's share to be more than 0 and at most 1, got {share}")
        extent = (box_max[:2] - box_min[:2]).astype(np.float64)
        first, last = box_min[:2].astype(np.float64), box_min[:2] + (1 - share) * extent
        if around is not None:
            first, last = np.clip(around + 1 - share * extent, first, last), np.clip(around, first, last)
        lower = first + rng.random(2) * (last - first)
        # A box one voxel wide has no extent; its only layer must stay inside the half-open interval.
        return cls(lower, lower + np.maximum(share * extent, 1.0))

    def contains(self, voxels: np.ndarray) -> np.ndarray:
        """(P,) bool: which of the voxel indices (P, 3) stay."""
        x, y = voxels[:, 0], voxels[:, 1]
        (x_low, y_low), (x_high, y_high) = self.lower, self.upper
        return (x >= x_low) & (x < x_high) & (y >= y_low) & (y < y_high)

    def bounds(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inclusive voxel bounds (3,) of what stays of a box."""
        first, last = lower.copy(), upper.copy()
        first[:2] = np.maximum(first[:2], np.ceil(self.lower))
        last[:2] = np.minimum(last[:2], np.ceil(self.upper) - 1)
        return first, last


@dataclass(frozen=True)
class SubnetTarget:
    """The truth of one scan as one subnet sees it; dense arrays start at voxel ``box_min``.

    Args:
        box_min: (3,) int32, multiples of 8.
        box_max: (3,) int32, last known voxel, inclusive; the arrays reach to the next multiple of 8.
        semantics: stride 1, 2, 4 → uint8 class of each block, 0 = empty, 255 = unknown.
        geometry: stride 1, 2, 4 → uint8, 1 = occupied, 0 = empty, 255 = unknown.
        instances: uint16 instance at stride 1, 0 = none.
        mask_labels: (K,) uint8 class of each mask: stuff ascending, then instances ascending.
        mask_ids: int16 at stride 1: number of the voxel's mask from 1, 0 = none.
        crop: what input voxels must lie in, if there is a crop.
    """

    box_min: np.ndarray
    box_max: np.ndarray
    semantics: dict[int, np.ndarray]
    geometry: dict[int, np.ndarray]
    instances: np.ndarray
    mask_labels: np.ndarray
    mask_ids: np.ndarray
    crop: Crop | None = None

    def masks(self) -> np.ndarray:
        """(K, X, Y, Z) bool, the masks one by one: K times 2 MiB, which ``mask_ids`` avoids."""
        numbers = np.arange(1, len(self.mask_labels) + 1, dtype=np.int16)
        return self.mask_ids == numbers[:, None, None, None]

    def keeps(self, voxels: np.ndarray) -> np.ndarray:
        """(P,) bool: which input voxels (P, 3), in this subnet's grid, the crop leaves; all of them without one."""
        return np.ones(len(voxels), bool) if self.crop is None else self.crop.contains(voxels)


def subnet_target(
    truth: VoxelTruth,
    transform: np.ndarray,
    labels: LabelSet,
    grid: VoxelGrid,
    *,
    rng: np.random.Generator | None = None,
    crop_share: float | None = None,
    crop_around: np.ndarray | None = None,
    swap_empty_and_unknown: bool = False,
) -> SubnetTarget:
    """The target of one subnet for one scan (paper: supplementary, training; the item the published weights saw).

    A scan without any class has no masks; one without any known voxel has the box of the whole moved grid.

    Args:
        truth: of the scan, over ``grid``.
        transform: 4×4 of the subnet, as its input points have it.
        labels: classes of the truth.
        grid: the lattice.
        rng: places the crop.
        crop_share: share of the known extent in x and y that a random crop keeps (published: ``CROP_SHARE`` in
            training on SemanticKITTI); None for no crop.
        crop_around: (2,) x and y of a voxel, in the subnet's grid, that the crop is to hold; None: it lies anywhere.
        swap_empty_and_unknown: parity with the published weights, see ``scaled_targets``.

    Raises:
        ConfigError: a crop without ``rng`` or with a share out of range, or a transform that cannot be inverted.
        DataError: the truth has not the grid's shape, or instances on voxels that are no things.
    """
    warped = warp_truth(truth, transform, grid)
    crop = None
    if crop_share is not None:
        if rng is None:
            raise ConfigError("Expected rng to be a numpy Generator where there is a crop, got None")
        crop = Crop.random(*(warped.known_box() or (warped.lower, warped.upper)), rng, crop_share, crop_around)
        warped = warped.cut(*crop.bounds(warped.lower, warped.upper))
    box_min, box_max = warped.known_box() or (warped.lower, warped.upper)
    box_min = box_min // BOX_STEP * BOX_STEP
    semantics, instances = _dense(warped, box_min, box_max)
    scaled, geometry = scaled_targets(semantics, labels.n_classes, swap_empty_and_unknown=swap_empty_and_unknown)
    mask_labels, mask_ids = mask_targets(semantics, instances, labels)
    return SubnetTarget(box_min, box_max, scaled, geometry, instances, mask_labels, mask_ids, crop)


def global_box(targets: Sequence[SubnetTarget]) -> tuple[np.ndarray, np.ndarray]:
    """The box (3,) int32 in which all subnets of an item meet: inclusive, from and in multiples of 8 voxels."""
    lower = np.min([target.box_min for target in targets], axis=0)
    upper = np.max([target.box_max for target in targets], axis=0)
    return lower, lower + _in_steps(upper - lower + 1) - 1


def _dense(warped: WarpedTruth, box_min: np.ndarray, box_max: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Semantics and instances of the box, filled up with unknown to a multiple of 8 voxels."""
    part = warped.cut(box_min, box_max)
    shape = _in_steps(box_max - box_min + 1)
    place = tuple(slice(int(a), int(a) + n) for a, n in zip(part.lower - box_min, part.semantics.shape))
    semantics, instances = np.full(shape, UNKNOWN, np.uint8), np.zeros(shape, np.uint16)
    semantics[place], instances[place] = part.semantics, part.instances
    return semantics, instances


def _in_steps(size: np.ndarray) -> np.ndarray:
    return -(-size // BOX_STEP) * BOX_STEP
