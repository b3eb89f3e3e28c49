"""An exponential moving average of the weights: validated and exported in place of the last step's."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

_RAMP = 10  # the first steps count more: decay is at most (1 + steps) / (10 + steps)


class MovingAverage(pl.Callback):
    """Keeps the average beside the network and puts it in its place while validating.

    Args:
        decay: of the old average in each step.
    """

    def __init__(self, decay: float):
        self._decay = decay
        self._average: dict[str, Tensor] = {}
        self._own: dict[str, Tensor] = {}
        self._steps = 0

    @torch.no_grad()
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begins with the weights as they are, unless a checkpoint brought an average."""
        network = pl_module.get_submodule("network")
        current = {key: value.detach().clone() for key, value in network.state_dict().items()}
        self._average = {key: self._average.get(key, value).to(value.device) for key, value in current.items()}

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After each step of the optimiser."""
        if trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        decay = min(self._decay, (1 + self._steps) / (_RAMP + self._steps))
        for key, value in pl_module.get_submodule("network").state_dict().items():
            average = self._average[key]
            if average.dtype.is_floating_point:
                average.lerp_(value, 1.0 - decay)
            else:
                average.copy_(value)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The average goes in."""
        if trainer.sanity_checking or not self._average:
            return
        network = pl_module.get_submodule("network")
        self._own = {key: value.detach().clone() for key, value in network.state_dict().items()}
        _fill(network, self._average)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The weights in training come back."""
        if self._own:
            _fill(pl_module.get_submodule("network"), self._own)
            self._own = {}

    def weights(self) -> dict[str, Tensor]:
        """The average."""
        return self._average

    def state_dict(self) -> dict[str, Any]:
        """For resuming."""
        return {"average": {key: value.cpu() for key, value in self._average.items()}, "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._average, self._steps = dict(state_dict["average"]), int(state_dict["steps"])


@torch.no_grad()
def _fill(network: nn.Module, values: dict[str, Tensor]) -> None:
    for key, own in network.state_dict().items():
        own.copy_(values[key])
