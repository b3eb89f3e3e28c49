"""A training in a process of its own: ``resume_script.py OUT STEPS DIE_AFTER RESUME``; prints the loss of each step."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import lightning.pytorch as pl
from toy_scenes import ToyScenes, tiny_experiment

from training import fit as fit_module


class Watch(pl.Callback):
    """Prints losses, and kills the process as ``kill -9`` does."""

    def __init__(self, die_after: int):
        self._die_after = die_after

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        print(f"step {trainer.global_step} loss {float(outputs['loss']).hex()}", flush=True)
        if trainer.global_step == self._die_after:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    out, steps, die_after, resume = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    experiment = tiny_experiment(
        ema_decay=0.9, schedule={"kind": "one_cycle", "epochs": 2, "max_steps": steps, "warmup": 2},
        validation={"checkpoint_every": 2},
    )
    real = fit_module.make_trainer

    def watched(*args):
        trainer = real(*args)
        trainer.callbacks.append(Watch(die_after))
        return trainer

    fit_module.make_trainer = watched
    fit_module.fit(
        experiment, out, machine=fit_module.Machine("cpu"), resume=bool(resume), dataset=ToyScenes(4)
    )


if __name__ == "__main__":
    main()
