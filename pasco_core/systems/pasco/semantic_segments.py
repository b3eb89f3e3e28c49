"""Segments without masks: stuff as all voxels of a class, things as the connected components of one.

It is how the published targets tell things apart, and what there is where masks were hardly trained.
"""

from __future__ import annotations

import numpy as np
import torch

from pasco_core.data.label_set import LabelSet
from pasco_core.data.voxel_labels.instances import label_instances
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import Segment
from pasco_core.systems.pasco.ensemble import SemanticScene
from pasco_core.systems.pasco.panoptic import PanopticScene

MIN_VOXELS = 20
"""Voxels that a segment must have: smaller components of a prediction are crumbs of larger things, or noise."""


def segments_from_semantics(scene: SemanticScene, grid: VoxelGrid, labels: LabelSet) -> PanopticScene:
    """Stuff segments by ascending class, then things as ``label_instances`` numbers them, of ``MIN_VOXELS`` or more.

    A segment's class probabilities are the mean of its voxels'.

    Args:
        scene: class probabilities on M voxels.
        grid: of these voxels.
        labels: which classes are things.
    """
    voxels, probabilities = scene.voxels.cpu().numpy(), scene.probabilities.cpu().numpy()
    category = probabilities.argmax(1)
    dense = np.zeros(grid.n_voxels, np.uint8)
    dense[voxels] = category
    things = label_instances(dense.reshape(grid.shape), labels.thing_ids, MIN_VOXELS).instances.reshape(-1)[voxels]
    stuff = ~np.isin(category, [0, *labels.thing_ids])
    stuff &= np.bincount(category, minlength=labels.n_classes)[category] >= MIN_VOXELS
    # Keys ascend as the segments do: classes of stuff, then things.
    keys = np.where(stuff, category, np.where(things > 0, labels.n_classes + things.astype(np.int64), 0))
    present, ids = np.unique(np.append(keys, 0), return_inverse=True)  # key 0, "none", is always the first
    ids = ids[:-1].astype(np.int32)
    sizes = np.bincount(ids, minlength=len(present))
    sums = [np.bincount(ids, column, len(present)) for column in probabilities.T]
    means = np.column_stack(sums) / np.maximum(sizes, 1)[:, None]
    first = np.zeros(len(present), np.int64)
    first[ids[::-1]] = category[::-1]
    segments = [_segment(number, int(first[number]), means[number], int(sizes[number]), labels)
                for number in range(1, len(present))]
    own = np.array([0.0, *(segment.confidence for segment in segments)], np.float32)
    of_voxel = np.where(ids > 0, probabilities[np.arange(len(ids)), category], 0).astype(np.float32)
    device = scene.voxels.device
    return PanopticScene(
        scene.voxels, torch.from_numpy(ids).to(device),
        torch.from_numpy(np.where(ids > 0, category, 0).astype(np.uint8)).to(device),
        torch.from_numpy(of_voxel).to(device), torch.from_numpy(own[ids]).to(device), segments,
    )


def _segment(number: int, category: int, mean: np.ndarray, n_voxels: int, labels: LabelSet) -> Segment:
    """The last class probability, "no object", is that of "empty"."""
    shares = np.append(np.where(np.arange(len(mean)) == 0, 0.0, mean), mean[0]).astype(np.float32)
    return Segment(
        id=number, category=category, is_thing=category in labels.thing_ids, confidence=float(mean[category]),
        class_probabilities=shares, n_voxels=n_voxels,
    )
