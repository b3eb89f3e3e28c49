"""Folded, blocked cross-attention against PyTorch's multi-head attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pasco_core.nn import masked_attention
from pasco_core.nn.contiguous_gradient import contiguous_gradient
from pasco_core.nn.masked_attention import pool_tokens

HEADS, QUERIES, CHANNELS, TOKENS = 4, 6, 10, 700


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(HEADS, QUERIES, CHANNELS, generator=generator, dtype=torch.float64)
    tokens = torch.randn(TOKENS, CHANNELS, generator=generator, dtype=torch.float64)
    allowed = torch.rand(TOKENS, QUERIES, generator=generator) < 0.1
    allowed[: TOKENS // 2, 0] = False  # a query whose first tokens come late
    allowed[:, 1] = False  # a query with none at all
    return queries, tokens, allowed


def plain_attention(queries, tokens, allowed, extra=None):
    scores = queries @ tokens.T + (0 if extra is None else extra)
    for q in range(QUERIES):
        if allowed[:, q].any():
            scores[:, q, ~allowed[:, q]] = float("-inf")
    return torch.softmax(scores, -1) @ tokens


def test_blocks_and_the_whole_give_plain_attention(problem):
    expected = plain_attention(*problem)
    with torch.no_grad():
        torch.testing.assert_close(pool_tokens(*problem), expected)
    queries, tokens, allowed = problem
    torch.testing.assert_close(pool_tokens(queries.clone().requires_grad_(), tokens, allowed), expected)


def test_a_token_with_the_logarithm_of_its_number_stands_for_that_many(problem):
    queries, tokens, allowed = problem
    repeated = torch.cat([tokens, tokens[-1:].expand(4, -1)])
    allowed_repeated = torch.cat([allowed, allowed[-1:].expand(4, -1)])
    extra = torch.zeros(TOKENS, dtype=torch.float64)
    extra[-1] = torch.log(torch.tensor(5.0))
    expected = plain_attention(queries, repeated, allowed_repeated)
    with torch.no_grad():
        torch.testing.assert_close(pool_tokens(queries, tokens, allowed, extra), expected)


def test_no_token_at_all_pools_to_zero(problem):
    queries, tokens, allowed = problem
    assert torch.equal(pool_tokens(queries, tokens[:0], allowed[:0]), torch.zeros_like(queries))


def test_very_large_scores_stay_finite(problem):
    queries, tokens, allowed = problem
    with torch.no_grad():
        assert torch.isfinite(pool_tokens(queries.float() * 1e4, tokens.float(), allowed)).all()


def test_queries_skip_blocks_none_of_whose_tokens_they_may_read(problem):
    allowed = problem[2] | ~problem[2].any(0)
    readers = masked_attention._readers(allowed, 256)
    for block, active in zip(allowed.split(256), readers, strict=True):
        assert active.tolist() == [q for q in range(QUERIES) if block[:, q].any()]
    assert 0 not in readers[0].tolist()


def test_batch_norm_of_transposed_tokens_has_the_right_gradient():
    torch.manual_seed(0)
    x = torch.randn(1, 40, 8)
    norm, weight = nn.BatchNorm1d(8), torch.randn(1, 40, 8)

    def gradient(values: torch.Tensor, guarded: bool) -> torch.Tensor:
        values = values.clone().requires_grad_()
        channels = values.transpose(1, 2)
        out = contiguous_gradient(norm(channels.contiguous())) if guarded else norm(channels.contiguous().double())
        (out.transpose(1, 2) * weight.to(values.dtype)).sum().backward()
        return values.grad

    guarded = gradient(x, guarded=True)
    norm.double()
    torch.testing.assert_close(guarded.double(), gradient(x.double(), guarded=False), rtol=0, atol=1e-5)


def test_the_guard_makes_the_gradient_contiguous():
    x = torch.randn(3, 5, requires_grad=True)
    seen = []
    middle = x * 1
    middle.register_hook(lambda grad: seen.append(grad.is_contiguous()))
    (contiguous_gradient(middle).T * torch.randn(5, 3)).sum().backward()
    assert seen == [True]
