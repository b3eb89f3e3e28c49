"""Sparse convolution as dense matrix products over gathered neighbourhoods; works for every kernel map."""

from __future__ import annotations

import torch
from torch import Tensor

from pasco_core.sparse.kernel_map import KernelMap


def with_zero_row(feats: Tensor) -> Tensor:
    """(N + 1, C): the features and a row of zeros that stands for "no voxel"."""
    return torch.cat([feats, feats.new_zeros(1, feats.shape[1])])


def gather_gemm(feats: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
    """out[o] = Σ_k kernel[k]ᵀ · feats[table[o, k]].

    Args:
        feats: (n_in, Cin).
        kernel: (K, Cin, Cout).
        kernel_map: n_in inputs, n_out outputs, K offsets.

    Returns:
        (n_out, Cout).
    """
    c_out = kernel.shape[2]
    out = feats.new_zeros(kernel_map.n_out, c_out)
    padded = with_zero_row(feats)
    for chunk in kernel_map.chunks:
        patches = padded.index_select(0, chunk.gather).view(len(chunk.rows), -1)
        weights = kernel if len(chunk.offsets) == len(kernel) else kernel.index_select(0, chunk.offsets)
        out.index_copy_(0, chunk.rows, patches @ weights.reshape(-1, c_out))
    return out


def kernel_gradient(feats: Tensor, grad_out: Tensor, kernel_map: KernelMap) -> Tensor:
    """Gradient (K, Cin, Cout) of a loss with respect to the kernel, given that of the output (n_out, Cout)."""
    n_offsets, c_in, c_out = kernel_map.table.shape[1], feats.shape[1], grad_out.shape[1]
    grad = feats.new_zeros(n_offsets, c_in, c_out)
    padded = with_zero_row(feats)
    for chunk in kernel_map.chunks:
        patches = padded.index_select(0, chunk.gather).view(len(chunk.rows), -1)
        part = patches.T @ grad_out.index_select(0, chunk.rows)
        grad.index_add_(0, chunk.offsets, part.view(-1, c_in, c_out))
    return grad
