"""The network's forward pass for inference: what the modules give in evaluation mode, two to three times as fast.

Normalisations and scales are folded into the linear layers beside them or, for token mixing, applied to the few
occupied cells instead of all points. A block updates the tokens in place, some thousand at a time, so that
intermediate results stay in the processor's cache. Folding is repeated at every call: it costs milliseconds, and
nothing can go stale.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pasco_core.systems.waffleiron.embedding import Embedding
from pasco_core.systems.waffleiron.mixing import Backbone, ChannelMix, TokenMix
from pasco_core.systems.waffleiron.planes import PlaneIndex
from pasco_core.systems.waffleiron.strips import StripedImage

# Rows per step. On the CPU: few enough that a step's buffers stay in cache, and enough that threads rarely wait for
# each other, which is what makes small steps slow on a machine that other processes use too. A GPU wants them large.
_CPU_ROWS = 8192
_GPU_ROWS = 1 << 20


def embed_inference(embed: Embedding, features: Tensor, neighbours: Tensor) -> Tensor:
    """Tokens (M, C) of ``Embedding.forward`` with running statistics, without gradients."""
    gain, shift = _affine(embed.norm)
    first_gain, first_shift = _affine(embed.conv2[0])
    gain_out, shift_out = _affine(embed.conv2[2])
    lift = embed.conv2[1].matrix
    # The shift of the first normalisation cancels in differences of neighbours.
    weight = (lift * (gain * first_gain) * gain_out[:, None]).t().contiguous()
    bias = (lift @ first_shift) * gain_out + shift_out
    response = embed.conv2[4].matrix.t().contiguous()
    own, other = embed.final.matrix.chunk(2, dim=1)
    own_weight = own @ embed.conv1.matrix
    own_bias = embed.final.bias + own @ embed.conv1.bias + own_weight @ shift
    own_weight, other = (own_weight * gain).t().contiguous(), other.t().contiguous()

    tokens = features.new_empty(len(features), other.shape[1])
    k = neighbours.shape[1]
    for rows in _steps(len(features), _rows_per_step(features, k)):
        differences = features[neighbours[rows]] - features[rows, None]
        hidden = torch.addmm(bias, differences.view(-1, features.shape[1]), weight).relu_()
        strongest = (hidden @ response).view(-1, k, response.shape[1]).amax(dim=1)
        torch.addmm(own_bias, features[rows], own_weight, out=tokens[rows])
        tokens[rows].addmm_(strongest, other)
    return tokens


def mix_inference_(backbone: Backbone, tokens: Tensor, planes: list[PlaneIndex]) -> Tensor:
    """``Backbone.forward`` with running statistics, without gradients, written over ``tokens`` (M, C)."""
    images = [StripedImage(plane, tokens) for plane in planes]
    hidden = tokens.new_empty(min(len(tokens), _rows_per_step(tokens)), tokens.shape[1])
    # Output biases are the same for every token: summed up here, they cost no pass over the tokens until the end.
    offset = tokens.new_zeros(tokens.shape[1])
    for i, (spatial, channel, plane) in enumerate(backbone.blocks(planes)):
        update = _token_update(spatial, tokens, offset, plane, images[i % len(planes)])
        _mix_channels_(channel, tokens, offset, update, plane.segment, hidden)
        offset += channel.mlp[2].bias * channel.scale.weight.flatten()
    return tokens.add_(offset)


def _token_update(mix: TokenMix, tokens: Tensor, offset: Tensor, plane: PlaneIndex, image: StripedImage) -> Tensor:
    """What token mixing adds to the points of each occupied cell (K, C)."""
    gain, shift = _affine(mix.norm, offset)
    means = plane.segment_sum(tokens).mul_(plane.weight).mul_(gain).addr_(plane.coverage, shift)
    return image.convolve(means, mix.ffn[0], mix.ffn[2]).mul_(mix.scale.weight.flatten())


def _mix_channels_(
    mix: ChannelMix, tokens: Tensor, offset: Tensor, update: Tensor, segment: Tensor, hidden: Tensor
) -> None:
    """Add each point's ``update`` and then the channel mixing without its output bias, in place."""
    gain, shift = _affine(mix.norm, offset)
    scale = mix.scale.weight.flatten()
    first, last = mix.mlp[0], mix.mlp[2]
    weight_in = (first.matrix * gain).t().contiguous()
    bias_in = first.bias + first.matrix @ shift
    weight_out = (last.matrix * scale[:, None]).t().contiguous()
    for rows in _steps(len(tokens), len(hidden)):
        part = tokens[rows]
        buffer = hidden[: len(part)]
        part.add_(torch.index_select(update, 0, segment[rows], out=buffer))
        torch.addmm(bias_in, part, weight_in, out=buffer).relu_()
        part.addmm_(buffer, weight_out)


def _affine(norm: nn.BatchNorm1d, offset: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """Gain and shift of a normalisation with its running statistics, for inputs that lack ``offset`` (C,)."""
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return gain, norm.bias + (offset - norm.running_mean) * gain


def _rows_per_step(rows: Tensor, per_row: int = 1) -> int:
    return max(1, (_CPU_ROWS if rows.device.type == "cpu" else _GPU_ROWS) // per_row)


def _steps(n: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
