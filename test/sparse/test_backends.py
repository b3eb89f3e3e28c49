"""Every backend gives the torch backend's results."""

from __future__ import annotations

import copy
import importlib.util
import pickle

import pytest
import torch
from dense_reference import random_tensor, sorted_rows

from pasco_core.errors import ConfigError
from pasco_core.sparse.backends import get_backend
from pasco_core.sparse.modules import SubmanifoldConv3d

HAS_MINKOWSKI = importlib.util.find_spec("MinkowskiEngine") is not None


def test_an_unknown_backend_is_named():
    with pytest.raises(ConfigError, match="one of torch, minkowski, got 'spconv'"):
        get_backend("spconv")


def test_a_layer_can_be_copied_and_pickled():
    layer = SubmanifoldConv3d(3, 5)
    x = random_tensor(3, dtype=torch.float32)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.kernel is not layer.kernel
        torch.testing.assert_close(other(x).feats, layer(x).feats, rtol=0, atol=0)


@pytest.mark.skipif(HAS_MINKOWSKI, reason="MinkowskiEngine is installed here")
def test_a_missing_minkowski_engine_is_named():
    with pytest.raises(ConfigError, match="MinkowskiEngine to be installed"):
        get_backend("minkowski")


@pytest.mark.skipif(not HAS_MINKOWSKI, reason="MinkowskiEngine is not installed")
@pytest.mark.parametrize(
    ("name", "n_offsets", "stride"),
    [("submanifold_conv", 27, 1), ("strided_conv", 8, 1), ("generative_transposed_conv", 8, 2)],
)
def test_minkowski_engine_gives_the_same_results_and_gradients(name, n_offsets, stride):
    x = random_tensor(stride=stride, dtype=torch.float32)
    results = []
    for backend in ("torch", "minkowski"):
        feats = x.feats.clone().requires_grad_()
        weights = torch.randn(n_offsets, 5, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
        coords, out = sorted_rows(getattr(get_backend(backend), name)(x.with_feats(feats), weights))
        (out * torch.arange(7.0)).sum().backward()
        results.append((coords, out, feats.grad, weights.grad))
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
