"""Loss terms against references written another way, their gradients against finite differences, and odd inputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from pasco_core.errors import ConfigError, InferenceError
from pasco_core.losses import inverse_frequency_weights, lovasz_softmax
from pasco_core.matching import match
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.losses import LossConfig, SubnetTarget, completion_losses, mask_losses, total_loss
from pasco_core.systems.pasco.mask_transformer import MaskPrediction
from pasco_core.systems.pasco.network import PaSCoOutput

N_CLASSES = 4


@pytest.fixture(autouse=True)
def one_thread():
    """Thousands of tiny operations: a second thread only costs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


UNKNOWN = 255


def jaccard_loss(wrong: set[int], foreground: set[int]) -> float:
    """1 - IoU of a class whose voxels ``wrong`` are misjudged: the set function that Lovász extends."""
    correct = foreground - wrong
    return 1.0 - len(correct) / len(foreground | wrong)


def lovasz_by_definition(probabilities: np.ndarray, target: np.ndarray) -> float:
    """Mean over present classes of sum of errors times the marginal increase of the set function, as Lovász defines."""
    values = []
    for category in sorted(set(target.tolist()) - {UNKNOWN}):
        rows = [i for i in range(len(target)) if target[i] != UNKNOWN]
        foreground = {i for i in rows if target[i] == category}
        errors = {i: abs(float(i in foreground) - probabilities[i, category]) for i in rows}
        wrong: set[int] = set()
        total = 0.0
        for i in sorted(rows, key=lambda i: -errors[i]):
            before = jaccard_loss(wrong, foreground)
            wrong = wrong | {i}
            total += errors[i] * (jaccard_loss(wrong, foreground) - before)
        values.append(total)
    return float(np.mean(values))


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_equals_its_definition_set_by_set(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(N_CLASSES), 15)
    target = rng.choice([0, 1, 3, UNKNOWN], 15)
    loss = lovasz_softmax(torch.from_numpy(probabilities), torch.from_numpy(target))
    assert loss.item() == pytest.approx(lovasz_by_definition(probabilities, target), abs=1e-9)


def test_lovasz_of_hard_predictions_is_one_minus_iou():
    target = torch.tensor([0, 0, 1, 1, 1])
    probabilities = torch.eye(2, dtype=torch.float64)[torch.tensor([0, 1, 1, 1, 0])]
    ious = [1 / 3, 2 / 4]
    assert lovasz_softmax(probabilities, target).item() == pytest.approx(1 - np.mean(ious))


def test_lovasz_without_any_class_is_zero_with_a_gradient():
    logits = torch.randn(3, N_CLASSES, requires_grad=True)
    lovasz_softmax(logits.softmax(1), torch.full((3,), UNKNOWN)).backward()
    assert torch.equal(logits.grad, torch.zeros(3, N_CLASSES))


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_matching_is_the_cheapest_of_all_assignments(shape):
    cost = torch.from_numpy(np.random.default_rng(1).normal(size=shape))
    queries, targets = match(cost)
    assert len(queries) == min(shape)
    matrix = cost if shape[0] <= shape[1] else cost.T
    best = min(
        sum(matrix[i, j].item() for i, j in enumerate(columns))
        for columns in itertools.permutations(range(matrix.shape[1]), matrix.shape[0])
    )
    assert cost[queries, targets].sum().item() == pytest.approx(best)


def test_matching_without_targets_is_empty():
    queries, targets = match(torch.zeros(7, 0))
    assert queries.tolist() == targets.tolist() == []


def test_more_targets_than_queries_leave_the_dearest_unmatched():
    queries, targets = match(torch.tensor([[5.0, 1.0, 9.0], [1.0, 5.0, 9.0]]))
    assert (queries.tolist(), targets.tolist()) == ([0, 1], [1, 0])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_cost_that_is_not_finite_is_an_error_that_counts_them(value):
    with pytest.raises(InferenceError, match="1 of 6 with NaN or Inf"):
        match(torch.tensor([[0.0, 1.0, 2.0], [3.0, value, 5.0]]))


def scene(n_targets: int = 2) -> SubnetTarget:
    """An 8³ box: class 1 below, an instance of class 2 on it, some unknown; the rest empty."""
    semantics = torch.zeros(8, 8, 8, dtype=torch.uint8)
    semantics[:, :, 0] = 1
    semantics[2:4, 2:4, 1:3] = 2
    semantics[6:, 6:, 4:] = UNKNOWN
    segments = torch.zeros(8, 8, 8, dtype=torch.int16)
    segments[semantics == 1] = 1
    segments[semantics == 2] = 2
    if n_targets == 0:
        segments.zero_()
    classes = torch.tensor([1, 2][:n_targets], dtype=torch.int64)
    volumes = {1: semantics, 2: semantics[::2, ::2, ::2], 4: semantics[::4, ::4, ::4]}
    lower, upper = torch.zeros(3, dtype=torch.int32), torch.full((3,), 7, dtype=torch.int32)
    return SubnetTarget(lower, upper, volumes, segments, classes)


def voxels(stride: int, n: int, channels: int, seed: int) -> SparseTensor:
    generator = torch.Generator().manual_seed(seed)
    cells = torch.cartesian_prod(*(torch.arange(0, 8, stride),) * 3)
    cells = cells[torch.randperm(len(cells), generator=generator)[:n]]
    coords = torch.nn.functional.pad(cells, (1, 0)).to(torch.int32)
    return SparseTensor(coords, torch.randn(len(cells), channels, dtype=torch.float64, generator=generator), stride)


def weights() -> dict[int, torch.Tensor]:
    return {s: inverse_frequency_weights([100.0, 10.0, 1.0, 1.0]).double() for s in (1, 2, 4)}


@pytest.mark.parametrize("name", ["completion_ce", "completion_lovasz"])
def test_gradients_of_completion_losses_equal_finite_differences(name):
    tensors = [voxels(4, 5, N_CLASSES, 0), voxels(2, 12, N_CLASSES, 1), voxels(1, 20, N_CLASSES, 2)]

    def loss(*feats):
        logits = {t.stride: [t.with_feats(f)] for t, f in zip(tensors, feats)}
        return completion_losses(logits, [scene()], weights())[name]

    assert torch.autograd.gradcheck(loss, [t.feats.clone().requires_grad_() for t in tensors], eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("name", ["class", "mask", "dice", "voxel_query_ce", "voxel_query_lovasz"])
def test_gradients_of_mask_losses_equal_finite_differences(name):
    masks = voxels(1, 24, 3, 3)
    queries = torch.randn(3, N_CLASSES + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def loss(query_logits, mask_logits):
        prediction = MaskPrediction(query_logits, masks.with_feats(mask_logits))
        return mask_losses(prediction, scene(), weights()[1])[name]

    inputs = [queries.requires_grad_(), masks.feats.clone().requires_grad_()]
    assert loss(*inputs).item() > 0
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-7, atol=1e-5)


def output(n_voxels: int = 40, with_candidates: bool = True) -> PaSCoOutput:
    logits = {s: [voxels(s, 6, N_CLASSES, s)] for s in (4, 2, 1)}
    candidates = {s: [voxels(s, 8, N_CLASSES, s + 10)] for s in (4, 2, 1)} if with_candidates else {}
    queries = torch.randn(5, N_CLASSES + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    masks = voxels(1, n_voxels, 5, 6)
    return PaSCoOutput(logits, [queries], [masks], [[MaskPrediction(queries, masks)] * 3], candidates)


@pytest.mark.parametrize(("n_targets", "n_voxels"), [(0, 40), (2, 0), (0, 0), (2, 40)])
def test_a_frame_without_masks_or_without_voxels_has_finite_losses(n_targets, n_voxels):
    losses = total_loss(output(n_voxels), [scene(n_targets)], weights())
    assert all(bool(torch.isfinite(value)) for value in losses.values())
    assert (losses["final_mask"].item() == 0) == (n_targets == 0 or n_voxels == 0)


def test_the_total_is_the_sum_of_its_terms_and_the_last_voxel_query_loss_is_a_switch():
    corrected = total_loss(output(), [scene()], weights())
    published = total_loss(output(), [scene()], weights(), LossConfig.published())
    assert corrected["total"].item() == pytest.approx(sum(v.item() for k, v in corrected.items() if k != "total"))
    assert set(corrected) - set(published) == {"final_voxel_query_ce", "final_voxel_query_lovasz"}


def test_new_trainings_supervise_all_candidates_and_published_ones_only_what_was_kept():
    result = output()
    for config, logits in ((LossConfig(), result.candidate_logits), (LossConfig.published(), result.semantic_logits)):
        expected = completion_losses(logits, [scene()], weights(), config)["completion_ce"]
        assert total_loss(result, [scene()], weights(), config)["completion_ce"].item() == expected.item()


def test_losses_on_all_candidates_refuse_an_output_without_them():
    with pytest.raises(ConfigError, match="training mode"):
        total_loss(output(with_candidates=False), [scene()], weights())
