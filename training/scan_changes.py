"""What is done to a scan before any subnet sees it: left and right exchanged, other weather, other intensities.

A network that learns from one sensor, real or simulated, takes that sensor's intensities for a mark of the class: it
fails where another sensor, rain on a wall or a thin pole that returns nothing gives others. Changes that leave the
geometry as it is teach it to look at the shape as well.
"""

from __future__ import annotations

import numpy as np

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.simulation.corruptions import CORRUPTIONS, LEVELS, corrupt
from pasco_core.data.simulation.corruptions.corrupted import MAX_INTENSITY, checked
from pasco_core.geometry import VoxelGrid
from training.config import AugmentationConfig

GAIN = 0.2
"""Standard deviation of the logarithm of the factor on all intensities of a scan."""

CLASS_SHIFT = 0.06
"""Standard deviation of what is added to the intensities of a class in a scan."""

LOST_CLASSES, LOST_SHARE = 0.5, 0.5
"""Share of the classes of a scan some of whose returns have intensity 0, and at most which share of these returns: in
KITTI a quarter of those from poles and fences, and most of those from some cars, are so weak."""


def changed_scan(
    points: np.ndarray, truth: VoxelTruth, grid: VoxelGrid, config: AugmentationConfig, rng: np.random.Generator
) -> tuple[np.ndarray, VoxelTruth]:
    """A scan and its truth after the changes that are drawn for it; the inputs stay as they are.

    Args:
        points: (N, 4) float32, x y z in metres in KITTI's LiDAR frame and intensity 0 to 1.
        truth: of the scan's voxels.
        grid: of the truth; symmetric in y where ``config.mirror`` is above 0.
        config: how often what is done.
        rng: nothing is drawn for changes whose share is 0.

    Raises:
        CloudError: no point, or intensities outside 0 to 1, where there may be a change that needs them.
    """
    if config.intensity_changes or config.corruptions:
        points = checked(points)  # each scan, not only those that a change is drawn for
    if _drawn(config.mirror, rng):
        points, truth = mirrored(points, truth)
    if _drawn(config.intensity_changes, rng):
        points = with_other_intensities(points, truth, grid, rng)
    if _drawn(config.intensity_hidden, rng):
        points = points * np.array([1.0, 1.0, 1.0, 0.0], np.float32)
    if _drawn(config.corruptions, rng):
        name, level = CORRUPTIONS[rng.integers(len(CORRUPTIONS))], LEVELS[rng.integers(len(LEVELS))]
        changed = corrupt(points, name, level, int(rng.integers(2**31))).points
        points = changed if len(changed) else points
    return points, truth


def mirrored(points: np.ndarray, truth: VoxelTruth) -> tuple[np.ndarray, VoxelTruth]:
    """The scene with left and right exchanged.

    Voxels are half open: a point exactly on a border between two, one of a thousand or fewer, lies in the other of them
    afterwards.

    Args:
        points: (N, 4).
        truth: of a grid that reaches as far to the left as to the right.
    """
    points = points * np.array([1.0, -1.0, 1.0, 1.0], np.float32)
    return points, VoxelTruth(
        np.ascontiguousarray(truth.semantics[:, ::-1]), np.ascontiguousarray(truth.instances[:, ::-1])
    )


def with_other_intensities(
    points: np.ndarray, truth: VoxelTruth, grid: VoxelGrid, rng: np.random.Generator
) -> np.ndarray:
    """Points with intensities as another sensor, or other materials of the same things, would give them.

    All are multiplied by one factor; those of each class are shifted alike, and some classes lose part of theirs.
    Points outside the grid are shifted as the unknown ones are.

    Args:
        points: (N, 4) float32, intensity 0 to 1.
        truth: classes of the voxels.
        grid: of the truth.
        rng: what a class gets does not depend on which others are in the scan.
    """
    classes = np.full(len(points), 255, np.uint8)
    inside = grid.contains(points[:, :3])
    x, y, z = grid.voxel_of(points[inside, :3]).T
    classes[inside] = truth.semantics[x, y, z]
    factor = np.exp(rng.normal(0.0, GAIN))
    shift = rng.normal(0.0, CLASS_SHIFT, 256)
    lost = np.where(rng.random(256) < LOST_CLASSES, rng.uniform(0.0, LOST_SHARE, 256), 0.0)
    intensity = np.clip(points[:, 3] * factor + shift[classes], 0.0, MAX_INTENSITY)
    intensity[rng.random(len(points)) < lost[classes]] = 0.0
    points = points.copy()
    points[:, 3] = intensity
    return points


def _drawn(share: float, rng: np.random.Generator) -> bool:
    return share > 0 and rng.random() < share
