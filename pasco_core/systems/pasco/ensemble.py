"""Subnets back into one grid: averaged class probabilities, matched and averaged masks (paper section 3.3).

Everything stays on the voxels that some subnet predicted: the rest of the grid is empty with certainty, and adds
nothing to any sum. No array of masks over the whole grid exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.network import PaSCoOutput
from pasco_core.systems.pasco.transforms import GridWarp

# Rows handled at once where masks are averaged, so that the intermediate copies stay in the cache.
_ROWS = 8192


@dataclass(frozen=True)
class SemanticScene:
    """Class probabilities on the predicted voxels.

    Args:
        voxels: (M,) int64 ascending flat grid indices; every other voxel is empty with probability 1.
        probabilities: (M, classes).
    """

    voxels: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class MaskScene:
    """Mask probabilities on the predicted voxels.

    Args:
        voxels: (M,) int64 ascending flat grid indices; masks are zero everywhere else.
        mask_probabilities: (M, Q).
        query_probabilities: (Q, classes + 1).
    """

    voxels: Tensor
    mask_probabilities: Tensor
    query_probabilities: Tensor


@dataclass(frozen=True)
class EnsembleResult:
    """Every subnet alone, and their ensemble, in the scene's grid.

    Args:
        semantics: n subnets, then the ensemble.
        masks: n subnets, then the ensemble.
    """

    semantics: list[SemanticScene]
    masks: list[MaskScene]


def ensemble(output: PaSCoOutput, warps: Sequence[GridWarp], iou_threshold: float = 0.2) -> EnsembleResult:
    """Brings every subnet back to the grid and combines them.

    Args:
        output: of the network, n subnets; without masks there are no queries.
        warps: how subnet i saw the grid.
        iou_threshold: masks of two subnets match above this soft IoU; an ensemble mask needs it on average.
    """
    semantics = ensemble_semantics(output.semantic_logits[1], warps)
    if not output.mask_logits:
        return EnsembleResult(semantics, [_no_masks(scene) for scene in semantics])
    subnet_masks = [
        subnet_mask_scene(masks, queries, warp)
        for masks, queries, warp in zip(output.mask_logits, output.query_logits, warps)
    ]
    combined = ensemble_masks(subnet_masks, iou_threshold)
    occupied = semantics[-1].probabilities.argmax(1) != 0
    combined = restrict(combined, semantics[-1].voxels[occupied])
    return EnsembleResult(semantics, [*subnet_masks, combined])


def rows_in_grid(voxels: SparseTensor, warp: GridWarp) -> tuple[Tensor, Tensor]:
    """Which voxel of the subnet lies where each grid voxel is seen.

    Returns:
        (M,) int64 ascending flat grid indices that hit one, of the part of the grid that the warp is of, and (M,) int64
        rows of ``voxels``.
    """
    device = voxels.device
    low = torch.as_tensor(warp.box_min, device=device)
    cells = voxels.coords[:, 1:].to(torch.int64) - low
    shape = torch.as_tensor(warp.box_shape, device=device)
    inside = ((cells >= 0) & (cells < shape)).all(1)
    rows = inside.nonzero().squeeze(1)
    cells = cells[rows]
    flat = (cells[:, 0] * shape[1] + cells[:, 1]) * shape[2] + cells[:, 2]
    table = torch.full((int(shape.prod()),), -1, dtype=torch.int32, device=device)
    table[flat] = rows.to(torch.int32)
    found = table[warp.cells]
    hit = (found >= 0).nonzero().squeeze(1)
    return hit if warp.voxels is None else warp.voxels[hit], found[hit].to(torch.int64)


def ensemble_semantics(logits: Sequence[SparseTensor], warps: Sequence[GridWarp]) -> list[SemanticScene]:
    """Softmax of each subnet in the grid, and their mean (last); a subnet without a voxel votes "empty" there.

    Args:
        logits: per subnet (N, classes) at stride 1.
        warps: how subnet i saw the grid.
    """
    scenes = []
    for subnet, warp in zip(logits, warps):
        voxels, rows = rows_in_grid(subnet, warp)
        scenes.append(SemanticScene(voxels, torch.softmax(subnet.feats.float(), 1)[rows]))
    if len(scenes) == 1:
        return [scenes[0], scenes[0]]
    union = torch.unique(torch.cat([scene.voxels for scene in scenes]))
    total = probabilities_at(scenes[0], union)
    for scene in scenes[1:]:
        total += probabilities_at(scene, union)
    return [*scenes, SemanticScene(union, total / len(scenes))]


def probabilities_at(scene: SemanticScene, voxels: Tensor) -> Tensor:
    """(K, classes) at ascending flat indices ``voxels`` (K,) that hold all of the scene's; "empty" elsewhere."""
    probabilities = scene.probabilities.new_zeros(len(voxels), scene.probabilities.shape[1])
    probabilities[:, 0] = 1.0
    return probabilities.index_copy_(0, torch.searchsorted(voxels, scene.voxels), scene.probabilities)


def subnet_mask_scene(mask_logits: SparseTensor, query_logits: Tensor, warp: GridWarp) -> MaskScene:
    """One subnet's masks in the grid.

    Args:
        mask_logits: (N, Q) at stride 1.
        query_logits: (Q, classes + 1).
        warp: how the subnet saw the grid.
    """
    voxels, rows = rows_in_grid(mask_logits, warp)
    masks = torch.sigmoid(mask_logits.feats.float())
    return MaskScene(voxels, masks[rows], torch.softmax(query_logits.float(), 1))


def ensemble_masks(subnets: Sequence[MaskScene], iou_threshold: float = 0.2) -> MaskScene:
    """Matches the queries of subnets 2…n to those of the first and averages masks and class probabilities.

    Every pair of the assignment is averaged, matched or not; queries whose mean matched soft IoU does not exceed the
    threshold are dropped at the end. One subnet passes unchanged.

    Args:
        subnets: at least one.
        iou_threshold: soft IoU above which two masks match.
    """
    if len(subnets) == 1:
        return subnets[0]
    union = torch.unique(torch.cat([subnet.voxels for subnet in subnets]))
    anchor = _spread(subnets[0], union)
    classes = subnets[0].query_probabilities.clone()
    matched_iou = torch.zeros(len(classes), dtype=torch.float64)
    for i, subnet in enumerate(subnets[1:], 1):
        other = _spread(subnet, union)
        iou = soft_iou(anchor, other)
        iou = torch.where(iou > iou_threshold, iou, 0.0)
        rows, columns = linear_sum_assignment((1 - iou).cpu().numpy())
        order = torch.as_tensor(columns, device=anchor.device)
        for begin in range(0, len(union), _ROWS):
            part = slice(begin, begin + _ROWS)
            anchor[part] = (anchor[part] * i + other[part].index_select(1, order)) / (i + 1)
        classes = (classes * i + subnet.query_probabilities[order]) / (i + 1)
        matched_iou += iou.cpu().double()[rows, columns]
    keep = (matched_iou / (len(subnets) - 1) > iou_threshold).nonzero().squeeze(1).to(anchor.device)
    return MaskScene(union, anchor.index_select(1, keep), classes[keep])


def soft_iou(a: Tensor, b: Tensor) -> Tensor:
    """Soft IoU (Qa, Qb) of masks (M, Qa) and (M, Qb) with values in [0, 1]; 0 where both are empty."""
    intersection = a.T @ b
    union = a.sum(0)[:, None] + b.sum(0)[None] - intersection
    return torch.where(union > 0, intersection / union, 0.0)


def restrict(scene: MaskScene, voxels: Tensor) -> MaskScene:
    """The masks on those of ascending flat indices ``voxels`` (K,) where they are."""
    keep = torch.isin(scene.voxels, voxels, assume_unique=True)
    return MaskScene(scene.voxels[keep], scene.mask_probabilities[keep], scene.query_probabilities)


def _no_masks(scene: SemanticScene) -> MaskScene:
    n_classes = scene.probabilities.shape[1]
    no_voxel = scene.voxels[:0]
    return MaskScene(no_voxel, scene.probabilities.new_zeros(0, 0), scene.probabilities.new_zeros(0, n_classes + 1))


def _spread(scene: MaskScene, union: Tensor) -> Tensor:
    masks = scene.mask_probabilities.new_zeros(len(union), scene.mask_probabilities.shape[1])
    return masks.index_copy_(0, torch.searchsorted(union, scene.voxels), scene.mask_probabilities)
