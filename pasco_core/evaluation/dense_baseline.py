"""Points in, completed scene out, by the dense U-Net; instances are connected components, as in the other baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.data.point_cloud import checked_points
from pasco_core.data.voxel_labels.instances import label_instances
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.geometry import KITTI_GRID
from pasco_core.prediction import ScenePrediction
from pasco_core.systems.dense_unet import DenseUNet, voxel_features
from pasco_core.systems.pasco.point_inputs import point_inputs

NOTE = "a dense U-Net's classes; instances are connected components"


class DenseUNetPredictor:
    """Completes one LiDAR scan at a time.

    Args:
        network: trained; goes to evaluation mode.
        labels: its classes.
    """

    def __init__(self, network: DenseUNet, labels: LabelSet):
        self._network, self._labels, self._grid = network.eval(), labels, KITTI_GRID

    @torch.inference_mode()
    def __call__(self, points: np.ndarray) -> ScenePrediction:
        """The scene around the sensor, with the probabilities of every voxel of the grid.

        Args:
            points: (N, 4) float32, x y z in metres in KITTI's LiDAR frame, and intensity.

        Raises:
            CloudError: points of another shape, or not finite.
        """
        grid = self._grid
        inputs = point_inputs(checked_points(points), grid)
        volume = voxel_features(
            inputs.features, torch.from_numpy(inputs.voxels), torch.zeros(3, dtype=torch.int64), grid.shape
        )
        logits = self._network(volume)[1][0].permute(2, 3, 1, 0).reshape(grid.n_voxels, -1)
        probabilities = logits.softmax(1).numpy()
        classes = probabilities.argmax(1).astype(np.uint8).reshape(grid.shape)
        instances = label_instances(classes, self._labels.thing_ids).instances
        scene = scene_from_truth(VoxelTruth(classes, instances), self._labels, grid, NOTE)
        return replace(
            scene,
            voxel_uncertainty=(1 - probabilities.max(1)).reshape(grid.shape),
            probability_voxels=np.arange(grid.n_voxels),
            probabilities=probabilities,
        )
