"""Mask transformer: a hundred queries per subnet read the voxels and become classes and masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pasco_core.nn.masked_attention import pool_tokens
from pasco_core.sparse import CoordinateSet, SparseTensor
from pasco_core.sparse.kernel_map import strided_map
from pasco_core.systems.pasco.config import STRIDES, PaSCoConfig
from pasco_core.systems.pasco.position_encoding import N_PATTERNS, ZERO_PATTERN, pattern_encoding, zero_patterns


@dataclass(frozen=True)
class MaskPrediction:
    """Queries of one subnet after one layer.

    Args:
        query_logits: (queries, classes + 1), the last column "no object".
        mask_logits: (N, queries) on the subnet's voxels at stride 1.
    """

    query_logits: Tensor
    mask_logits: SparseTensor


@dataclass(frozen=True)
class SubnetTokens:
    """The voxels one subnet's queries read.

    Args:
        levels: features at strides 4, 2, 1.
        padding: how many padding rows the original appends to each level, so that all subnets are equally long.
        origin_inside: whether voxel (0, 0, 0), where the padding stands, lies in the subnet's box.
    """

    levels: list[SparseTensor]
    padding: tuple[int, int, int] = (0, 0, 0)
    origin_inside: bool = True


class _CrossAttention(nn.Module):
    def __init__(self, channels: int, n_heads: int):
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(channels, n_heads, batch_first=True)
        self.norm = nn.LayerNorm(channels)

    def forward(self, queries: Tensor, position: Tensor, tokens: _LevelTokens, allowed: Tensor) -> Tensor:
        attn = self.multihead_attn
        channels, n_heads = attn.embed_dim, attn.num_heads
        queries = self.norm(queries)
        w_q, w_k, w_v = attn.in_proj_weight.view(3, n_heads, channels // n_heads, channels)
        b_q, _, b_v = attn.in_proj_bias.view(3, n_heads, 1, channels // n_heads)
        # The key bias adds the same to all scores of a query, which the softmax does not see.
        q = ((queries + position) @ w_q.transpose(1, 2) + b_q) / math.sqrt(channels // n_heads)
        pooled = pool_tokens(q @ (w_k @ tokens.to_channels.T), tokens.features, allowed, tokens.extra)
        values = (pooled @ tokens.to_channels) @ w_v.transpose(1, 2) + b_v
        return queries + attn.out_proj(values.transpose(0, 1).reshape(len(queries), channels))


class _SelfAttention(nn.Module):
    def __init__(self, channels: int, n_heads: int):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, n_heads, batch_first=True)
        self.norm = nn.LayerNorm(channels)

    def forward(self, queries: Tensor, position: Tensor) -> Tensor:
        q, v = (queries + position)[None], queries[None]
        return self.norm(queries + self.self_attn(q, q, v, need_weights=False)[0][0])


class _FeedForward(nn.Module):
    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, queries: Tensor) -> Tensor:
        queries = self.norm(queries)
        return queries + self.linear2(F.relu(self.linear1(queries)))


class _Mlp(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(channels, channels) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[2](F.relu(self.layers[1](F.relu(self.layers[0](x)))))


@dataclass(frozen=True)
class _LevelTokens:
    """Tokens with their position encoding still factored out: the row t stands for features[t] @ to_channels.

    Args:
        features: (T, C + 8): the voxel's features and which of its coordinates are zero, one-hot.
        to_channels: (C + 8, d): projection, bias and encoding.
        extra: (T,) logarithm of how many equal tokens a row stands for, or None for one each.
    """

    features: Tensor
    to_channels: Tensor
    extra: Tensor | None


class MaskTransformer(nn.Module):
    """Three layers of masked cross-attention from coarse to fine, each with self-attention and feed-forward."""

    def __init__(self, config: PaSCoConfig):
        super().__init__()
        d = config.query_channels
        f1, f2, f4, _ = config.widths
        self.n_queries = config.n_queries
        self.query_feat = nn.Embedding(config.n_subnets * config.n_queries, d)
        self.query_embed = nn.Embedding(config.n_subnets * config.n_queries, d)
        self.input_projs = nn.ModuleList(nn.Linear(width, d) for width in (f4, f2, f1))
        self.mask_feat_proj = nn.Linear(f1, d)
        self.decoder_norm = nn.LayerNorm(d)
        self.class_embed = nn.Linear(d, config.n_classes + 1)
        self.mask_embed = _Mlp(d)
        layers = range(len(STRIDES))
        self.transformer_cross_attention_layers = nn.ModuleList(_CrossAttention(d, config.n_heads) for _ in layers)
        self.transformer_self_attention_layers = nn.ModuleList(_SelfAttention(d, config.n_heads) for _ in layers)
        self.transformer_ffn_layers = nn.ModuleList(_FeedForward(d, config.ffn_channels) for _ in layers)

    def forward(self, tokens: SubnetTokens, subnet: int) -> list[MaskPrediction]:
        """Predictions of one subnet: from the queries as learnt, then after each of the three layers."""
        own = slice(subnet * self.n_queries, (subnet + 1) * self.n_queries)
        queries, position = self.query_feat.weight[own], self.query_embed.weight[own]
        voxels = tokens.levels[-1]
        mask_tokens = self._level(voxels, self.mask_feat_proj, n_padding=0)
        predictions = [self._predict(queries, voxels, mask_tokens)]
        masks = _AttentionMasks(tokens)
        for i, level in enumerate(tokens.levels):
            source = self._level(level, self.input_projs[i], tokens.padding[i])
            allowed = masks.at_level(i, predictions[-1].mask_logits.feats, self._padding_mask(queries))
            queries = self.transformer_cross_attention_layers[i](queries, position, source, allowed)
            queries = self.transformer_self_attention_layers[i](queries, position)
            queries = self.transformer_ffn_layers[i](queries)
            predictions.append(self._predict(queries, voxels, mask_tokens))
        return predictions

    def _level(self, voxels: SparseTensor, projection: nn.Linear, n_padding: int) -> _LevelTokens:
        encoding = pattern_encoding(projection.out_features, voxels.device).to(voxels.feats.dtype)
        to_channels = torch.cat([projection.weight.T, encoding + projection.bias])
        patterns = voxels.coordinates.derive("zero_patterns", lambda: zero_patterns(voxels.coords))
        features = torch.cat([voxels.feats, F.one_hot(patterns, N_PATTERNS).to(voxels.feats.dtype)], 1)
        if n_padding == 0:
            return _LevelTokens(features, to_channels, None)
        # All padding rows are alike: no features, at the origin. One row with their number's logarithm stands for them.
        padding = features.new_zeros(1, features.shape[1])
        padding[0, voxels.n_channels + ZERO_PATTERN] = 1.0
        extra = torch.cat([features.new_zeros(len(features)), features.new_tensor([math.log(n_padding)])])
        return _LevelTokens(torch.cat([features, padding]), to_channels, extra)

    def _mask_queries(self, queries: Tensor) -> Tensor:
        return self.mask_embed(self.decoder_norm(queries))

    def _predict(self, queries: Tensor, voxels: SparseTensor, tokens: _LevelTokens) -> MaskPrediction:
        masks = tokens.features @ (tokens.to_channels @ self._mask_queries(queries).T)
        return MaskPrediction(self.class_embed(self.decoder_norm(queries)), voxels.with_feats(masks))

    def _padding_mask(self, queries: Tensor) -> Tensor:
        """Mask (queries,) bool that the current queries predict for a padding row."""
        encoding = pattern_encoding(queries.shape[1], queries.device)[ZERO_PATTERN].to(queries.dtype)
        return self._mask_queries(queries) @ (self.mask_feat_proj.bias + encoding) > 0


class _AttentionMasks:
    """Which token each query may read, from its current mask on the finest voxels.

    A token at stride s is allowed if any finest voxel in its s³ block is in the mask. The padding rows are a quirk of
    the original that its multi-subnet weights were trained with: it never masks them out, so they take part at voxel
    (0, 0, 0), as keys at every level and, where no voxel stands there, as one more voxel of the mask. Where (0, 0, 0)
    is outside a subnet's box the original reads another voxel's mask or fails; here the padding is then forbidden.
    """

    def __init__(self, tokens: SubnetTokens):
        self.tokens = tokens
        finest = tokens.levels[-1].coordinates
        origin = finest.coords.new_zeros(1, 4)
        padding_is_voxel = tokens.padding[-1] > 0 and tokens.origin_inside and int(finest.rows_of(origin)) < 0
        self._padding_is_voxel = padding_is_voxel
        self._finest = CoordinateSet(torch.cat([finest.coords, origin])) if padding_is_voxel else finest

    def at_level(self, level: int, mask_logits: Tensor, padding_mask: Tensor) -> Tensor:
        """(T, queries) bool for the tokens of a level, its padding row last."""
        tokens = self.tokens.levels[level]
        mask, coordinates = mask_logits > 0, self._finest
        if self._padding_is_voxel:
            mask = torch.cat([mask, padding_mask[None]])
        while coordinates.stride < tokens.stride:
            coordinates, children = strided_map(coordinates)
            padded = torch.cat([mask, mask.new_zeros(1, mask.shape[1])])
            mask = padded[children.table].any(1)
        allowed = mask if coordinates is tokens.coordinates else _at(mask, coordinates, tokens.coords)
        if self.tokens.padding[level] == 0:
            return allowed
        at_origin = _at(mask, coordinates, tokens.coords.new_zeros(1, 4)) & self.tokens.origin_inside
        return torch.cat([allowed, at_origin])


def _at(mask: Tensor, coordinates: CoordinateSet, coords: Tensor) -> Tensor:
    rows = coordinates.rows_of(coords)
    if len(coordinates) == 0:
        return mask.new_zeros(len(coords), mask.shape[1])
    return mask[rows.clamp(min=0)] & (rows >= 0)[:, None]
