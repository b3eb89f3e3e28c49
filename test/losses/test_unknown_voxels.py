"""What completion learns where the truth says "unknown": nothing, or to stay away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pasco_core.data.frame import UNKNOWN
from pasco_core.errors import ConfigError
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.losses import LossConfig, SubnetTarget, completion_losses

WEIGHTS = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
LABELS = np.array([0, 1, UNKNOWN, 2, UNKNOWN, 0, 1, UNKNOWN])


def target(labels: np.ndarray = LABELS) -> SubnetTarget:
    """A row of eight voxels along x in a box of 8³ that is unknown elsewhere."""
    volume = torch.full((8, 8, 8), UNKNOWN, dtype=torch.uint8)
    volume[:, 0, 0] = torch.from_numpy(labels.astype(np.uint8))
    lower, upper = torch.zeros(3, dtype=torch.int32), torch.full((3,), 7, dtype=torch.int32)
    return SubnetTarget(lower, upper, {1: volume}, torch.zeros(8, 8, 8, dtype=torch.int16), torch.zeros(0))


def losses(feats: torch.Tensor, weight: float, labels: np.ndarray = LABELS) -> dict[str, torch.Tensor]:
    coords = torch.zeros(8, 4, dtype=torch.int32)
    coords[:, 1] = torch.arange(8)
    config = LossConfig(unknown_as_empty=weight)
    return completion_losses({1: [SparseTensor(coords, feats)]}, [target(labels)], {1: WEIGHTS}, config)


def logits(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 3, dtype=torch.float64, generator=generator).requires_grad_()


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_cross_entropy_is_the_mean_in_which_an_unknown_voxel_counts_as_a_share_of_an_empty_one(weight):
    feats = logits()
    rows = feats.detach().numpy()
    each = np.log(np.exp(rows).sum(1)) - rows[np.arange(8), np.where(LABELS == UNKNOWN, 0, LABELS)]
    share = np.array([weight if label == UNKNOWN else WEIGHTS[label].item() for label in LABELS])
    assert losses(feats, weight)["completion_ce"].item() == pytest.approx((share * each).sum() / share.sum())


def test_unknown_voxels_are_pushed_towards_empty_or_left_alone():
    unknown = torch.from_numpy(LABELS == UNKNOWN)
    for weight in (0.0, 0.5):
        feats = logits()
        losses(feats, weight)["completion_ce"].backward()
        at_unknown = feats.grad[unknown]
        if weight == 0:
            assert not at_unknown.any()
        else:
            assert (at_unknown[:, 0] < 0).all() and (at_unknown[:, 1:] > 0).all()


def test_the_iou_term_leaves_unknown_voxels_out_whatever_their_weight():
    values = []
    for weight in (0.0, 0.5):
        feats = logits()
        term = losses(feats, weight)["completion_lovasz"]
        term.backward()
        assert not feats.grad[torch.from_numpy(LABELS == UNKNOWN)].any()
        values.append(term.item())
    assert values[0] == values[1] > 0


def test_where_nothing_is_known_everything_becomes_empty():
    feats = logits()
    terms = losses(feats, 0.5, np.full(8, UNKNOWN))
    terms["completion_ce"].backward()
    assert torch.isfinite(terms["completion_ce"]) and (feats.grad[:, 0] < 0).all()


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan")])
def test_a_weight_beyond_that_of_an_empty_voxel_is_refused(weight):
    with pytest.raises(ConfigError, match=f"unknown_as_empty to be from 0 to 1, got {weight}"):
        LossConfig(unknown_as_empty=weight)


def test_the_published_training_has_no_such_weight():
    assert LossConfig.published().unknown_as_empty == 0


def test_heads_without_a_voxel_in_their_box_have_a_gradient_of_zero_not_none():
    """Processes that train together wait for the gradients of every layer from each other."""
    inside, outside = logits(1), logits(2)
    coords = torch.zeros(8, 4, dtype=torch.int32)
    coords[:, 1] = torch.arange(8)
    far = coords + torch.tensor([0, 100, 0, 0], dtype=torch.int32)
    heads = [SparseTensor(coords, inside), SparseTensor(far, outside)]
    values = completion_losses({1: heads}, [target(), target()], {1: WEIGHTS}, LossConfig())
    sum(values.values()).backward()
    assert bool(inside.grad.any())
    assert torch.equal(outside.grad, torch.zeros(8, 3, dtype=torch.float64))
