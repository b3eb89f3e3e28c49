"""Batch norm over several processes against PyTorch's batch norm over all rows in one."""

from __future__ import annotations

import pytest
import torch
import torch.multiprocessing
from shared_rows import CHANNELS, SIZES, STEPS, fresh, in_process, rows, train
from torch import nn

from pasco_core.sparse.modules import SparseBatchNorm
from training.synchronised_batch_norm import SynchronisedBatchNorm, SynchronisedBatchNorms


@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", ["1d", pytest.param("3d", marks=pytest.mark.soak)])
def test_three_processes_with_uneven_shares_equal_one_with_all_rows(tmp_path, kind):
    torch.multiprocessing.spawn(in_process, args=(kind, str(tmp_path)), nprocs=3)
    shares = [torch.load(tmp_path / f"rank_{rank}.pt") for rank in range(3)]
    model = fresh(kind)
    for step, counts in enumerate(STEPS):
        ours = [share[step] for share in shares]
        y, x_gradient, weight, bias, mean, variance = (list(values) for values in zip(*ours))
        values_per_channel = sum(counts) * int(torch.tensor(SIZES[kind]).prod())
        if values_per_channel < 2:  # undefined for PyTorch, which refuses; ours goes on with the running statistics
            model.eval()
        expected = train(model, *rows(step, kind))
        model.train()
        found = [torch.cat(y), torch.cat(x_gradient), sum(weight), sum(bias), mean[0], variance[0]]
        for name, a, b in zip(("y", "x", "weight", "bias", "mean", "variance"), found, expected, strict=True):
            assert torch.allclose(a, b, rtol=1e-9, atol=1e-9), f"step {step}: {name} differs by {(a - b).abs().max()}"
        assert all(torch.equal(mean[0], other) for other in mean), "the same statistics everywhere"
        assert all(torch.equal(variance[0], other) for other in variance)


def test_one_process_alone_gives_what_batch_norm_gives():
    x, gradient = rows(0, "1d")
    model = SynchronisedBatchNorms().apply(fresh("1d"))
    for a, b in zip(train(model, x, gradient), train(fresh("1d"), x, gradient), strict=True):
        assert torch.equal(a, b)


def test_weights_and_statistics_stay_the_same_tensors_under_the_same_names_there_and_back():
    model = nn.Sequential(SparseBatchNorm(CHANNELS), nn.Sequential(nn.BatchNorm3d(CHANNELS)))
    before = {name: value.data_ptr() for name, value in model.state_dict().items()}
    kinds = [type(m) for m in model.modules()]
    plugin = SynchronisedBatchNorms()
    there = plugin.apply(model)
    assert sum(isinstance(m, SynchronisedBatchNorm) for m in there.modules()) == 2
    assert {name: value.data_ptr() for name, value in there.state_dict().items()} == before
    back = plugin.revert(there)
    assert [type(m) for m in back.modules()] == kinds
    assert {name: value.data_ptr() for name, value in back.state_dict().items()} == before
