"""The embedding layer: a point's own features beside the strongest response among its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pasco_core.systems.waffleiron.config import N_FEATURES
from pasco_core.systems.waffleiron.layers import Pointwise


class Embedding(nn.Module):
    """Point features (M, 5) and neighbour rows (M, K) to tokens (M, channels).

    Source: WaffleIron (Puy et al., ICCV 2023), section 3.1. Normalisations run on (rows, channels) matrices, which
    is the same arithmetic as on the authors' channel-first tensors.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(N_FEATURES)
        self.conv1 = Pointwise(N_FEATURES, channels)
        self.conv2 = nn.Sequential(
            nn.BatchNorm1d(N_FEATURES),
            Pointwise(N_FEATURES, channels, bias=False, unit_axes=2),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            Pointwise(channels, channels, bias=False, unit_axes=2),
        )
        self.final = Pointwise(2 * channels, channels)

    def forward(self, features: Tensor, neighbours: Tensor) -> Tensor:
        """(M, 5) features with the (M, K) rows of their neighbours → (M, channels)."""
        rows = self.norm(features)
        differences = rows[neighbours] - rows[:, None]
        responses = self.conv2(differences.reshape(-1, N_FEATURES))
        strongest = responses.view(*neighbours.shape, -1).amax(dim=1)
        return self.final(torch.cat([self.conv1(rows), strongest], dim=1))
