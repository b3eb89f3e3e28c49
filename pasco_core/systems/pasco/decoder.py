"""Generative decoder: from stride 8 up to single voxels, pruning the empty ones at every scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pasco_core.errors import InferenceError
from pasco_core.sparse import SparseTensor, ops
from pasco_core.sparse.modules import SparseBatchNorm, SparseReLU, SubmanifoldConv3d
from pasco_core.systems.pasco.blocks import ResidualBlock, Upsample
from pasco_core.systems.pasco.config import STRIDES, PaSCoConfig
from pasco_core.systems.pasco.voxel_selection import VoxelSelection, is_occupied, occupied_by_any


@dataclass(frozen=True)
class DecodedScale:
    """What the decoder leaves at one stride.

    Args:
        features: (N, C) of the voxels that go on; in inference those that any subnet calls occupied.
        semantic_logits: per subnet (N, classes) on the same voxels.
        candidate_logits: per subnet (N', classes) on all voxels there were to choose from; training only, else empty.
    """

    features: SparseTensor
    semantic_logits: list[SparseTensor]
    candidate_logits: list[SparseTensor] = field(default_factory=list)


class DecoderBlock(nn.Module):
    """One stage, stride 2s → s: eight children per voxel, skip connection, residual blocks, one head per subnet."""

    def __init__(self, c_in: int, c_out: int, config: PaSCoConfig, backend: str = "torch"):
        super().__init__()
        self.upsample = Upsample(c_in, c_out, backend)
        self.resize = nn.Sequential(
            SparseBatchNorm(c_out + 3),
            SubmanifoldConv3d(c_out + 3, c_out, kernel_size=1, bias=True, backend=backend),
        )
        self.process = nn.Sequential(*(ResidualBlock(c_out, backend) for _ in range(7 if config.heavy else 3)))
        self.completion_heads = nn.ModuleList(
            nn.Sequential(SubmanifoldConv3d(c_out, config.n_classes, kernel_size=1, bias=True, backend=backend))
            for _ in range(config.n_subnets)
        )

    def forward(
        self, x: SparseTensor, skip: SparseTensor, lower: Tensor, upper: Tensor, n_subnets: int | None = None
    ) -> tuple[SparseTensor, list[Tensor]]:
        """Features of all candidate voxels, before pruning, and (N, classes) logits of the first subnets there."""
        x = ops.crop(self.upsample(x), lower, upper)
        # Absolute position in cells of this stride: the network knows where in the grid it is.
        position = (x.coords[:, 1:] / x.stride).to(x.feats.dtype)
        x = self.resize(x.with_feats(torch.cat([x.feats, position], 1)))
        x = self.process(ops.union_add(x, skip))
        return x, [head(x).feats for head in self.completion_heads[:n_subnets]]


class Decoder(nn.Module):
    """Three stages at strides 4, 2, 1 and the per-subnet voxel features the mask transformer reads."""

    def __init__(self, config: PaSCoConfig, backend: str = "torch"):
        super().__init__()
        f1, f2, f4, f8 = config.widths
        widths = ((f8, f4), (f4, f2), (f2, f1))
        self.dec_blocks = nn.ModuleList(DecoderBlock(c_in, c_out, config, backend) for c_in, c_out in widths)
        self.voxel_feats = nn.ModuleDict(
            {
                f"scale{stride}_infer{i}": _voxel_features(width, backend)
                for stride, (_, width) in zip(STRIDES, widths)
                for i in range(config.n_subnets)
            }
        )

    def forward(
        self,
        x: SparseTensor,
        skips: dict[int, SparseTensor],
        lower: Tensor,
        upper: Tensor,
        select: VoxelSelection = occupied_by_any,
        n_subnets: int | None = None,
    ) -> dict[int, DecodedScale]:
        """Stride → voxels kept there, for strides 4, 2, 1.

        Args:
            x: dense cells at stride 8.
            skips: the encoder's features by stride.
            lower, upper: (3,) inclusive box all generated voxels stay in.
            select: which voxels go on.
            n_subnets: how many subnets, the first ones, say what is there; None: all.
        """
        scales = {}
        for stride, block in zip(STRIDES, self.dec_blocks):
            candidates, logits = block(x, skips[stride], lower, upper, n_subnets)
            _check_finite(logits, stride)
            keep = select(candidates, logits)
            x = ops.prune(candidates, keep)
            kept = logits if x is candidates else [subnet[keep] for subnet in logits]
            before = [candidates.with_feats(subnet) for subnet in logits] if self.training else []
            scales[stride] = DecodedScale(x, [x.with_feats(subnet) for subnet in kept], before)
        return scales

    def tokens(self, scales: dict[int, DecodedScale], subnet: int, lower: Tensor, upper: Tensor) -> list[SparseTensor]:
        """Voxel features of one subnet at strides 4, 2, 1: its occupied voxels inside its inclusive box (3,), (3,)."""
        tokens = []
        for stride in STRIDES:
            scale = scales[stride]
            spatial = scale.features.coords[:, 1:]
            keep = is_occupied(scale.semantic_logits[subnet].feats)
            keep &= ((spatial >= lower) & (spatial <= upper)).all(1)
            conv1, norm, relu, conv2 = self.voxel_feats[f"scale{stride}_infer{subnet}"]
            tokens.append(conv2(relu(conv1(ops.prune(scale.features, keep), norm=norm))))
        return tokens


def _check_finite(logits: list[Tensor], stride: int) -> None:
    # NaN compares as "empty": it would be pruned away and the scene published as free space.
    for i, subnet in enumerate(logits):
        if not bool(torch.isfinite(subnet.sum())):
            raise InferenceError(f"Expected the logits of subnet {i} at stride {stride} to be finite, got NaN or Inf")


def _voxel_features(width: int, backend: str) -> nn.Sequential:
    return nn.Sequential(
        SubmanifoldConv3d(width, width, backend=backend),
        SparseBatchNorm(width),
        SparseReLU(),
        SubmanifoldConv3d(width, width, bias=True, backend=backend),
    )
