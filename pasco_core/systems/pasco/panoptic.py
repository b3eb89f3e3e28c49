"""Masks to segments: each voxel goes to its strongest confident query (paper section 3.2; Mask2Former's inference)."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pasco_core.prediction import Segment
from pasco_core.systems.pasco.ensemble import MaskScene


@dataclass(frozen=True)
class PanopticThresholds:
    """When a query becomes a segment.

    Args:
        query: its class probability must exceed this.
        mask: a voxel belongs to it from this mask probability on.
        overlap: share of its voxels it must win against the other queries.
    """

    query: float = 0.7
    mask: float = 0.3
    overlap: float = 0.4


@dataclass(frozen=True)
class PanopticScene:
    """Segments on the voxels of a ``MaskScene``.

    Args:
        voxels: (M,) int64 flat grid indices.
        ids: (M,) int32 segment id, 0 = none.
        semantics: (M,) uint8 class of the segment, 0 = none.
        mask_confidence: (M,) the segment's share of the voxel's mask probability.
        instance_confidence: (M,) class probability of the segment.
        segments: by ascending id.
    """

    voxels: Tensor
    ids: Tensor
    semantics: Tensor
    mask_confidence: Tensor
    instance_confidence: Tensor
    segments: list[Segment]


def panoptic_inference(
    scene: MaskScene, thing_ids: Set[int], thresholds: PanopticThresholds | None = None
) -> PanopticScene:
    """Assigns voxels to segments.

    A stuff class found twice gets the id of its first segment on the second one's voxels, and nothing else there (class
    and confidence stay 0): the published numbers depend on it.

    Args:
        scene: masks (M, Q) and class probabilities (Q, classes + 1).
        thing_ids: countable classes.
        thresholds: default: the published ones.
    """
    thresholds = thresholds or PanopticThresholds()
    confidence, category = scene.query_probabilities.max(1)
    no_object = scene.query_probabilities.shape[1] - 1
    keep = (category != 0) & (category != no_object) & (confidence > thresholds.query)
    queries = keep.nonzero().squeeze(1)
    masks = scene.mask_probabilities.index_select(1, queries)
    n_voxels, n_kept = masks.shape
    if n_kept == 0 or n_voxels == 0:
        zeros = masks.new_zeros(n_voxels)
        return PanopticScene(scene.voxels, zeros.int(), zeros.byte(), zeros, zeros, [])

    winner = (masks * confidence[queries]).argmax(1)
    of_winner = masks.gather(1, winner[:, None]).squeeze(1)
    strong = of_winner >= thresholds.mask
    won = torch.bincount(winner[strong], minlength=n_kept)
    claimed = (masks >= thresholds.mask).sum(0)
    ids = [0] * n_kept
    segments: list[Segment] = []
    first_of_stuff: dict[int, int] = {}
    new = torch.zeros(n_kept, dtype=torch.bool)
    shares = zip(won.tolist(), claimed.tolist(), queries.tolist())
    for k, (n_won, n_claimed, query) in enumerate(shares):
        if n_won == 0 or n_won / n_claimed < thresholds.overlap:
            continue
        segment = _segment(scene, query, len(segments) + 1, thing_ids)
        if not segment.is_thing and segment.category in first_of_stuff:
            ids[k] = first_of_stuff[segment.category]
            continue
        first_of_stuff.setdefault(segment.category, segment.id)
        ids[k], new[k] = segment.id, True
        segments.append(segment)

    id_of_voxel = torch.where(strong, torch.tensor(ids, dtype=torch.int32, device=masks.device)[winner], 0)
    counted = torch.where(strong, new.to(masks.device)[winner], False)
    share = of_winner / (masks.sum(1) + 1e-8)
    sizes = torch.bincount(id_of_voxel, minlength=len(segments) + 1).tolist()
    return PanopticScene(
        scene.voxels,
        id_of_voxel,
        torch.where(counted, category[queries][winner], 0).to(torch.uint8),
        torch.where(counted, share, 0.0),
        torch.where(counted, confidence[queries][winner], 0.0),
        [replace(segment, n_voxels=sizes[segment.id]) for segment in segments],
    )


def _segment(scene: MaskScene, query: int, segment_id: int, thing_ids: Set[int]) -> Segment:
    probabilities = scene.query_probabilities[query]
    category = int(probabilities.argmax())
    return Segment(
        id=segment_id,
        category=category,
        is_thing=category in thing_ids,
        confidence=float(probabilities[category]),
        class_probabilities=probabilities.cpu().numpy().copy(),
        query_id=query,
    )
