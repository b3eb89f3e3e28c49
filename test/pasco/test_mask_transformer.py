"""The mask transformer against one written out token by token, with real padding rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.config import PaSCoConfig
from pasco_core.systems.pasco.mask_transformer import MaskTransformer, SubnetTokens

CONFIG = PaSCoConfig(n_subnets=2, n_classes=5, width=4, n_queries=7, query_channels=24, n_heads=4, ffn_channels=16)


@pytest.fixture(scope="module")
def transformer():
    torch.manual_seed(0)
    return MaskTransformer(CONFIG).eval().requires_grad_(False)


def tokens_at(stride: int, n: int, channels: int, seed: int) -> SparseTensor:
    rng = np.random.default_rng(seed)
    cells = rng.choice(8**3, n, replace=False)
    coords = np.stack(np.unravel_index(cells, (8, 8, 8)), 1) * stride - 2 * stride * np.array([1, 0, 1])
    coords = torch.from_numpy(np.pad(coords, ((0, 0), (1, 0))).astype(np.int32))
    return SparseTensor(coords, torch.from_numpy(rng.standard_normal((n, channels)).astype(np.float32)), stride)


def encoding(coords: np.ndarray, d: int = 24) -> torch.Tensor:
    rows = []
    for c in coords.astype(np.float32):
        axes = []
        for value in c:
            e = value / (value + np.float32(1e-6)) * 2 * math.pi
            angles = [e / 10000 ** (2 * (i // 2) / (d // 3)) for i in range(d // 3)]
            axes += [math.sin(a) for a in angles[0::2]] + [math.cos(a) for a in angles[1::2]]
        rows.append(axes)
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, d)


def written_out(net: MaskTransformer, levels: list[SparseTensor], padding, subnet: int):
    """Step by step: padded token arrays, nn.MultiheadAttention, masks through a dictionary of voxels."""
    q = net.query_feat.weight[subnet * 7 : subnet * 7 + 7]
    position = net.query_embed.weight[subnet * 7 : subnet * 7 + 7]
    arrays = []
    for level, n_pad in zip(levels, padding):
        coords = np.concatenate([level.coords[:, 1:].numpy(), np.zeros((n_pad, 3), int)])
        arrays.append((coords, torch.cat([level.feats, torch.zeros(n_pad, level.n_channels)])))
    coords_1, feats_1 = arrays[-1]
    voxel_feats = net.mask_feat_proj(feats_1) + encoding(coords_1)

    def head(queries):
        z = net.decoder_norm(queries)
        return net.class_embed(z), voxel_feats @ net.mask_embed(z).T

    classes, masks = head(q)
    for i, (coords, feats) in enumerate(arrays):
        stride = levels[i].stride
        on = {}
        for c, row in zip(coords_1.tolist(), masks > 0):
            on.setdefault(tuple(c), row)  # the first of several rows at one voxel counts
        blocks = {}
        for c, row in on.items():
            key = tuple(v // stride for v in c)
            blocks[key] = blocks.get(key, torch.zeros(7, dtype=torch.bool)) | row
        none = torch.zeros(7, dtype=torch.bool)
        allowed = torch.stack([blocks.get(tuple(v // stride for v in c), none) for c in coords.tolist()])
        allowed = allowed | ~allowed.any(0)
        source = net.input_projs[i](feats) + encoding(coords)
        cross = net.transformer_cross_attention_layers[i]
        q = cross.norm(q)
        q = q + cross.multihead_attn(q + position, source, source, attn_mask=~allowed.T, need_weights=False)[0]
        own = net.transformer_self_attention_layers[i]
        q = own.norm(q + own.self_attn(q + position, q + position, q, need_weights=False)[0])
        ffn = net.transformer_ffn_layers[i]
        q = ffn.norm(q)
        q = q + ffn.linear2(F.relu(ffn.linear1(q)))
        classes, masks = head(q)
    return classes, masks[: levels[-1].n_voxels]


@pytest.mark.parametrize("padding", [(0, 0, 0), (3, 0, 9), (5, 40, 0), (1, 2, 300)])
@pytest.mark.parametrize("origin_is_taken", [True, False])
@pytest.mark.parametrize("subnet", [0, 1])
def test_predictions_equal_the_written_out_transformer(transformer, padding, origin_is_taken, subnet):
    levels = [tokens_at(4, 60, 16, seed=1), tokens_at(2, 150, 8, seed=2), tokens_at(1, 300, 4, seed=3)]
    finest = levels[-1]
    at_origin = (finest.coords == 0).all(1)
    if not origin_is_taken:
        finest = SparseTensor(finest.coords[~at_origin], finest.feats[~at_origin])
    elif not at_origin.any():
        coords = finest.coords.clone()
        coords[0] = 0
        finest = SparseTensor(coords, finest.feats)
    levels[-1] = finest
    prediction = transformer(SubnetTokens(levels, padding), subnet)[-1]
    classes, masks = written_out(transformer, levels, padding, subnet)
    torch.testing.assert_close(prediction.query_logits, classes, rtol=0, atol=1e-4)
    torch.testing.assert_close(prediction.mask_logits.feats, masks, rtol=0, atol=1e-3)


def test_a_subnet_without_any_voxel_still_gives_finite_queries(transformer):
    empty = [
        SparseTensor(torch.zeros(0, 4, dtype=torch.int32), torch.zeros(0, c), s) for s, c in ((4, 16), (2, 8), (1, 4))
    ]
    for padding in ((0, 0, 0), (4, 4, 4)):
        prediction = transformer(SubnetTokens(empty, padding), 0)[-1]
        assert torch.isfinite(prediction.query_logits).all()
        assert prediction.mask_logits.feats.shape == (0, 7)


def test_training_reaches_every_weight_of_the_transformer():
    torch.manual_seed(0)
    net = MaskTransformer(CONFIG)
    levels = [tokens_at(4, 60, 16, seed=1), tokens_at(2, 150, 8, seed=2), tokens_at(1, 300, 4, seed=3)]
    loss = sum(
        p.query_logits.square().sum() + p.mask_logits.feats.square().mean() for p in net(SubnetTokens(levels), 0)
    )
    loss.backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
