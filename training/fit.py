"""From an experiment to a trained network: builds the trainer and runs it, new or resumed."""

from __future__ import annotations

import json
import logging
import os
import signal
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerStatus

from pasco_core.atomic_write import write_text_whole
from pasco_core.data.datasets.dataset import Dataset
from pasco_core.errors import ConfigError, DataError, PascoError
from training.checkpoints import (
    BEST,
    BEST_FIGURES,
    FINAL,
    LAST,
    Checkpoints,
    SafeCheckpointIO,
    best_figure,
    check_resume,
    steps_done,
)
from training.config import Experiment
from training.data_module import SceneData
from training.launcher import check_launcher
from training.module import PaSCoTraining
from training.moving_average import MovingAverage
from training.precision import precision_plugin
from training.progress import Lines, LoaderWatch, StepLimit, progress_bar
from training.sampling import EpochSampler
from training.synchronised_batch_norm import SynchronisedBatchNorms
from training.yaml_config import dump

log = logging.getLogger("training")
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Machine:
    """Where to train.

    Args:
        accelerator: auto, cpu or cuda.
        devices: per node; 0: all GPUs, or one process on a CPU.
        nodes: machines; their launcher (torchrun, SLURM) starts one process per device.
    """

    accelerator: str = "auto"
    devices: int = 0
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.accelerator not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"Expected the accelerator to be auto, cpu or cuda, got {self.accelerator!r}")
        n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if self.accelerator == "cuda" and n_gpus < max(1, self.devices):
            raise ConfigError(f"Expected {max(1, self.devices)} CUDA devices, got a torch that sees {n_gpus}")
        if self.devices < 0 or self.nodes < 1:
            raise ConfigError(f"Expected devices from 0 and nodes from 1, got {self.devices} and {self.nodes}")

    @property
    def kind(self) -> str:
        """cuda or cpu."""
        if self.accelerator != "auto":
            return self.accelerator
        return "cuda" if torch.cuda.is_available() and torch.cuda.device_count() else "cpu"

    @property
    def n_devices(self) -> int:
        """Per node."""
        return self.devices or (torch.cuda.device_count() if self.kind == "cuda" else 1)


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Args:
        out: its folder.
        steps: taken in all.
        best: the monitored figure of the best validation, None without one.
        checkpoint: the best network, or the last where there was no validation.
        is_first_process: whether this is the process that reports, of several that train together.
    """

    out: Path
    steps: int
    best: float | None
    checkpoint: Path
    is_first_process: bool = True


def fit(
    experiment: Experiment,
    out: Path,
    *,
    machine: Machine | None = None,
    resume: bool = False,
    allow_changes: bool = False,
    dataset: Dataset | None = None,
) -> Trained:
    """Train, with everything a training leaves in one folder.

    Args:
        experiment: what to train and how.
        out: folder for experiment.yaml, last.ckpt, best.safetensors, best.json, final.safetensors and
            logs/version_0/metrics.csv, with another version for each time it is resumed.
        machine: where; default: all GPUs of this machine, or its CPU.
        resume: go on from ``last.ckpt`` in ``out``.
        allow_changes: resume although the experiment differs.
        dataset: default: the one the experiment names.

    Raises:
        ConfigError: settings or folders that do not fit; ``out`` holds another training.
        TrainingDiverged: a loss or gradient that is not finite.
    """
    machine = machine or Machine()
    _check_out(out, experiment, resume, allow_changes)
    data = SceneData(experiment, dataset)
    _check_machine(experiment, machine, data)
    out.mkdir(parents=True, exist_ok=True)
    pl.seed_everything(experiment.seed, workers=True, verbose=False)
    if resume and (out / FINAL).exists():
        steps, figure = steps_done(out / LAST), best_figure(out, experiment)
        if 0 < experiment.schedule.max_steps <= steps:
            log.info("%s has its %d steps already: nothing is left to train", out, steps)
            return Trained(out, steps, figure, out / (FINAL if figure is None else BEST))
    average = MovingAverage(experiment.ema_decay) if experiment.ema_decay else None
    checkpoints = Checkpoints(out, experiment, average)
    trainer = make_trainer(experiment, out, machine, average, checkpoints)
    module = PaSCoTraining(experiment, out, total_steps(experiment, len(data.train_frames), trainer.world_size))
    if trainer.is_global_zero:
        write_text_whole(out / "experiment.yaml", dump(experiment))
    with warnings.catch_warnings():
        for text in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", text)
        try:
            trainer.fit(module, data, ckpt_path=str(out / LAST) if resume else None)
        except (PascoError, RuntimeError) as error:
            raise _from_worker(error) from error
        except SystemExit as end:  # what Lightning makes of Ctrl-C
            if trainer.state.status == TrainerStatus.INTERRUPTED:
                kept = steps_done(out / LAST) if (out / LAST).exists() else 0
                log.warning("interrupted at step %d; --resume goes on after step %d", trainer.global_step, kept)
                signal.signal(signal.SIGINT, signal.default_int_handler)  # which Lightning has switched off
                raise KeyboardInterrupt from end
            raise
    best = out / BEST if checkpoints.best is not None else out / FINAL
    return Trained(out, trainer.global_step, checkpoints.best, best, trainer.is_global_zero)


# What Lightning says of choices that are meant.
_EXPECTED_WARNINGS = (
    r".*does not have many workers.*", r".*dataloader is not resumable.*", r".*sync_dist=True.*",
    r".*find_unused_parameters=True was specified.*", r".*overridden `transfer_batch_to_device`.*", r".*treespec.*",
    r".*Checkpoint directory.*", r".*smaller than the logging interval.*",
    # The bottleneck's kernels of size 1 in z: their strides there mean nothing, and nothing is slower for it.
    r".*Grad strides do not match bucket view strides.*",
)


def _from_worker(error: Exception) -> Exception:
    """What went wrong in a loader process, as its own sentence; any other error as it is."""
    text = str(error)
    if isinstance(error, PascoError) and text.startswith("Caught "):
        # torch puts the process's traceback into the message; its last line ends with the message that was meant.
        return type(error)(text.strip().splitlines()[-1].partition(": ")[2])
    if text.startswith("DataLoader worker") and not isinstance(error, PascoError):
        return DataError(
            f"Expected the loader processes to live, got: {text.splitlines()[0]}; "
            "if memory ran out, lower data.workers, then --resume"
        )
    if "Connection closed by peer" in text:
        return DataError("Expected all processes to train to the end, got one that ended; its own message says why")
    return error


def make_trainer(
    experiment: Experiment, out: Path, machine: Machine, average: MovingAverage | None, checkpoints: Checkpoints
) -> pl.Trainer:
    """Lightning's trainer with our callbacks; the order matters: the average is back out before anything is saved."""
    bar = progress_bar()
    callbacks: list[pl.Callback] = [*([average] if average else []), StepLimit(experiment.schedule.max_steps)]
    callbacks += [LoaderWatch(experiment.data.workers), Lines(experiment.log.every), checkpoints]
    callbacks += [bar] if bar else []
    many = machine.n_devices * machine.nodes > 1
    plugins: list[Any] = [precision_plugin(experiment.precision, machine.kind), SafeCheckpointIO()]
    plugins += [SynchronisedBatchNorms()] if many else []
    return pl.Trainer(
        accelerator="gpu" if machine.kind == "cuda" else "cpu",
        devices=machine.n_devices,
        num_nodes=machine.nodes,
        # The last layers of the mask transformer get no loss while only completion is trained.
        strategy=DDPStrategy(find_unused_parameters=True) if many else "auto",
        plugins=plugins,
        max_epochs=experiment.schedule.epochs,
        accumulate_grad_batches=experiment.optimiser.accumulate,
        gradient_clip_val=experiment.optimiser.gradient_clip or None,
        check_val_every_n_epoch=experiment.validation.every_n_epochs,
        log_every_n_steps=experiment.log.every,
        logger=_loggers(experiment, out),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=bar is not None,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        benchmark=False,
        default_root_dir=out,
    )


def total_steps(experiment: Experiment, n_frames: int, world: int) -> int:
    """Steps of the optimiser from beginning to end."""
    per_epoch = len(EpochSampler(n_frames, experiment.data.train_share, 0, 0, world))
    steps = -(-per_epoch // experiment.optimiser.accumulate) * experiment.schedule.epochs
    return min(steps, experiment.schedule.max_steps or steps)


def _check_out(out: Path, experiment: Experiment, resume: bool, allow_changes: bool) -> None:
    last = out / LAST
    if resume:
        for line in check_resume(last, experiment, allow_changes):
            log.warning("resumed with a change: %s", line)
    elif any((out / name).exists() for name in (LAST, BEST, BEST_FIGURES)):
        raise ConfigError(
            f"Expected {out} to hold no training yet, got one; --resume goes on with it, --out chooses another"
        )


def _check_machine(experiment: Experiment, machine: Machine, data: SceneData) -> None:
    check_launcher(machine.n_devices, machine.nodes, os.environ)
    world = machine.n_devices * machine.nodes
    if len(data.val_frames) < world:
        raise ConfigError(f"Expected at least {world} validation frames, one per device, got {len(data.val_frames)}")
    if experiment.precision != "32" and machine.kind == "cpu":
        # Seen with torch 2.13: weight gradients of conv3d in bfloat16 that are off by their own size, or infinite.
        raise ConfigError(
            f"Expected precision to be 32 on a CPU, whose half-precision gradients of 3D convolutions are wrong, "
            f"got {experiment.precision}"
        )


def _loggers(experiment: Experiment, out: Path) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(out, name="logs", flush_logs_every_n_steps=experiment.log.every)]
    if experiment.log.tensorboard:
        try:
            loggers.append(TensorBoardLogger(out, name="tensorboard", version=""))
        except ModuleNotFoundError as error:
            raise ConfigError(
                "Expected TensorBoard to be installed for log.tensorboard; run `pip install tensorboard`"
            ) from error
    return loggers


def as_json(result: Trained) -> str:
    """The result for programs."""
    values: dict[str, Any] = {"out": str(result.out), "steps": result.steps, "best": result.best}
    values["checkpoint"] = str(result.checkpoint)
    return json.dumps(values, indent=1)
