"""The losses PaSCo is trained with (paper section 3.4): completion, masks, and voxels as the queries see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pasco_core.data.frame import UNKNOWN
from pasco_core.errors import ConfigError
from pasco_core.losses import dice_cost, dice_loss, focal_cost, focal_loss, lovasz_softmax
from pasco_core.matching import match
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.mask_transformer import MaskPrediction
from pasco_core.systems.pasco.network import PaSCoOutput

_EMPTY_QUERY_WEIGHT = 0.1


@dataclass(frozen=True)
class LossConfig:
    """Weights and parity switches.

    Args:
        completion_weight: of cross-entropy and Lovász on the decoder's logits.
        class_weight: of the queries' classification.
        mask_weight: of the focal term of masks.
        dice_weight: of their Dice term.
        voxel_query_weight: of the cross-entropy on voxels classified through the queries.
        voxel_query_lovasz_weight: of the Lovász term on them.
        final_voxel_query_loss: the published training computes the voxel-query terms of the last layer but never adds
            them; True adds them.
        unknown_is_negative: the published training takes unknown voxels for negatives of every class in the Lovász
            term of completion; False leaves them out.
        supervise_pruned: the published training gives completion losses only to the voxels that a stage keeps, so that
            what it wrongly called empty is never corrected there; True gives them to all candidates.
        unknown_as_empty: weight, from 0 to 1 of that of an empty voxel, with which the cross-entropy of completion
            takes unknown voxels for empty; 0 leaves them out. What nobody can see is in no metric, but left alone a
            network fills it, and carries it through the decoder. The published training had something like it by
            mistake: its targets at strides 4 and 2 call unknown blocks empty (``TargetConfig.swapped_coarse_empty``).
            Lovász leaves unknown voxels out, as the IoU does, and so do the masks: what is there nobody knows.
    """

    completion_weight: float = 1.0
    class_weight: float = 2.0
    mask_weight: float = 40.0
    dice_weight: float = 1.0
    voxel_query_weight: float = 0.3
    voxel_query_lovasz_weight: float = 1.0
    final_voxel_query_loss: bool = True
    unknown_is_negative: bool = False
    supervise_pruned: bool = True
    unknown_as_empty: float = 0.4

    def __post_init__(self) -> None:
        if not 0 <= self.unknown_as_empty <= 1:
            raise ConfigError(f"Expected unknown_as_empty to be from 0 to 1, got {self.unknown_as_empty}")

    @classmethod
    def published(cls) -> LossConfig:
        """As the authors' checkpoints were trained."""
        return cls(
            final_voxel_query_loss=False, unknown_is_negative=True, supervise_pruned=False, unknown_as_empty=0.0
        )


@dataclass(frozen=True)
class SubnetTarget:
    """What one subnet should predict, in its own warped grid.

    Args:
        origin: (3,) int, voxel of the volumes' first cell; a multiple of 8.
        upper: (3,) int, inclusive bound of the known voxels.
        semantics: stride (4, 2, 1) → volume of classes, 255 = unknown.
        segments: volume at stride 1, number of the voxel's segment from 1, 0 = none.
        segment_classes: (K,) int64, class of segment 1, 2, ...
    """

    origin: Tensor
    upper: Tensor
    semantics: Mapping[int, Tensor]
    segments: Tensor
    segment_classes: Tensor

    def holds(self, voxels: SparseTensor) -> Tensor:
        """Mask (N,) of the voxels that lie in the target's box."""
        spatial = voxels.coords[:, 1:]
        return ((spatial >= self.origin.to(spatial)) & (spatial <= self.upper.to(spatial))).all(1)

    def at(self, volume: Tensor, voxels: SparseTensor, inside: Tensor) -> Tensor:
        """Values (K,) of one of the volumes, of the voxels' stride, at those K of the voxels that the box holds."""
        cells = voxels.coords[inside, 1:] - self.origin.to(voxels.coords)
        x, y, z = torch.div(cells, voxels.stride, rounding_mode="floor").long().unbind(1)
        return volume[x, y, z]


def completion_losses(
    logits: Mapping[int, list[SparseTensor]],
    targets: list[SubnetTarget],
    class_weights: Mapping[int, Tensor],
    config: LossConfig | None = None,
) -> dict[str, Tensor]:
    """``completion_ce`` and ``completion_lovasz``, each the mean over strides and subnets with a voxel in their box.

    Args:
        logits: stride → per subnet (N, classes) on the voxels that count: all candidates, or those the decoder kept.
        targets: per subnet.
        class_weights: stride → (classes,).
        config: default: corrected behaviour.
    """
    config = config or LossConfig()
    ce, lovasz = [], []
    # Every head has a part in the sum, also one without a voxel in its box: processes that train together exchange
    # gradients of the same layers in the same order.
    nothing = torch.stack([scores.feats.sum() * 0.0 for per_subnet in logits.values() for scores in per_subnet]).sum()
    for stride, per_subnet in logits.items():
        for scores, target in zip(per_subnet, targets):
            inside = target.holds(scores)
            if not bool(inside.any()):
                continue
            kept, labels = scores.feats[inside], target.at(target.semantics[stride], scores, inside).long()
            ce.append(_completion_cross_entropy(kept, labels, class_weights[stride], config.unknown_as_empty))
            lovasz.append(lovasz_softmax(kept.softmax(1), labels, unknown_is_negative=config.unknown_is_negative))
    weight = config.completion_weight
    return {
        "completion_ce": weight * torch.stack(ce).mean() + nothing if ce else nothing,
        "completion_lovasz": weight * torch.stack(lovasz).mean() if lovasz else nothing,
    }


def mask_losses(
    prediction: MaskPrediction, target: SubnetTarget, voxel_weights: Tensor, config: LossConfig | None = None
) -> dict[str, Tensor]:
    """The terms of one subnet's queries after one layer, matched anew to the target's segments.

    Args:
        prediction: query logits (Q, classes + 1) and mask logits (N, Q).
        target: of the same subnet.
        voxel_weights: (classes,) of the voxel-query cross-entropy.
        config: default: corrected behaviour.

    Returns:
        ``class``, ``mask``, ``dice``, ``voxel_query_ce``, ``voxel_query_lovasz``: weighted scalars; those without
        anything to compare are 0.
    """
    config = config or LossConfig()
    inside = target.holds(prediction.mask_logits)
    logits = prediction.mask_logits.feats[inside]
    semantics = target.at(target.semantics[1], prediction.mask_logits, inside).long()
    known = semantics != UNKNOWN
    segments = target.at(target.segments, prediction.mask_logits, inside)[known]
    masks = _one_hot(segments, len(target.segment_classes), logits.dtype)
    logits, semantics = logits[known], semantics[known]
    queries, matched = match(_cost(prediction.query_logits, logits, masks, target.segment_classes, config))
    ce, lovasz = _voxel_query_losses(prediction.query_logits, logits, semantics, voxel_weights)
    zero = logits.sum() * 0.0
    compared = len(queries) > 0 and len(logits) > 0
    classes = _query_class_loss(prediction.query_logits, queries, target.segment_classes[matched])
    return {
        "class": config.class_weight * classes,
        "mask": config.mask_weight * focal_loss(logits[:, queries], masks[:, matched]).mean() if compared else zero,
        "dice": config.dice_weight * dice_loss(logits[:, queries], masks[:, matched]).mean() if compared else zero,
        "voxel_query_ce": config.voxel_query_weight * ce,
        "voxel_query_lovasz": config.voxel_query_lovasz_weight * lovasz,
    }


def total_loss(
    output: PaSCoOutput,
    targets: list[SubnetTarget],
    class_weights: Mapping[int, Tensor],
    config: LossConfig | None = None,
    *,
    masks: bool = True,
) -> dict[str, Tensor]:
    """Every term, and their sum as ``total``.

    Args:
        output: of the network in training mode.
        targets: per subnet.
        class_weights: stride → (classes,).
        config: default: corrected behaviour.
        masks: False trains completion only, as the first epoch of three subnets does.

    Raises:
        ConfigError: ``supervise_pruned`` with the output of a network in evaluation mode, which keeps no candidates.
    """
    config = config or LossConfig()
    if config.supervise_pruned and not output.candidate_logits:
        raise ConfigError("Expected the output of a network in training mode, for losses on all candidates, got none")
    logits = output.candidate_logits if config.supervise_pruned else output.semantic_logits
    terms = completion_losses(logits, targets, class_weights, config)
    if masks:
        n = len(targets)
        for i, target in enumerate(targets):
            final = MaskPrediction(output.query_logits[i], output.mask_logits[i])
            layers = [("final", final), *((f"layer{k}", p) for k, p in enumerate(output.auxiliary[i]))]
            for layer, prediction in layers:
                for name, value in mask_losses(prediction, target, class_weights[1], config).items():
                    if layer == "final" and name.startswith("voxel_query") and not config.final_voxel_query_loss:
                        continue
                    key = f"{layer}_{name}"
                    terms[key] = terms.get(key, 0.0) + value / n
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def _cost(query_logits: Tensor, logits: Tensor, masks: Tensor, classes: Tensor, config: LossConfig) -> Tensor:
    """(Q, K), without a gradient. Only voxels of some segment count: the empty ones would all favour small masks."""
    with torch.no_grad():
        probability = query_logits.softmax(1)[:, classes]
        claimed = masks.any(1)
        logits, masks = logits[claimed], masks[claimed]
        focal = focal_cost(logits, masks)
        return config.mask_weight * focal - probability + config.dice_weight * dice_cost(logits, masks)


def _query_class_loss(query_logits: Tensor, queries: Tensor, classes: Tensor) -> Tensor:
    """Mean over all queries; the unmatched ones should say "no object"."""
    no_object = query_logits.shape[1] - 1
    target = query_logits.new_full((len(query_logits),), no_object, dtype=torch.int64)
    target[queries] = classes
    weight = query_logits.new_ones(no_object + 1)
    weight[0] = weight[no_object] = _EMPTY_QUERY_WEIGHT
    return F.cross_entropy(query_logits, target, weight=weight, reduction="none").mean()


def _voxel_query_losses(
    query_logits: Tensor, logits: Tensor, semantics: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Each voxel's class logits as the mean of its queries' class logits, weighted by how much the voxel is theirs."""
    objects = query_logits.argmax(1) != query_logits.shape[1] - 1
    if not bool(objects.any()) or len(logits) == 0:
        zero = logits.sum() * 0.0
        return zero, zero
    share = logits[:, objects].sigmoid() + 1e-8
    share = share / share.sum(1, keepdim=True)
    scores = share @ query_logits[objects][:, :-1]
    # Class 0 is left to the completion losses: masks are there for what is not empty.
    ce = _weighted_cross_entropy(scores, semantics, weights, ignored=0)
    return ce, lovasz_softmax(scores.softmax(1), semantics, skipped={0})


def _completion_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor, unknown_as_empty: float) -> Tensor:
    """Weighted mean over the known voxels, and over the unknown ones as empty with their share of its weight."""
    if unknown_as_empty == 0:
        return _weighted_cross_entropy(logits, labels, weights, ignored=UNKNOWN)
    unknown = labels == UNKNOWN
    labels = labels.masked_fill(unknown, 0)
    weight = weights.to(logits)[labels]
    weight = torch.where(unknown, unknown_as_empty * weight, weight)
    return (weight * F.cross_entropy(logits, labels, reduction="none")).sum() / weight.sum()


def _weighted_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor, ignored: int) -> Tensor:
    """Weighted mean; 0 where every row is ignored, for which PyTorch gives NaN."""
    if not bool((target != ignored).any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits, target, weight=weights.to(logits), ignore_index=ignored)


def _one_hot(segments: Tensor, n_segments: int, dtype: torch.dtype) -> Tensor:
    return (segments[:, None] == torch.arange(1, n_segments + 1, device=segments.device)).to(dtype)
