"""Trainings with the bottleneck in half precision, through Lightning and its gradient scaler.

A CPU's fast half-precision gradients of 3D convolutions are wrong, so that a training refuses them there
(test_training_progress.py); here slow ones are used, which are right.
"""

from __future__ import annotations

import csv

import pytest
import torch
from toy_scenes import ToyScenes, tiny_experiment

from training import fit as fit_module
from training.fit import Machine, fit
from training.precision import BottleneckPrecision


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch):
    monkeypatch.setattr(fit_module, "_check_machine", lambda *_: None)
    with torch.backends.mkldnn.flags(enabled=False):
        yield


def losses_of(precision, folder):
    schedule = {"kind": "constant", "epochs": 2}
    experiment = tiny_experiment(precision=precision, schedule=schedule, validation={"every_n_epochs": 99})
    trained = fit(experiment, folder, machine=Machine("cpu"), dataset=ToyScenes(2))
    with (folder / "logs" / "version_0" / "metrics.csv").open() as file:
        return trained, [float(row["loss"]) for row in csv.DictReader(file)]


def test_half_precision_follows_the_losses_of_float32(tmp_path):
    _, exact = losses_of("32", tmp_path / "32")
    assert exact[-1] < 0.9 * exact[0]
    for precision in ("bf16", "fp16"):
        _, losses = losses_of(precision, tmp_path / precision)
        assert losses != exact
        assert losses == pytest.approx(exact, rel=0.03)


def test_fp16_steps_that_overflow_are_left_out_until_the_scale_fits(tmp_path, monkeypatch):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    monkeypatch.setattr(fit_module, "precision_plugin", lambda *_: BottleneckPrecision("16-mixed", "cpu", scaler))
    trained, losses = losses_of("fp16", tmp_path / "run")
    assert trained.steps == len(losses) == 4
    assert scaler.get_scale() < 2.0**40
    weights = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)["state_dict"]
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
