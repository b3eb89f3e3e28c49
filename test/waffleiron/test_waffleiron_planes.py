"""Mean per cell and back, against dense matrices and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.systems.waffleiron.planes import PlaneIndex


def _tokens(m: int, channels: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(m).normal(size=(m, channels)))


@settings(max_examples=60, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    batch=st.integers(1, 3),
    draws=st.lists(st.integers(0, 10_000), min_size=1, max_size=40),
)
def test_scatter_mean_and_gather_equal_a_dense_matrix_product(grid, batch, draws):
    n_cells = batch * grid[0] * grid[1]
    cells = torch.tensor(draws) % n_cells
    tokens = _tokens(len(cells))
    plane = PlaneIndex.build(cells, grid, batch, torch.float64)
    member = torch.nn.functional.one_hot(cells, n_cells).double()
    mean = (member / (member.sum(0) + 1e-6)).T @ tokens
    image = plane.scatter_mean(tokens)
    assert image.shape == (batch, 3, *grid)
    dense = mean.view(batch, *grid, 3).permute(0, 3, 1, 2)
    torch.testing.assert_close(image, dense)
    torch.testing.assert_close(plane.gather(dense), member @ mean)
    torch.testing.assert_close(plane.coverage, (member.sum(0) / (member.sum(0) + 1e-6))[plane.occupied])


@pytest.mark.parametrize("name", ["scatter_mean", "gather"])
def test_gradients_of_both_directions_equal_finite_differences(name):
    cells = torch.tensor([5, 0, 5, 2, 11, 5])
    plane = PlaneIndex.build(cells, (3, 2), batch=2, dtype=torch.float64)
    value = (_tokens(6) if name == "scatter_mean" else torch.rand(2, 3, 3, 2, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(getattr(plane, name), value)
    assert torch.autograd.gradgradcheck(lambda x: getattr(plane, name)(x) ** 2, value)


def test_the_sum_over_a_cell_is_the_same_bits_every_time():
    source = torch.Generator().manual_seed(0)
    cells = torch.randint(0, 7, (5000,), generator=source)
    tokens = torch.randn(5000, 16, generator=source)
    plane = PlaneIndex.build(cells, (7, 1))
    first = plane.segment_sum(tokens)
    assert all(torch.equal(first, plane.segment_sum(tokens)) for _ in range(5))
