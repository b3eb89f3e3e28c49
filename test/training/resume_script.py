"""A training whose losses are watched; as a program, ``resume_script.py OUT STEPS DIE_AFTER`` prints and dies."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from unittest import mock

import lightning.pytorch as pl
from toy_scenes import ToyScenes, tiny_experiment

from training import fit as fit_module


class Watch(pl.Callback):
    """Notes the loss of each step, and kills the process as ``kill -9`` does."""

    def __init__(self, die_after: int):
        self.losses: dict[int, str] = {}
        self._die_after = die_after

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        step = trainer.global_step
        self.losses[step] = float(outputs["loss"]).hex()
        if step == self._die_after:
            print(*(f"{number} {loss}" for number, loss in self.losses.items()), sep="\n", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


def train(out: Path, steps: int, die_after: int = 0, resume: bool = False) -> dict[int, str]:
    """Step → loss, in hexadecimal."""
    experiment = tiny_experiment(
        ema_decay=0.9, schedule={"kind": "one_cycle", "epochs": 2, "max_steps": steps, "warmup": 2},
        validation={"checkpoint_every": 2},
    )
    watch, real = Watch(die_after), fit_module.make_trainer

    def watched(*args):
        trainer = real(*args)
        trainer.callbacks.append(watch)
        return trainer

    with mock.patch.object(fit_module, "make_trainer", watched):
        fit_module.fit(experiment, out, machine=fit_module.Machine("cpu"), resume=resume, dataset=ToyScenes(4))
    return watch.losses


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
