"""The sparse operations through MinkowskiEngine, for machines that have it; same results as the torch backend.

Only the convolutions are delegated: the remaining operations move no more than the features and stay in PyTorch.
"""

from __future__ import annotations

import MinkowskiEngine as ME
import torch
from torch import Tensor

from pasco_core.sparse import ops
from pasco_core.sparse.coordinates import CoordinateSet
from pasco_core.sparse.tensor import SparseTensor

union_add = ops.union_add
prune = ops.prune
global_pool = ops.global_pool
broadcast = ops.broadcast


def submanifold_conv(x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor:
    """See ``ops.submanifold_conv``."""
    if kernel.ndim == 2:
        return ops.pointwise_conv(x, kernel, bias)
    size = round(kernel.shape[0] ** (1 / 3))
    layer = ME.MinkowskiConvolution(kernel.shape[1], kernel.shape[2], kernel_size=size, dimension=3)
    return _in_order_of(x.coordinates, _run(layer, x, kernel, bias))


def strided_conv(x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor:
    """See ``ops.strided_conv``."""
    layer = ME.MinkowskiConvolution(kernel.shape[1], kernel.shape[2], kernel_size=2, stride=2, dimension=3)
    out = _run(layer, x, kernel, bias)
    return SparseTensor(out.C, out.F, 2 * x.stride)


def generative_transposed_conv(x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor:
    """See ``ops.generative_transposed_conv``."""
    layer = ME.MinkowskiGenerativeConvolutionTranspose(
        kernel.shape[1], kernel.shape[2], kernel_size=2, stride=2, dimension=3
    )
    return _in_order_of(ops.children(x.coordinates), _run(layer, x, kernel, bias))


def _run(layer: torch.nn.Module, x: SparseTensor, kernel: Tensor, bias: Tensor | None) -> ME.SparseTensor:
    # A layer object only carries the geometry here: the weights are ours, so that gradients reach them.
    del layer.kernel
    layer.kernel = kernel
    out = layer(_engine_tensor(x))
    return (
        out
        if bias is None
        else ME.SparseTensor(
            out.F + bias, coordinate_map_key=out.coordinate_map_key, coordinate_manager=out.coordinate_manager
        )
    )


def _engine_tensor(x: SparseTensor) -> ME.SparseTensor:
    manager, key = x.coordinates.derive("minkowski", lambda: _register(x))
    return ME.SparseTensor(x.feats, coordinate_map_key=key, coordinate_manager=manager)


def _register(x: SparseTensor) -> tuple[object, object]:
    tensor = ME.SparseTensor(x.feats.detach(), coordinates=x.coords, tensor_stride=x.stride)
    return tensor.coordinate_manager, tensor.coordinate_map_key


def _in_order_of(coordinates: CoordinateSet, out: ME.SparseTensor) -> SparseTensor:
    # The engine orders voxels as it likes.
    rows = CoordinateSet(out.C, coordinates.stride).rows_of(coordinates.coords)
    return SparseTensor(coordinates, out.F[rows])
