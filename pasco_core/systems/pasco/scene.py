"""Sparse results of the ensemble into one dense ``ScenePrediction``."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import LabelSet
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction
from pasco_core.systems.pasco.effort import Box
from pasco_core.systems.pasco.ensemble import SemanticScene
from pasco_core.systems.pasco.panoptic import PanopticScene


def make_scene(
    semantics: SemanticScene,
    panoptic: PanopticScene,
    confidence: Tensor,
    grid: VoxelGrid,
    labels: LabelSet,
    box: Box | None = None,
) -> ScenePrediction:
    """Class, segment and uncertainty of every voxel; what no subnet predicted is empty, and certainly so.

    Args:
        semantics: class probabilities on M voxels.
        panoptic: segments.
        confidence: (M,) in [0, 1] of those M voxels; uncertainty is 1 minus it.
        grid: of the scene.
        labels: its classes.
        box: the part of the grid that was completed; beyond it the class is ``UNKNOWN``, and nothing is certain.
    """
    voxels = semantics.voxels.cpu().numpy()
    probabilities = semantics.probabilities.cpu().numpy()
    in_masks = panoptic.voxels.cpu().numpy()
    classes = semantics.probabilities.argmax(1)
    doubt = 1.0 - confidence
    dense_classes = _spread(voxels, classes, grid, np.uint8)
    uncertainty = _spread(voxels, doubt.clamp_(0.0, 1.0), grid, np.float32)
    if box is not None:
        beyond = np.ones(grid.shape, bool)
        beyond[tuple(slice(low, high) for low, high in zip(*box))] = False
        dense_classes[beyond], uncertainty[beyond] = UNKNOWN, 1.0
    return ScenePrediction(
        grid=grid,
        labels=labels,
        semantics=dense_classes,
        panoptic=_spread(in_masks, panoptic.ids, grid, np.int32),
        segments=panoptic.segments,
        voxel_uncertainty=uncertainty,
        mask_confidence=_spread(in_masks, panoptic.mask_confidence, grid, np.float32),
        probability_voxels=voxels,
        probabilities=probabilities,
    )


def unobserved_scene(grid: VoxelGrid, labels: LabelSet, note: str) -> ScenePrediction:
    """The scene of a scan without a point in range: nothing is predicted, and nothing is certain."""
    return ScenePrediction(
        grid=grid,
        labels=labels,
        semantics=np.zeros(grid.shape, np.uint8),
        panoptic=np.zeros(grid.shape, np.int32),
        segments=[],
        voxel_uncertainty=np.ones(grid.shape, np.float32),
        mask_confidence=np.zeros(grid.shape, np.float32),
        probability_voxels=np.zeros(0, np.int64),
        probabilities=np.zeros((0, labels.n_classes), np.float32),
        notes=(note,),
    )


def _spread(voxels: np.ndarray, values: Tensor, grid: VoxelGrid, dtype: type) -> np.ndarray:
    dense: np.ndarray = np.zeros(grid.n_voxels, dtype)
    dense[voxels] = values.cpu().numpy()
    return dense.reshape(grid.shape)
