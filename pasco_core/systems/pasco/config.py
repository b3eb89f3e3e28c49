"""The variants of the network, and how a state dict names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from pasco_core.errors import CheckpointError, ConfigError

STRIDES = (4, 2, 1)
"""Of the decoder's stages."""

BOX_STEP = 8
"""Stride of the coarsest voxels, at multiples of which boxes begin."""

_DECODER = "unet3d.decoder_generative."


@dataclass(frozen=True)
class PaSCoConfig:
    """Everything that fixes the shapes of the network.

    Args:
        n_subnets: subnets of the ensemble, 1 to 4.
        n_classes: semantic classes, 0 = empty.
        in_channels: features per input point; 8 geometric ones, or 283 with WaffleIron's.
        width: channels f at stride 1; 2f, 4f, 4f at strides 2, 4, 8.
        heavy: seven residual blocks per decoder stage and none in the encoder, instead of three and three.
        n_queries: mask queries per subnet.
        query_channels: width of the mask transformer.
        n_heads: attention heads.
        ffn_channels: hidden width of the transformer's feed-forward layers.
        point_channels: hidden widths of the point MLP.
        mirrored_views: whether the subnets were trained to tell any views of scans apart, mirrored ones too, as the
            published ones were; else their views must be turned against each other by a few degrees only.
        mask_segments: whether segments come from the masks, as in the published networks; else from the semantics
            (``semantic_segments.py``), and no mask is computed: for networks whose masks were hardly trained.
    """

    n_subnets: int = 1
    n_classes: int = 20
    in_channels: int = 8
    width: int = 64
    heavy: bool = False
    n_queries: int = 100
    query_channels: int = 384
    n_heads: int = 8
    ffn_channels: int = 1024
    point_channels: tuple[int, int, int] = (64, 128, 256)
    mirrored_views: bool = True
    mask_segments: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.n_subnets <= 4:
            raise ConfigError(f"Expected n_subnets to be 1 to 4, got {self.n_subnets}")
        if self.query_channels % (2 * 3) or self.query_channels % self.n_heads:
            raise ConfigError(
                f"Expected query_channels to be a multiple of 6 and of the {self.n_heads} heads, "
                f"got {self.query_channels}"
            )
        for name in ("n_classes", "in_channels", "width", "n_queries", "ffn_channels"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Expected {name} to be positive, got {getattr(self, name)}")

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels at strides 1, 2, 4, 8."""
        return (self.width, 2 * self.width, 4 * self.width, 4 * self.width)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they go into a checkpoint's header."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PaSCoConfig:
        """The inverse of ``to_dict``; an unknown key is an error."""
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise ConfigError(f"Expected the network's configuration to have known keys only, got {', '.join(unknown)}")
        point_channels = tuple(values.get("point_channels", cls.point_channels))
        return cls(**{**values, "point_channels": point_channels})

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> PaSCoConfig:
        """Reads the variant off key names and shapes; ``n_heads`` leaves no trace and is 8 in every published file.

        Raises:
            CheckpointError: a key the variant is read from is missing.
        """

        def shape(key: str) -> tuple[int, ...]:
            if key not in state_dict:
                raise CheckpointError(f"Expected the weights to be a PaSCo network's, got none called {key}")
            return tuple(state_dict[key].shape)

        heads = re.compile(re.escape(_DECODER) + r"dec_blocks\.0\.completion_heads\.(\d+)\.0\.kernel$")
        n_subnets = sum(1 for key in state_dict if heads.match(key))
        if n_subnets == 0:
            shape(f"{_DECODER}dec_blocks.0.completion_heads.0.0.kernel")
        n_queries, query_channels = shape("transformer_predictor.query_feat.weight")
        first, second, third = (shape(f"feat.PPmodel.{i}.weight")[0] for i in (1, 4, 7))
        return cls(
            n_subnets=n_subnets,
            n_classes=shape(f"{_DECODER}dec_blocks.0.completion_heads.0.0.kernel")[-1],
            in_channels=shape("feat.PPmodel.1.weight")[1],
            width=shape("unet3d.encoder.enc_in_feats.kernel")[1],
            heavy=f"{_DECODER}dec_blocks.0.process.3.net.2.kernel" in state_dict,
            n_queries=n_queries // n_subnets,
            query_channels=query_channels,
            ffn_channels=shape("transformer_predictor.transformer_ffn_layers.0.linear1.weight")[0],
            point_channels=(first, second, third),
        )
