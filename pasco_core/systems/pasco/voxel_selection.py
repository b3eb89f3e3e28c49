"""Which of the decoder's candidate voxels go on to the next stage, in inference and under the limits of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pasco_core.errors import ConfigError
from pasco_core.sparse import SparseTensor

VoxelSelection = Callable[[SparseTensor, list[Tensor]], Tensor]
"""Candidates and every subnet's logits (N, classes) → mask (N,) of the voxels to keep."""

_FEWEST = 64  # voxels that always go on while training, so that no stage runs dry and loses its gradient


def is_occupied(logits: Tensor) -> Tensor:
    """Mask (N,) of the voxels whose most probable class is not "empty"; a tie is empty."""
    return logits[:, 1:].amax(1) > logits[:, 0]


def occupied_by_any(candidates: SparseTensor, logits: list[Tensor]) -> Tensor:
    """The rule of inference: a voxel goes on if any subnet calls it occupied."""
    return torch.stack([is_occupied(subnet) for subnet in logits]).any(0)


@dataclass(frozen=True)
class VoxelLimits:
    """How many voxels training carries on, by stride.

    Args:
        per_subnet: occupied voxels of one subnet above which it is thinned out at random.
        together: voxels of all subnets above which those that the most subnets agree on stay.
    """

    per_subnet: Mapping[int, int] = field(default_factory=lambda: {4: 25_000, 2: 120_000, 1: 400_000})
    together: Mapping[int, int] = field(default_factory=lambda: {4: 30_000, 2: 100_000, 1: 400_000})

    def __post_init__(self) -> None:
        for name, limits in (("per_subnet", self.per_subnet), ("together", self.together)):
            if set(limits) != {4, 2, 1} or min(limits.values()) < _FEWEST:
                raise ConfigError(f"Expected voxel limits '{name}' from {_FEWEST} on at strides 4, 2, 1, got {limits}")

    @classmethod
    def published(cls, n_subnets: int) -> VoxelLimits:
        """Those of the published training."""
        per_subnet = {3: {4: 24_000, 2: 100_000, 1: 350_000}, 4: {4: 22_000, 2: 80_000, 1: 320_000}}
        return cls(per_subnet.get(n_subnets, cls().per_subnet))


class TrainingSelection:
    """Occupied voxels within limits, and optionally those that should be occupied.

    Args:
        limits: how many at most.
        class_weights: stride → (classes,); where voxels are thinned out, sure ones of rare classes stay more often.
        generator: source of randomness, on the network's device.
        wanted: candidates → mask (N,) of the voxels that the truth calls occupied: they go on even where the network
            still calls them empty, or else a stage could never learn what the stage before it pruned. None: as in the
            published training, only what the network calls occupied.
    """

    def __init__(
        self,
        limits: VoxelLimits,
        class_weights: Mapping[int, Tensor],
        generator: torch.Generator,
        wanted: Callable[[SparseTensor], Tensor] | None = None,
    ):
        self._limits = limits
        self._class_weights = class_weights
        self._generator = generator
        self._wanted = wanted

    @torch.no_grad()
    def __call__(self, candidates: SparseTensor, logits: list[Tensor]) -> Tensor:
        stride = candidates.stride
        votes = torch.stack([self._thinned(subnet, stride) for subnet in logits])
        if self._wanted is not None:
            votes = torch.cat([votes, self._wanted(candidates)[None]])
        keep = votes.any(0)
        limit, n_kept = self._limits.together[stride], int(keep.sum())
        if n_kept > limit:
            return _best(votes.sum(0) + self._tie_breaker(keep), limit)
        if n_kept < min(_FEWEST, len(keep)):
            margin = torch.stack([subnet[:, 1:].amax(1) - subnet[:, 0] for subnet in logits]).amax(0)
            return keep | _best(margin, min(_FEWEST, len(keep)))
        return keep

    def _thinned(self, logits: Tensor, stride: int) -> Tensor:
        occupied = is_occupied(logits)
        limit = self._limits.per_subnet[stride]
        if int(occupied.sum()) <= limit:
            return occupied
        probability, category = logits.softmax(1).max(1)
        weight = probability * self._class_weights[stride].to(probability)[category]
        # The largest w / e with exponential e are a weighted sample without replacement, of any number of voxels.
        lots = torch.empty_like(weight).exponential_(generator=self._generator)
        return _best(weight / lots, limit)

    def _tie_breaker(self, like: Tensor) -> Tensor:
        return torch.rand(like.shape, generator=self._generator, device=like.device)


def _best(score: Tensor, n: int) -> Tensor:
    """Mask of the ``n`` highest scores."""
    mask = torch.zeros(len(score), dtype=torch.bool, device=score.device)
    mask[score.topk(n).indices] = True
    return mask
