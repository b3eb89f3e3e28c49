"""Union, pruning, pooling and dense conversion against hand-made and dense references."""

from __future__ import annotations

import pytest
import torch
from dense_reference import LOWER, SHAPE, dense, random_tensor, sorted_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.errors import DataError
from pasco_core.sparse import CoordinateSet, SparseTensor, ops
from pasco_core.sparse.coordinates import unique_rows
from pasco_core.sparse.modules import SparseBatchNorm, SubmanifoldConv3d


def test_union_add_equals_the_sum_of_the_dense_grids():
    a, b = random_tensor(seed=0), random_tensor(seed=1)
    total = ops.union_add(a, b)
    torch.testing.assert_close(dense(total), dense(a) + dense(b))
    assert {tuple(c) for c in total.coords.tolist()} == {tuple(c) for x in (a, b) for c in x.coords.tolist()}


def test_union_add_passes_gradients_to_both_sides():
    a, b = random_tensor(channels=1, share=0.02), random_tensor(channels=1, share=0.02, seed=1)
    assert torch.autograd.gradcheck(
        lambda fa, fb: ops.union_add(a.with_feats(fa), b.with_feats(fb)).feats,
        (a.feats.clone().requires_grad_(), b.feats.clone().requires_grad_()),
    )


def test_union_add_with_an_empty_tensor_is_the_other_one():
    a = random_tensor()
    empty = SparseTensor(a.coords[:0], a.feats[:0])
    for total in (ops.union_add(a, empty), ops.union_add(empty, a)):
        assert all(torch.equal(x, y) for x, y in zip(sorted_rows(total), sorted_rows(a)))


def test_union_add_refuses_different_strides_and_widths():
    with pytest.raises(DataError, match="one stride and width, got 1 and 2"):
        ops.union_add(random_tensor(), random_tensor(stride=2))
    with pytest.raises(DataError, match="5 and 3"):
        ops.union_add(random_tensor(), random_tensor(channels=3))


def test_pruning_keeps_the_marked_voxels_in_order():
    x = random_tensor()
    keep = torch.rand(x.n_voxels, generator=torch.Generator().manual_seed(0)) < 0.5
    out = ops.prune(x, keep)
    assert torch.equal(out.coords, x.coords[keep]) and torch.equal(out.feats, x.feats[keep])
    assert ops.prune(x, torch.ones(x.n_voxels, dtype=torch.bool)) is x
    assert ops.prune(x, torch.zeros(x.n_voxels, dtype=torch.bool)).n_voxels == 0


def test_pruning_refuses_a_mask_of_another_length():
    with pytest.raises(DataError, match=r"bool mask of shape \(\d+,\), got \(3,\)"):
        ops.prune(random_tensor(), torch.ones(3, dtype=torch.bool))


def test_cropping_is_inclusive_on_both_sides():
    x = SparseTensor(torch.tensor([[0, i, 0, 0] for i in range(5)]), torch.arange(5.0)[:, None])
    out = ops.crop(x, torch.tensor([1, 0, 0]), torch.tensor([3, 0, 0]))
    assert out.feats.flatten().tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_global_pooling_equals_the_reduction_of_each_batch_item(mode):
    x = random_tensor()
    pooled = ops.global_pool(x, mode)
    for item in (0, 1):
        feats = x.feats[x.coords[:, 0] == item]
        expected = {"mean": feats.mean(0), "sum": feats.sum(0), "max": feats.max(0).values}[mode]
        torch.testing.assert_close(pooled[item], expected)


def test_a_batch_item_without_voxels_pools_to_zero():
    x = SparseTensor(torch.tensor([[2, 0, 0, 0]]), torch.full((1, 3), -5.0))
    for mode in ("mean", "sum", "max"):
        assert torch.equal(ops.global_pool(x, mode), torch.tensor([[0.0] * 3, [0.0] * 3, [-5.0] * 3]))


def test_broadcast_gives_each_voxel_the_row_of_its_batch_item():
    x = random_tensor()
    values = torch.tensor([[1.0], [2.0]])
    assert torch.equal(ops.broadcast(x, values).feats.flatten(), x.coords[:, 0].float() + 1)


def test_dense_and_back_is_the_same_tensor():
    x = random_tensor(stride=2)
    lower = torch.tensor(LOWER) * 2
    grid = ops.to_dense(x, lower, SHAPE)
    torch.testing.assert_close(grid, dense(x))
    back = ops.from_dense(grid, lower, stride=2)
    assert all(torch.equal(a, b) for a, b in zip(sorted_rows(back), sorted_rows(x)))


def test_a_voxel_outside_the_dense_box_is_an_error():
    x = SparseTensor(torch.tensor([[0, 0, 0, 9]]), torch.ones(1, 1))
    with pytest.raises(DataError, match=r"lie in the \(4, 4, 4\) cells from \[0, 0, 0\]"):
        ops.to_dense(x, torch.zeros(3, dtype=torch.int64), (4, 4, 4))


@pytest.mark.parametrize(
    ("coords", "feats", "stride", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int32), torch.zeros(2, 1), 1, r"integer tensor of shape \(N, 4\), got \(2, 3\)"),
        (torch.zeros(2, 4), torch.zeros(2, 1), 1, "torch.float32"),
        (torch.zeros(1, 4, dtype=torch.int32), torch.zeros(2, 1), 1, r"features to be of shape \(1, C\), got \(2, 1\)"),
        (torch.zeros(1, 4, dtype=torch.int32), torch.zeros(1, 1), 0, "stride to be a positive integer, got 0"),
    ],
)
def test_a_malformed_sparse_tensor_is_refused(coords, feats, stride, message):
    with pytest.raises(DataError, match=message):
        SparseTensor(coords, feats, stride)


def test_repeated_and_misaligned_coordinates_are_refused_when_they_are_first_used():
    twice = SparseTensor(torch.tensor([[0, 1, 1, 1], [0, 1, 1, 1]]), torch.ones(2, 1))
    with pytest.raises(DataError, match="unique, got repeated ones among 2"):
        ops.submanifold_conv(twice, torch.ones(27, 1, 1))
    odd = SparseTensor(torch.tensor([[0, 1, 0, 0]]), torch.ones(1, 1), stride=2)
    with pytest.raises(DataError, match="multiples of the stride 2"):
        ops.submanifold_conv(odd, torch.ones(27, 1, 1))


COORDINATE = st.tuples(st.integers(0, 2), *[st.integers(-30_000, 30_000)] * 3)


@settings(max_examples=60, deadline=None)
@given(st.sets(COORDINATE, min_size=1, max_size=40), st.lists(COORDINATE, max_size=20))
def test_rows_are_found_by_coordinate_however_far_apart_they_are(present, queries):
    known = sorted(present)
    found = CoordinateSet(torch.tensor(known)).rows_of(torch.tensor(queries + known, dtype=torch.int32).reshape(-1, 4))
    place = {c: i for i, c in enumerate(known)}
    assert found.tolist() == [place.get(c, -1) for c in queries + known]


def test_batch_norm_equals_the_dense_one_and_folds_into_the_convolution_before_it():
    torch.manual_seed(0)
    x = random_tensor(dtype=torch.float32)
    conv, norm = SubmanifoldConv3d(5, 7, bias=True), SparseBatchNorm(7)
    norm(conv(x))
    torch.testing.assert_close(
        norm(conv(x)).feats, torch.nn.functional.batch_norm(conv(x).feats, None, None, training=True), rtol=0, atol=1e-5
    )
    norm.eval()
    torch.testing.assert_close(conv(x, norm=norm).feats, norm(conv(x)).feats, rtol=0, atol=1e-5)


def test_batch_norm_trains_on_fewer_than_two_voxels_with_the_running_statistics():
    norm = SparseBatchNorm(3).train()
    x = SparseTensor(torch.zeros(1, 4, dtype=torch.int32), torch.ones(1, 3))
    torch.testing.assert_close(norm(x).feats, torch.ones(1, 3) / (1 + 1e-5) ** 0.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(COORDINATE, max_size=40))
def test_distinct_rows_equal_those_of_torch_unique(rows):
    rows = torch.tensor(rows, dtype=torch.int32).reshape(-1, 4)
    unique, which = unique_rows(rows)
    expected, expected_which = torch.unique(rows, dim=0, return_inverse=True)
    assert torch.equal(unique, expected) and unique.dtype == rows.dtype
    assert torch.equal(which, expected_which)
