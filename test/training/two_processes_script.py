"""A training of two steps in two processes; each prints a sum of its weights and what the validation counted.

Arguments: folder, devices per machine, machines, and "lonely" for scenes of which every second has a single point.
"""

from __future__ import annotations

import sys
from pathlib import Path

import lightning.pytorch as pl
import torch
from toy_scenes import ToyScenes, tiny_experiment

from training import fit as fit_module
from training import validation as validation_module


class Report(pl.Callback):
    """Prints at the end of each validation."""

    def on_validation_end(self, trainer, pl_module):
        weights = torch.cat([p.detach().flatten().double() for p in pl_module.network.parameters()])
        figure = float(trainer.callback_metrics["val/ensemble/IoU"])
        found = f"weights {weights.sum().item().hex()} IoU {figure!r} frames {SEEN[0]}"
        print(f"rank {trainer.global_rank}: {found}", flush=True)


SEEN: list[int] = []


class Lonely(ToyScenes):
    """Of every second scan one point is left."""

    def points(self, frame):
        points = super().points(frame)
        return points[:1] if frame.index % 2 else points


def main() -> None:
    devices, machines = int(sys.argv[2]), int(sys.argv[3])
    scenes = Lonely(4) if "lonely" in sys.argv else ToyScenes(4)
    experiment = tiny_experiment(
        schedule={"kind": "constant", "epochs": 1}, validation={"every_n_epochs": 1, "checkpoint_every": 100},
        targets={"empty_prior": 20.0, "keep_truth": False}, data={"val_frames": 3},
    )
    real_trainer, real_gather = fit_module.make_trainer, validation_module.gather

    def reporting(*args):
        trainer = real_trainer(*args)
        trainer.callbacks.append(Report())
        return trainer

    def counting(metrics, labels):
        merged = real_gather(metrics, labels)
        SEEN[:] = [merged[-1].frames]
        return merged

    fit_module.make_trainer, validation_module.gather = reporting, counting
    machine = fit_module.Machine("cpu", devices, machines)
    fit_module.fit(experiment, Path(sys.argv[1]), machine=machine, dataset=scenes)


if __name__ == "__main__":
    main()
