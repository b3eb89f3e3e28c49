"""The two residual blocks that alternate through the network: mixing tokens in a plane, mixing channels in a token."""

from __future__ import annotations

from torch import Tensor, nn

from pasco_core.systems.waffleiron.layers import ChannelScale, Pointwise
from pasco_core.systems.waffleiron.planes import PlaneIndex


class TokenMix(nn.Module):
    """Tokens (M, C) exchange information with those near them in one plane: two depthwise 3x3 convolutions on means."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.ffn = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
        )
        self.scale = ChannelScale(channels)

    def forward(self, tokens: Tensor, plane: PlaneIndex) -> Tensor:
        mixed = self.ffn(plane.scatter_mean(self.norm(tokens)))
        return tokens + self.scale(plane.gather(mixed))


class ChannelMix(nn.Module):
    """Channels of each token (M, C) exchange information: a two-layer perceptron per token."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.mlp = nn.Sequential(Pointwise(channels, channels), nn.ReLU(), Pointwise(channels, channels))
        self.scale = ChannelScale(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.scale(self.mlp(self.norm(tokens)))


class Backbone(nn.Module):
    """``depth`` pairs of token mixing, plane after plane in turn, and channel mixing.

    Source: WaffleIron (Puy et al., ICCV 2023), section 3.2.
    """

    def __init__(self, channels: int, depth: int):
        super().__init__()
        self.channel_mix = nn.ModuleList([ChannelMix(channels) for _ in range(depth)])
        self.spatial_mix = nn.ModuleList([TokenMix(channels) for _ in range(depth)])

    def blocks(self, planes: list[PlaneIndex]) -> list[tuple[TokenMix, ChannelMix, PlaneIndex]]:
        """Each block's two halves and the plane it works on, in order."""
        pairs = zip(self.spatial_mix, self.channel_mix)
        return [(spatial, channel, planes[i % len(planes)]) for i, (spatial, channel) in enumerate(pairs)]

    def forward(self, tokens: Tensor, planes: list[PlaneIndex]) -> Tensor:
        """(M, channels) → (M, channels) through all blocks; the planes are those of ``PlaneIndex``, one per axis."""
        for spatial, channel, plane in self.blocks(planes):
            tokens = channel(spatial(tokens, plane))
        return tokens
