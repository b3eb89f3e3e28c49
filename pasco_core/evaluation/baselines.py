"""What is reached without any network: the scan's own voxels with their true labels, and those labels spread around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.datasets.semantic_kitti import SemanticKitti
from pasco_core.data.frame import UNKNOWN, Frame
from pasco_core.data.label_set import LabelSet
from pasco_core.data.voxel_labels.instances import label_instances
from pasco_core.errors import ConfigError
from pasco_core.evaluation.sources import OpenSource
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction

NOTE = "a baseline made from the scan's true point labels"
METHODS = ("input voxels", "nearest labels")


@dataclass(frozen=True)
class BaselineSource:
    """Two baselines that get the true labels of the scan's points: what a network adds must lie above them.

    "input voxels" completes nothing: a voxel with points has the class of most of them. "nearest labels" gives every
    voxel within ``reach`` of such a voxel the class of the nearest. Instances are connected components. On a corrupted
    scan a point has the label of the nearest point of the clean one.

    Args:
        reach: metres.
        seed: unused; nothing is random.
    """

    reach: float = 0.4
    seed: int = 0

    def settings(self) -> dict[str, Any]:
        return {"source": "baselines from true point labels", "reach": self.reach}

    def places(self) -> dict[str, str]:
        return {}

    def prediction_digest(self, frame: Frame) -> str:
        return ""

    def open(self, dataset: Dataset, device: str = "cpu") -> OpenSource:
        """Ready to answer.

        Raises:
            ConfigError: the layout has no point labels.
        """
        if not isinstance(dataset, SemanticKitti):
            raise ConfigError(f"Expected a dataset with point labels for the baselines, got {dataset.labels.name}")
        return _OpenBaselines(dataset, self.reach)


@dataclass(frozen=True)
class _OpenBaselines:
    dataset: SemanticKitti
    reach: float
    methods: tuple[str, ...] = METHODS
    needs_points: bool = True

    def __call__(self, frame: Frame, points: np.ndarray) -> list[ScenePrediction]:
        grid, labels = self.dataset.grid, self.dataset.labels
        voxels = majority_voxels(points, self._labels_of(frame, points), grid, labels)
        spread = nearest_labels(voxels, self.reach / grid.voxel_size)
        return [
            scene_from_truth(label_instances(classes, labels.thing_ids), labels, grid, NOTE)
            for classes in (voxels, spread)
        ]

    def _labels_of(self, frame: Frame, points: np.ndarray) -> np.ndarray:
        clean, (classes, _) = self.dataset.points(frame), self.dataset.point_labels(frame)
        if np.array_equal(clean, points):
            return classes
        _, nearest = cKDTree(clean[:, :3]).query(points[:, :3])
        return classes[nearest]


def majority_voxels(points: np.ndarray, classes: np.ndarray, grid: VoxelGrid, labels: LabelSet) -> np.ndarray:
    """Grid of classes (X, Y, Z) uint8: the most frequent one of the labelled points of each voxel, 0 without any.

    Args:
        points: (N, 3 or more) metres.
        classes: (N,) uint8; 0 and 255 are no labels.
        grid: of the result.
        labels: the classes.
    """
    used = grid.contains(points[:, :3]) & (classes != UNKNOWN) & (classes != 0)
    flat = np.ravel_multi_index(tuple(grid.voxel_of(points[used, :3]).T), grid.shape)
    keys, counts = np.unique(flat * labels.n_classes + classes[used], return_counts=True)
    # The last of equal voxels wins: the most frequent class, the smallest of equally frequent ones.
    order = np.lexsort((-(keys % labels.n_classes), counts))
    result = np.zeros(grid.n_voxels, np.uint8)
    result[keys[order] // labels.n_classes] = keys[order] % labels.n_classes
    return result.reshape(grid.shape)


def nearest_labels(voxels: np.ndarray, reach: float) -> np.ndarray:
    """Every empty voxel within ``reach`` voxels of an occupied one gets its class; of a grid without any, a copy."""
    if not voxels.any():
        return voxels.copy()
    distance, nearest = distance_transform_edt(voxels == 0, return_indices=True)
    return np.where(distance <= reach, voxels[tuple(nearest)], 0).astype(np.uint8)
