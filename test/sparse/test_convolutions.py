"""Sparse convolutions against PyTorch's dense ones, forward and backward."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from dense_reference import LOWER, SHAPE, at_voxels, dense, dense_kernel, random_tensor, sorted_rows

from pasco_core.errors import DataError
from pasco_core.sparse import SparseTensor, ops
from pasco_core.sparse.gather_gemm import gather_gemm
from pasco_core.sparse.kernel_map import submanifold_map
from pasco_core.sparse.winograd import block_map, winograd_conv


def kernel(n_offsets: int, c_in: int = 5, c_out: int = 7, seed: int = 1) -> torch.Tensor:
    return torch.randn(n_offsets, c_in, c_out, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_submanifold_convolution_equals_the_dense_one_at_the_voxels(size, stride):
    x, weights = random_tensor(stride=stride), kernel(size**3)
    expected = at_voxels(F.conv3d(dense(x), dense_kernel(weights), padding=size // 2), x)
    torch.testing.assert_close(ops.submanifold_conv(x, weights).feats, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_both_submanifold_algorithms_agree_with_the_dense_convolution(share):
    x, weights = random_tensor(share=share), kernel(27)
    expected = at_voxels(F.conv3d(dense(x), dense_kernel(weights), padding=1), x)
    gathered = gather_gemm(x.feats, weights, submanifold_map(x.coordinates, 3))
    blocked = winograd_conv(x.feats, weights, block_map(x.coordinates))
    torch.testing.assert_close(gathered, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(blocked, expected, rtol=0, atol=1e-10)


def test_the_block_algorithm_stays_within_1e_5_in_single_precision():
    x = random_tensor(channels=64, share=0.9, dtype=torch.float32)
    weights = kernel(27, 64, 64).float() / (27 * 64) ** 0.5
    expected = at_voxels(F.conv3d(dense(x).double(), dense_kernel(weights.double()), padding=1), x).float()
    torch.testing.assert_close(winograd_conv(x.feats, weights, block_map(x.coordinates)), expected, rtol=0, atol=1e-5)


def test_strided_convolution_equals_the_dense_one_of_stride_2():
    x, weights = random_tensor(), kernel(8)
    out = ops.strided_conv(x, weights)
    expected = F.conv3d(dense(x), dense_kernel(weights), stride=2)
    half = tuple(low // 2 for low in LOWER)
    assert out.stride == 2
    torch.testing.assert_close(out.feats, at_voxels(expected, out, half), rtol=0, atol=1e-5)
    parents = {(b, x // 2 * 2, y // 2 * 2, z // 2 * 2) for b, x, y, z in x.coords.tolist()}
    assert {tuple(c) for c in out.coords.tolist()} == parents


def test_transposed_convolution_equals_the_dense_one_and_makes_every_child():
    x, weights = random_tensor(stride=2), kernel(8)
    out = ops.generative_transposed_conv(x, weights)
    expected = F.conv_transpose3d(dense(x), dense_kernel(weights).transpose(0, 1), stride=2)
    assert (out.n_voxels, out.stride) == (8 * x.n_voxels, 1)
    double = tuple(2 * low for low in LOWER)
    torch.testing.assert_close(out.feats, at_voxels(expected, out, double), rtol=0, atol=1e-5)


def test_pointwise_convolution_is_a_matrix_product_with_bias():
    x, weights, bias = random_tensor(), kernel(1)[0], torch.arange(7.0, dtype=torch.float64)[None]
    out = ops.submanifold_conv(x, weights, bias)
    torch.testing.assert_close(out.feats, torch.stack([row @ weights for row in x.feats]) + bias)


def test_a_bias_is_added_once_to_every_output_voxel():
    x, weights, bias = random_tensor(), kernel(27), torch.randn(7, dtype=torch.float64)
    plain = ops.submanifold_conv(x, weights).feats
    torch.testing.assert_close(ops.submanifold_conv(x, weights, bias).feats, plain + bias)


OPERATIONS = {
    "submanifold": (ops.submanifold_conv, 27, 1),
    "strided": (ops.strided_conv, 8, 1),
    "transposed": (ops.generative_transposed_conv, 8, 2),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("share", [0.05, 0.9])
def test_gradients_equal_finite_differences(name, share):
    operation, n_offsets, stride = OPERATIONS[name]
    x = random_tensor(channels=2, share=share, stride=stride)
    keep = torch.arange(x.n_voxels) < 40
    x = ops.prune(x, keep)
    weights = kernel(n_offsets, 2, 3)
    assert torch.autograd.gradcheck(
        lambda feats, k: operation(x.with_feats(feats), k).feats,
        (x.feats.clone().requires_grad_(), weights.clone().requires_grad_()),
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_equal_those_of_the_dense_convolution(name):
    operation, n_offsets, stride = OPERATIONS[name]
    x, weights = random_tensor(share=0.6, stride=stride), kernel(n_offsets)
    feats, k = x.feats.clone().requires_grad_(), weights.clone().requires_grad_()
    out = operation(x.with_feats(feats), k)
    target = torch.randn(out.feats.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    (out.feats * target).sum().backward()

    grid, dense_k = dense(x).requires_grad_(), dense_kernel(weights).clone().requires_grad_()
    if name == "submanifold":
        y, lower = F.conv3d(grid, dense_k, padding=1), LOWER
    elif name == "strided":
        y, lower = F.conv3d(grid, dense_k, stride=2), tuple(low // 2 for low in LOWER)
    else:
        y = F.conv_transpose3d(grid, dense_k.transpose(0, 1), stride=2)
        lower = tuple(2 * low for low in LOWER)
    (at_voxels(y, out, lower) * target).sum().backward()
    torch.testing.assert_close(feats.grad, at_voxels(grid.grad, x), rtol=0, atol=1e-9)
    torch.testing.assert_close(dense_kernel(k.grad), dense_k.grad, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_do_not_depend_on_the_order_of_the_voxels(name):
    operation, n_offsets, stride = OPERATIONS[name]
    x, weights = random_tensor(stride=stride), kernel(n_offsets)
    order = torch.randperm(x.n_voxels, generator=torch.Generator().manual_seed(3))
    shuffled = SparseTensor(x.coords[order], x.feats[order], stride)
    coords, feats = sorted_rows(operation(x, weights))
    other_coords, other_feats = sorted_rows(operation(shuffled, weights))
    assert torch.equal(coords, other_coords)
    torch.testing.assert_close(feats, other_feats, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_empty_tensor_passes_through_forward_and_backward(name):
    operation, n_offsets, stride = OPERATIONS[name]
    feats = torch.zeros(0, 5, requires_grad=True)
    k = kernel(n_offsets).float().requires_grad_()
    out = operation(SparseTensor(torch.zeros(0, 4, dtype=torch.int32), feats, stride), k)
    out.feats.sum().backward()
    assert out.feats.shape == (0, 7)
    assert torch.equal(k.grad, torch.zeros_like(k))


def test_batch_items_do_not_see_each_other():
    x, weights = random_tensor(), kernel(27)
    out = ops.submanifold_conv(x, weights)
    for item in (0, 1):
        alone = ops.prune(x, x.coords[:, 0] == item)
        expected = ops.submanifold_conv(alone, weights).feats
        torch.testing.assert_close(out.feats[x.coords[:, 0] == item], expected, rtol=0, atol=1e-12)


def test_coordinates_far_apart_take_the_search_instead_of_the_table():
    x, weights = random_tensor(), kernel(27)
    far = SparseTensor(
        torch.cat([x.coords, torch.tensor([[0, 30_000, -30_000, 30_000]])]), torch.cat([x.feats, x.feats[:1]])
    )
    assert not far.coordinates.index._dense
    out = ops.submanifold_conv(far, weights)
    torch.testing.assert_close(out.feats[:-1], ops.submanifold_conv(x, weights).feats, rtol=0, atol=1e-12)
    torch.testing.assert_close(out.feats[-1], x.feats[0] @ weights[13])


def test_layers_on_one_coordinate_set_share_one_kernel_map():
    x = random_tensor()
    first = ops.submanifold_conv(x, kernel(27))
    assert submanifold_map(first.coordinates, 3) is submanifold_map(x.coordinates, 3)
    assert (
        ops.strided_conv(x, kernel(8)).coordinates is ops.strided_conv(first.with_feats(x.feats), kernel(8)).coordinates
    )


@pytest.mark.parametrize(
    ("operation", "shape", "message"),
    [
        (ops.submanifold_conv, (27, 4, 7), r"kernel of shape \(K³, 5, Cout\) with K odd, got \(27, 4, 7\)"),
        (ops.submanifold_conv, (8, 5, 7), "with K odd, got"),
        (ops.submanifold_conv, (26, 5, 7), "got"),
        (ops.strided_conv, (27, 5, 7), "with K even, got"),
        (ops.strided_conv, (64, 5, 7), "size 2 for stride 2, got 4"),
        (ops.generative_transposed_conv, (8, 5, 7), "stride to be even before a transposed convolution, got 1"),
    ],
)
def test_a_kernel_that_does_not_fit_is_named(operation, shape, message):
    with pytest.raises(DataError, match=message):
        operation(random_tensor(), torch.zeros(shape, dtype=torch.float64))


def test_the_box_of_the_test_is_what_its_reference_assumes():
    assert all(low % 2 == 0 for low in LOWER) and all(n % 2 == 0 for n in SHAPE)
