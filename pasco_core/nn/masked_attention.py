"""Cross-attention of few queries to very many tokens whose keys and values are affine in narrow features.

With keys K = F·G·Wkᵀ the scores are (Q·Wk·Gᵀ)·Fᵀ: the projections go to the hundred queries once instead of to hundreds
of thousands of tokens, and neither keys nor values are ever stored. The softmax runs over blocks of tokens with a
running maximum, so memory does not grow with their number.
Source of the running softmax: Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Tokens per block: on a CPU the scores of 8 heads and 100 queries then take 0.8 MB and stay in the cache.
BLOCK_TOKENS = {"cpu": 256, "cuda": 16384}


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
    peak = queries.new_full((n_heads, n_queries, 1), float("-inf"))
    weight = queries.new_zeros(n_heads, n_queries, 1)
    total = torch.zeros_like(queries)
    size = BLOCK_TOKENS.get(tokens.device.type, BLOCK_TOKENS["cuda"])
    readers = _readers(allowed, size)
    for begin, active in zip(range(0, len(tokens), size), readers):
        if len(active) == 0:
            continue
        block = tokens[begin : begin + size]
        scores = (queries[:, active].reshape(-1, n_channels) @ block.T).view(n_heads, len(active), len(block))
        if extra is not None:
            scores += extra[begin : begin + size]
        forbidden = ~allowed[begin : begin + size, active].T.contiguous()
        scores.masked_fill_(forbidden, float("-inf"))
        old_peak = peak[:, active]
        # Every active query may read a token of this block, so the new peak is finite.
        new_peak = torch.maximum(old_peak, scores.amax(2, keepdim=True))
        shrink = torch.exp(old_peak - new_peak)
        scores.sub_(new_peak).exp_()
        peak[:, active] = new_peak
        weight[:, active] = weight[:, active] * shrink + scores.sum(2, keepdim=True)
        total[:, active] = total[:, active] * shrink + (scores @ block)
    return total / weight


def _readers(allowed: Tensor, size: int) -> list[Tensor]:
    """For each block of tokens the queries that may read any of them: all others skip it.

    Masks are compact and tokens are ordered along the grid, so most queries skip most blocks.
    """
    n_blocks = -(-len(allowed) // size)
    padded = torch.nn.functional.pad(allowed, (0, 0, 0, n_blocks * size - len(allowed)))
    reads = padded.view(n_blocks, size, -1).any(1)
    return [row.nonzero().squeeze(1) for row in reads]
