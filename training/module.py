"""The training step of PaSCo, its optimiser, and its validation with the real inference and the real metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from pasco_core.errors import ConfigError, InferenceError
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.config import STRIDES
from pasco_core.systems.pasco.losses import total_loss
from pasco_core.systems.pasco.network import PaSCo
from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS
from pasco_core.systems.pasco.training_targets import occupied_in_truth
from pasco_core.systems.pasco.voxel_selection import TrainingSelection
from pasco_core.systems.waffleiron import WaffleIron
from training.batch import TrainingBatch
from training.class_weights import class_weights
from training.config import Experiment
from training.divergence import TrainingDiverged, not_finite, save_for_replay
from training.features import load_feature_network, with_features
from training.items import ValidationItem
from training.optimiser import make_optimiser
from training.precision import run_bottleneck_in
from training.schedule import learning_rate_factor
from training.validation import Validation

_FP16_TRIES = 40  # halvings of the scale in a row; from 2**16 it is below any use long before


class PaSCoTraining(pl.LightningModule):
    """One network in training.

    Args:
        experiment: everything about it.
        out: folder for what a diverging training leaves.
        total_steps: of the whole training, for the schedules that need it.
    """

    def __init__(self, experiment: Experiment, out: Path, total_steps: int):
        super().__init__()
        self.experiment = experiment
        self.total_steps = total_steps
        self._out = out
        self.network = new_network(experiment)
        run_bottleneck_in(self.network, experiment.precision)
        for stride, weights in class_weights(experiment).items():
            self.register_buffer(f"class_weights_{stride}", weights, persistent=False)
        self._validation: Validation | None = None
        # In a tuple, so that it is no part of this module: frozen, not saved with it, not synchronised.
        self._features: tuple[WaffleIron, ...] = ()
        self._batch: TrainingBatch | None = None
        self._not_finite = 0  # gradients in a row

    @property
    def class_weights(self) -> dict[int, Tensor]:
        """Stride → (classes,)."""
        return {stride: getattr(self, f"class_weights_{stride}") for stride in STRIDES}

    def setup(self, stage: str) -> None:
        """Loads the network of the point features, where they are made in each step."""
        path, channels = self.experiment.data.features, self.experiment.network.in_channels
        if channels > GEOMETRIC_CHANNELS:
            if not path:
                raise ConfigError(
                    f"Expected data.features to name a WaffleIron checkpoint, because the network reads {channels} "
                    "features per point, got none"
                )
            self._features = (load_feature_network(path, channels),)

    def on_fit_start(self) -> None:
        """The network of the point features goes where the trained one is by now."""
        self._features = tuple(network.to(self.device) for network in self._features)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Training batches go to the device; validation frames stay as arrays, because the predictor takes them."""
        return batch.to(device) if isinstance(batch, TrainingBatch) else batch

    def losses(self, batch: TrainingBatch, generator: torch.Generator, masks: bool = True) -> dict[str, Tensor]:
        """Every loss term and ``total``.

        Args:
            batch: on the module's device.
            generator: on the same device; thins out voxels beyond the limits.
            masks: False computes completion alone.
        """
        targets, config = list(batch.targets), self.experiment

        def wanted(candidates: SparseTensor) -> Tensor:
            return occupied_in_truth(candidates, targets)

        keep = wanted if config.targets.keep_truth else None
        select = TrainingSelection(config.limits, self.class_weights, generator, keep)
        output = self.network(
            list(batch.features), list(batch.voxels), batch.box_min, batch.box_max, select=select, instances=masks
        )
        return total_loss(output, targets, self.class_weights, config.losses, masks=masks)

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """The total loss; one that is not finite ends the training with the batch saved."""
        if batch.scans:
            batch = with_features(batch, *self._features)
        self._batch = batch
        generator = torch.Generator(self.device)
        generator.manual_seed(self._seed_of(batch))
        try:
            losses = self.losses(batch, generator, self._trains_masks())
        except InferenceError as error:
            raise self._diverged(str(error), {}) from error
        bad = not_finite(losses)
        if bad:
            raise self._diverged(f"losses {', '.join(f'{k} = {v}' for k, v in bad.items())}", bad)
        self._log_losses(losses)
        return losses["total"]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Limits the norm of the gradient; one that is not finite ends the training before it reaches the weights."""
        limit = gradient_clip_val or float("inf")
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        self._not_finite = 0 if bool(torch.isfinite(norm)) else self._not_finite + 1
        # The scaler of fp16 finds its scale by trying, and skips such steps itself.
        if self._not_finite > (_FP16_TRIES if self.experiment.precision == "fp16" else 0):
            raise self._diverged(f"a gradient of norm {float(norm)}", {})
        self.log("gradient_norm", norm, batch_size=1)

    def configure_optimizers(self) -> Any:
        """AdamW with its schedule by steps."""
        optimiser = make_optimiser(self.network, self.experiment.optimiser)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_factor(step, self.total_steps, self.experiment.schedule)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_validation_epoch_start(self) -> None:
        """Begins counting."""
        self._validation = Validation(self.network, self.experiment, str(self.device), *self._features)

    def validation_step(self, item: ValidationItem, batch_idx: int) -> None:
        """One frame through the predictor."""
        assert self._validation is not None
        self._validation.add(item)

    def on_validation_epoch_end(self) -> None:
        """Figures of all devices together."""
        assert self._validation is not None
        for name, value in self._validation.figures().items():
            self.log(name, value, rank_zero_only=False, sync_dist=False, batch_size=1)
        self._validation = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The experiment travels with the weights."""
        checkpoint["experiment"] = self.experiment.to_dict()

    def _trains_masks(self) -> bool:
        """Whether there is a use for masks, and completion has had its epochs alone."""
        experiment = self.experiment
        return experiment.network.mask_segments and self.current_epoch >= experiment.targets.completion_only_epochs

    def _seed_of(self, batch: TrainingBatch) -> int:
        return int(np.random.SeedSequence([self.experiment.seed, *batch.seed]).generate_state(1)[0])

    def _log_losses(self, losses: dict[str, Tensor]) -> None:
        self.log("loss", losses["total"].detach(), prog_bar=True, batch_size=1)
        grouped: dict[str, Tensor] = {}
        for name, value in losses.items():
            if name != "total":
                group = name if name.startswith("completion") else name.split("_", 1)[1]
                grouped[group] = grouped.get(group, 0.0) + value.detach()
        self.log_dict({f"loss/{name}": value for name, value in grouped.items()}, batch_size=1)

    def _diverged(self, what: str, losses: dict[str, float]) -> TrainingDiverged:
        assert self._batch is not None
        notes = {"reason": what, "losses": {name: str(value) for name, value in losses.items()},
                 "experiment": self.experiment.to_dict()}
        path = save_for_replay(
            self._out / "diverged", self.global_step, self.global_rank, self._batch, self.network, notes
        )
        frames = ", ".join(self._batch.frames)
        return TrainingDiverged(
            f"Expected the training to stay finite, got {what} at step {self.global_step} (frames {frames}); "
            f"the batch is saved for replay in {path}"
        )


def new_network(experiment: Experiment) -> PaSCo:
    """A network with fresh weights, the same for the same seed, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        network = PaSCo(experiment.network, pad_leak=False)
    with torch.no_grad():
        for block in network.unet3d.decoder_generative.dec_blocks:
            heads: Any = block.completion_heads
            for head in heads:
                head[0].bias[0, 0] = experiment.targets.empty_prior
    return network
