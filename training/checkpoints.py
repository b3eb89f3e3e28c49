"""What a training leaves on disk: a checkpoint to resume from, and the best network as a file anyone can load."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from torch import Tensor

from pasco_core.atomic_write import atomic_write, write_text_whole
from pasco_core.checkpoints import CheckpointHeader, save_checkpoint
from pasco_core.errors import CheckpointError, ConfigError
from training.config import Experiment
from training.moving_average import MovingAverage
from training.yaml_config import differences

LAST, BEST, BEST_FIGURES, FINAL = "last.ckpt", "best.safetensors", "best.json", "final.safetensors"


class SafeCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are written whole or not at all, and read without running anything they name."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write and sync a temporary file, then rename it."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Tensors and plain values only."""
        return read_training_checkpoint(Path(path))


def read_training_checkpoint(path: Path) -> dict[str, Any]:
    """A ``last.ckpt`` of this program, on the CPU.

    Raises:
        CheckpointError: missing, truncated, or with anything in it but tensors and plain values.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"Expected a checkpoint to resume from at {path}, got nothing there") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[:1]
        raise CheckpointError(f"Expected {path} to be a whole checkpoint of `pasco train`, got {reason}") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("experiment"), dict):
        raise CheckpointError(f"Expected {path} to be a checkpoint of `pasco train`, got another file")
    return checkpoint


def steps_done(path: Path) -> int:
    """Steps of the optimiser that a ``last.ckpt`` holds.

    Raises:
        CheckpointError: not a checkpoint of ours.
    """
    return int(read_training_checkpoint(path)["global_step"])


def best_figure(folder: Path, experiment: Experiment) -> float | None:
    """The monitored figure of the best validation that a training left in its folder, None where there was none."""
    if not (folder / BEST_FIGURES).exists():
        return None
    figures = json.loads((folder / BEST_FIGURES).read_text(encoding="utf-8"))["figures"]
    return float(figures[f"val/ensemble/{experiment.validation.monitor}"])


def check_resume(path: Path, experiment: Experiment, allow_changes: bool) -> list[str]:
    """The settings that differ from those the checkpoint was trained with.

    Raises:
        ConfigError: there are some, and they are not allowed; they are listed.
        CheckpointError: not a checkpoint of ours.
    """
    changed = differences(read_training_checkpoint(path)["experiment"], experiment.to_dict())
    if changed and not allow_changes:
        listed = "\n  ".join(changed)
        raise ConfigError(
            f"Expected the experiment to be the one that {path} was trained with, got changes:\n  {listed}\n"
            "resume with --allow-changes if they are meant"
        )
    return changed


class Checkpoints(pl.Callback):
    """Saves ``last.ckpt`` on the way, the network of the best validation and the one at the end as safetensors.

    Args:
        folder: for both.
        experiment: how often, and by which figure.
        average: whose weights are exported, where there is a moving average.
    """

    def __init__(self, folder: Path, experiment: Experiment, average: MovingAverage | None = None):
        self._folder, self._experiment, self._average = folder, experiment, average
        self.best: float | None = None
        self._saved_at = -1

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Every so many steps; at the end of an epoch the validation comes first."""
        step, every = trainer.global_step, self._experiment.validation.checkpoint_every
        last_batch = batch_idx + 1 >= trainer.num_training_batches
        if step and step % every == 0 and step != self._saved_at and not last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After the epoch's validation."""
        self._save(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Exports the network if it is the best so far."""
        if trainer.sanity_checking:
            return
        figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        value = figures[f"val/ensemble/{self._experiment.validation.monitor}"]
        if self.best is not None and value <= self.best:
            return
        self.best = value
        if trainer.is_global_zero:
            self._export(self._weights(pl_module), figures, trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The network as it is at the end, validated or not."""
        if trainer.is_global_zero:
            export(self._folder / FINAL, self._weights(pl_module), self._experiment, trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """The best figure so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.best = state_dict["best"]

    def _weights(self, pl_module: pl.LightningModule) -> dict[str, Tensor]:
        if self._average is not None:
            return self._average.weights()
        return pl_module.get_submodule("network").state_dict()

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._folder / LAST)
        self._saved_at = trainer.global_step

    def _export(self, weights: Mapping[str, Tensor], figures: dict[str, float], trainer: pl.Trainer) -> None:
        export(self._folder / BEST, weights, self._experiment, trainer.global_step)
        summary = {"step": trainer.global_step, "epoch": trainer.current_epoch, "figures": figures}
        write_text_whole(self._folder / BEST_FIGURES, json.dumps(summary, indent=1) + "\n")


def export(path: Path, weights: Mapping[str, Tensor], experiment: Experiment, step: int) -> None:
    """Weights as a checkpoint that ``Predictor`` and every command load.

    Args:
        path: ends in ``.safetensors``.
        weights: of the network, on any device.
        experiment: what they were trained by; its name goes into the header.
        step: that they are of.
    """
    header = CheckpointHeader(
        system="pasco",
        config=experiment.network.to_dict(),
        class_names=experiment.labels.class_names,
        source=f"experiment {experiment.name}, step {step}, seed {experiment.seed}",
        # No hash of a source file: the predictor takes one as the sign of converted weights, which need pad_leak.
        source_sha256="",
    )
    save_checkpoint(path, weights, header)
