"""Cross-attention of few queries to very many tokens whose keys and values are affine in narrow features.

With keys K = F·G·Wkᵀ the scores are (Q·Wk·Gᵀ)·Fᵀ: the projections go to the hundred queries once instead of to hundreds
of thousands of tokens, and neither keys nor values are ever stored. The softmax runs over blocks of tokens with a
running maximum, so memory does not grow with their number.
Source of the running softmax: Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Tokens per block: the scores of 8 heads and 100 queries then take 6.5 MB.
BLOCK_TOKENS = {"cpu": 2048, "cuda": 65536}


def pool_tokens(queries: Tensor, tokens: Tensor, allowed: Tensor, extra: Tensor | None = None) -> Tensor:
    """Attention-weighted mean of the tokens for each head and query; zero where there is no token at all.

    Args:
        queries: (H, Q, C) folded queries: the score of token t is ``queries @ tokens[t]``.
        tokens: (T, C).
        allowed: (T, Q) bool; a query with no allowed token attends to all of them.
        extra: (T,) added to every score of a token, such as the logarithm of how many equal tokens it stands for.

    Returns:
        (H, Q, C).
    """
    if len(tokens) == 0:
        return torch.zeros_like(queries)
    allowed = allowed | ~allowed.any(0)
    if torch.is_grad_enabled() and (queries.requires_grad or tokens.requires_grad):
        return _pool_at_once(queries, tokens, allowed, extra)
    return _pool_in_blocks(queries, tokens, allowed, extra)


def _pool_at_once(queries: Tensor, tokens: Tensor, allowed: Tensor, extra: Tensor | None) -> Tensor:
    scores = queries @ tokens.T
    if extra is not None:
        scores = scores + extra
    return torch.softmax(scores.masked_fill(~allowed.T, float("-inf")), -1) @ tokens


def _pool_in_blocks(queries: Tensor, tokens: Tensor, allowed: Tensor, extra: Tensor | None) -> Tensor:
    n_heads, n_queries, n_channels = queries.shape
    flat = queries.reshape(-1, n_channels)
    peak = flat.new_full((len(flat), 1), float("-inf"))
    weight = flat.new_zeros(len(flat), 1)
    total = torch.zeros_like(flat)
    size = BLOCK_TOKENS.get(tokens.device.type, 65536)
    for begin in range(0, len(tokens), size):
        block = tokens[begin : begin + size]
        scores = flat @ block.T
        if extra is not None:
            scores += extra[begin : begin + size]
        forbidden = ~allowed[begin : begin + size].T.contiguous()
        scores.view(n_heads, n_queries, -1).masked_fill_(forbidden, float("-inf"))
        new_peak = torch.maximum(peak, scores.amax(1, keepdim=True))
        # Before a query's first allowed token both peaks are -inf, and their difference is no number.
        base = new_peak.masked_fill(new_peak == float("-inf"), 0.0)
        shrink = torch.exp(peak - base)
        scores.sub_(base).exp_()
        weight = weight * shrink + scores.sum(1, keepdim=True)
        total = torch.addmm(total * shrink, scores, block)
        peak = new_peak
    return (total / weight).view(n_heads, n_queries, n_channels)
