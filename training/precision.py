"""Half precision where it is safe: in the dense bottleneck, where most of the multiplications are.

The sparse operations scatter into sums of float32 and have gradients of their own; PyTorch's autocast cannot look into
them. So they stay in float32, and autocast surrounds the bottleneck alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from torch import Tensor

from pasco_core.systems.pasco.bottleneck import Bottleneck
from pasco_core.systems.pasco.network import PaSCo

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class BottleneckPrecision(MixedPrecision):
    """Lightning's mixed precision, gradient scaling for fp16 included, without its autocast around everything."""

    @contextmanager
    def forward_context(self) -> Iterator[None]:
        """Nothing: the bottleneck has an autocast of its own."""
        yield


def precision_plugin(name: str, device: str) -> Precision:
    """What the trainer needs for precision 32, bf16 or fp16 on a kind of device."""
    if name == "32":
        return Precision()
    return BottleneckPrecision("bf16-mixed" if name == "bf16" else "16-mixed", device)


def run_bottleneck_in(network: PaSCo, name: str) -> None:
    """Makes the dense bottleneck compute in ``name`` ("32", "bf16" or "fp16") while the network is in training mode."""
    if name == "32":
        return
    bottleneck: Bottleneck = network.unet3d.dense3d[0]  # type: ignore[assignment]
    exactly = bottleneck.forward_dense

    def forward_dense(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, _DTYPES[name], enabled=bottleneck.training, cache_enabled=False):
            return exactly(x).to(x.dtype)

    bottleneck.forward_dense = forward_dense  # type: ignore[method-assign]
