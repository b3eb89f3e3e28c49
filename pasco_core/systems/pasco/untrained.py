"""Random weights that behave like a network: for demonstrations, benchmarks and tests where no trained ones exist.

Every tensor is drawn from a generator seeded by its key, so any subset is reproducible. One pass over a simulated
street then sets what a training would have set: the batch norms' statistics, and the biases that decide which share of
the voxels survives at each stride and how large masks are. The workload is a real scene's; the classes mean nothing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from pasco_core.data.simulation import street_scan
from pasco_core.geometry import KITTI_GRID
from pasco_core.sparse import ops
from pasco_core.systems.pasco.config import STRIDES, PaSCoConfig
from pasco_core.systems.pasco.mask_transformer import MaskTransformer, SubnetTokens
from pasco_core.systems.pasco.network import PaSCo
from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS, point_inputs, subnet_voxels
from pasco_core.systems.pasco.position_encoding import pattern_encoding
from pasco_core.systems.pasco.transforms import GridWarp, fixed_transforms
from pasco_core.systems.pasco.weights import load_network

# Share of the candidate voxels one subnet keeps, by stride: about 9 k, 30 k and 110 k voxels in a street scene.
KEPT_SHARE = {4: 0.28, 2: 0.40, 1: 0.45}
# Spread of the difference between the best class and "empty", in logits: leaves visible doubt at the borders.
MARGIN_SPREAD = 2.0
# How far the heads of further subnets are from the first one's: trained subnets mostly agree.
HEAD_DIFFERENCE = 0.3
# Share of the voxels in one query's mask; spreads that make classes confident and masks crisp.
MASK_SHARE = 0.005
CLASS_SPREAD = 3.0
MASK_SPREAD = 4.0

_HEAD_NUMBER = re.compile(r"(\.completion_heads\.)\d+(\.0\.kernel)$")
_NORMS = (nn.BatchNorm1d, nn.BatchNorm3d, nn.LayerNorm)

# Added to every seed: with the default one the small network then finds several instances in the simulated street.
_FIRST_SEED = 4
SMALL = PaSCoConfig(n_subnets=1, width=16, query_channels=96, n_heads=8, ffn_channels=256, point_channels=(32, 64, 128))


def untrained_network(config: PaSCoConfig = SMALL, seed: int = 0) -> PaSCo:
    """A network of this configuration with key-seeded random weights, in eval mode on the CPU."""
    network = load_network(_random_weights(config, seed), pad_leak=False, n_heads=config.n_heads)
    points = street_scan(frame=0, seed=0)
    inputs = point_inputs(points, KITTI_GRID, _random_semantics(config, len(points), seed))
    warps = [GridWarp.of(matrix, KITTI_GRID) for matrix in fixed_transforms(config.n_subnets)]
    voxels = subnet_voxels(inputs.voxels, [warp.transform for warp in warps], KITTI_GRID)
    low, high = (torch.from_numpy(np.stack([getattr(w, name) for w in warps])) for name in ("box_min", "box_max"))
    features = [inputs.features] * config.n_subnets
    with torch.no_grad():
        tokens = _settle_norms(network, lambda: network(features, voxels, low, high))
        _settle_queries(network.transformer_predictor, tokens)
    return network


def _random_weights(config: PaSCoConfig, seed: int) -> dict[str, Tensor]:
    with torch.device("meta"):
        network = PaSCo(config)
    norms = {name for name, m in network.named_modules() if isinstance(m, _NORMS)}
    shapes = network.state_dict()
    weights = {key: _draw(key, value, key.rpartition(".")[0] in norms, seed) for key, value in shapes.items()}
    for key in weights:
        first, head = _HEAD_NUMBER.subn(r"\g<1>0\g<2>", key)
        if head and first != key:
            weights[key] = weights[first] + HEAD_DIFFERENCE * weights[key]
    return weights


def _draw(key: str, like: Tensor, is_norm: bool, seed: int) -> Tensor:
    if not like.dtype.is_floating_point:
        return torch.zeros(like.shape, dtype=like.dtype)
    leaf = key.rpartition(".")[2]
    if is_norm:
        return torch.ones(like.shape) if leaf in ("weight", "running_var") else torch.zeros(like.shape)
    if leaf in ("bias", "in_proj_bias"):
        return torch.zeros(like.shape)
    # Fan-in: sparse kernels end in (Cin, Cout), dense weights start with Cout.
    fan_in = like[..., 0].numel() if leaf == "kernel" else like[0].numel()
    values = np.random.default_rng([_FIRST_SEED + seed, zlib.crc32(key.encode())]).standard_normal(
        tuple(like.shape), np.float32
    )
    # Updates that nearly all queries share would make them one: they stay small.
    gain = 0.3 if "out_proj" in key or "linear2" in key else 1.0
    return torch.from_numpy(values) * gain * (2.0 / fan_in) ** 0.5


def _random_semantics(config: PaSCoConfig, n_points: int, seed: int) -> tuple[Tensor, Tensor] | None:
    if config.in_channels == GEOMETRIC_CHANNELS:
        return None
    generator = torch.Generator().manual_seed(seed)
    classes = torch.softmax(torch.randn(n_points, config.n_classes - 1, generator=generator), 1)
    return classes, torch.randn(
        n_points, config.in_channels - classes.shape[1] - GEOMETRIC_CHANNELS, generator=generator
    )


def _settle_norms(network: PaSCo, run: Callable[[], object]) -> SubnetTokens:
    """One pass in training mode that keeps the batch statistics and sets each head's bias on the way.

    Returns:
        The voxels that the first subnet's queries saw.
    """
    norms = [m for m in network.modules() if isinstance(m, _NORMS[:2])]
    seen: list[SubnetTokens] = []
    hooks = [
        head[0].register_forward_hook(_settle_head(KEPT_SHARE[stride]))
        for stride, block in zip(STRIDES, network.unet3d.decoder_generative.dec_blocks)
        for head in block.completion_heads
    ]
    hooks.append(network.transformer_predictor.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])))
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    run()
    network.eval()
    for norm in norms:
        norm.momentum = 0.1
    for hook in hooks:
        hook.remove()
    return seen[0]


def _settle_head(share: float) -> Callable:
    def hook(head, inputs, output):
        margin = output.feats[:, 1:].amax(1) - output.feats[:, 0]
        head.kernel.mul_(MARGIN_SPREAD / margin.std())
        scaled = inputs[0].feats @ head.kernel
        margin = scaled[:, 1:].amax(1) - scaled[:, 0]
        head.bias[0, 0] = margin.sort().values[int((1 - share) * len(margin))]
        return output.with_feats(scaled + head.bias)

    return hook


def _settle_queries(transformer: MaskTransformer, tokens: SubnetTokens) -> None:
    """Removes what all queries and all voxels have in common, so that queries differ in class and in place.

    Random layers give every query nearly the same embedding; only the differences are kept, at a useful scale. A last
    shift leaves each mask a small share of the voxels.
    """
    sample = SubnetTokens([ops.take(level, torch.arange(0, level.n_voxels, 8)) for level in tokens.levels])
    d = transformer.mask_feat_proj.out_features
    centre = transformer.mask_feat_proj.weight @ sample.levels[-1].feats.mean(0) + pattern_encoding(d)[-1]
    transformer.mask_feat_proj.bias.copy_(-centre)
    for layer, spread in ((transformer.class_embed, CLASS_SPREAD), (transformer.mask_embed.layers[2], MASK_SPREAD)):
        output = _last_output(layer, lambda: transformer(sample, 0))
        scale = spread / (output - output.mean(0)).std()
        layer.weight.mul_(scale)
        layer.bias.copy_(-output.mean(0) * scale)
    mask_logits = transformer(sample, 0)[-1].mask_logits.feats
    shift = mask_logits.flatten().sort().values[int((1 - MASK_SHARE) * mask_logits.numel())]
    # A constant added to every mask logit: one direction gets a bias on both sides of the product.
    transformer.mask_feat_proj.bias.sub_(shift / d)
    transformer.mask_embed.layers[2].bias.add_(1.0)


def _last_output(module: nn.Module, run: Callable[[], object]) -> Tensor:
    """What the module returned at its last call during a run."""
    seen: list[Tensor] = []
    hook = module.register_forward_hook(lambda _, inputs, output: seen.append(output))
    run()
    hook.remove()
    return seen[-1]
