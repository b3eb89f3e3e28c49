"""Trainings that are killed and resumed, folders that hold one already, and checkpoints that are no such thing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from resume_script import train
from toy_scenes import ToyScenes, tiny_experiment

from pasco_core.checkpoints import load_checkpoint
from pasco_core.errors import CheckpointError, ConfigError
from pasco_core.yaml_file import read_yaml
from training.checkpoints import LAST, SafeCheckpointIO, read_training_checkpoint
from training.config import Experiment
from training.fit import Machine, fit

SCRIPT = Path(__file__).with_name("resume_script.py")


def train_and_kill(out: Path, steps: int, die_after: int) -> dict[int, str]:
    """Step → loss of a training in its own process, which ends as by ``kill -9``."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{SCRIPT.parent}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(out), str(steps), str(die_after)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr[-2000:]
    pairs = (line.split() for line in result.stdout.splitlines())
    return {int(words[0]): words[1] for words in pairs if len(words) == 2 and words[0].isdigit()}


@pytest.mark.timeout(280)
def test_a_training_killed_in_the_middle_of_an_epoch_resumes_to_the_same_losses_bit_by_bit(tmp_path):
    whole = train(tmp_path / "whole", 7)
    assert sorted(whole) == [1, 2, 3, 4, 5, 6, 7]
    killed = train_and_kill(tmp_path / "killed", 7, 3)
    assert sorted(killed) == [1, 2, 3]
    resumed = train(tmp_path / "killed", 7, resume=True)
    assert sorted(resumed) == [3, 4, 5, 6, 7], "it goes on from the checkpoint of step 2"
    assert {**killed, **resumed} == whole
    a, b = (read_training_checkpoint(tmp_path / name / LAST) for name in ("whole", "killed"))
    assert all(torch.equal(a["state_dict"][key], b["state_dict"][key]) for key in a["state_dict"])
    averages = [c["callbacks"]["MovingAverage"]["average"] for c in (a, b)]
    assert all(torch.equal(averages[0][key], averages[1][key]) for key in averages[0])


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Experiment]:
    """A training of one epoch with a validation."""
    out = tmp_path_factory.mktemp("trained")
    experiment = tiny_experiment(
        schedule={"kind": "constant", "epochs": 1}, validation={"every_n_epochs": 1, "checkpoint_every": 100},
        targets={"empty_prior": 20.0, "keep_truth": False}, ema_decay=0.5,
    )
    result = fit(experiment, out, machine=Machine("cpu"), dataset=ToyScenes(2))
    assert result.steps == 2
    return out, experiment


def test_a_training_leaves_its_experiment_its_log_and_the_best_network(trained):
    out, experiment = trained
    assert Experiment.from_dict(read_yaml(out / "experiment.yaml")) == experiment
    log = (out / "logs" / "version_0" / "metrics.csv").read_text()
    assert {"loss", "loss/completion_ce", "gradient_norm", "val/ensemble/PQ_dagger", "val/subnet2/mIoU"} <= set(
        log.splitlines()[0].split(",")
    )
    best = load_checkpoint(out / "best.safetensors")
    assert best.header.source == "experiment tiny, step 2, seed 0"
    assert best.header.source_sha256 == ""
    figures = json.loads((out / "best.json").read_text())
    assert figures["step"] == 2 and "val/ensemble/mIoU" in figures["figures"]


def test_the_moving_average_is_what_is_exported_and_the_last_step_what_is_resumed(trained):
    out, _ = trained
    exported = load_checkpoint(out / "best.safetensors").state_dict
    checkpoint = read_training_checkpoint(out / LAST)
    average = checkpoint["callbacks"]["MovingAverage"]["average"]
    assert all(torch.equal(exported[key], average[key]) for key in exported)
    key = "unet3d.encoder.enc_in_feats.kernel"
    assert not torch.equal(checkpoint["state_dict"][f"network.{key}"], average[key])


def test_a_folder_with_a_training_is_not_trained_over(trained):
    out, experiment = trained
    with pytest.raises(ConfigError, match="hold no training yet, got one; --resume"):
        fit(experiment, out, machine=Machine("cpu"), dataset=ToyScenes(2))


def test_resuming_with_another_experiment_is_refused_with_the_difference(trained):
    out, _ = trained
    changed = tiny_experiment(optimiser={"learning_rate": 0.5}, schedule={"kind": "constant", "epochs": 1})
    with pytest.raises(ConfigError) as caught:
        fit(changed, out, machine=Machine("cpu"), resume=True, dataset=ToyScenes(2))
    assert "optimiser.learning_rate: 0.003 → 0.5" in str(caught.value)
    assert "--allow-changes" in str(caught.value)


def test_resuming_with_a_meant_change_goes_on_and_keeps_the_old_log(trained, caplog):
    out, experiment = trained
    longer = Experiment.from_dict({**experiment.to_dict(), "schedule": {"kind": "constant", "epochs": 2},
                                   "validation": {"every_n_epochs": 1000}})
    result = fit(longer, out, machine=Machine("cpu"), resume=True, allow_changes=True, dataset=ToyScenes(2))
    assert result.steps == 4
    assert "resumed with a change: schedule.epochs: 1 → 2" in caplog.text
    assert all((out / "logs" / version / "metrics.csv").exists() for version in ("version_0", "version_1"))


def test_resuming_without_a_checkpoint_names_the_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"resume from at .*last.ckpt, got nothing there"):
        fit(tiny_experiment(), tmp_path, machine=Machine("cpu"), resume=True, dataset=ToyScenes(2))


class Intruder:
    """What a foreign pickle could hold."""


def test_a_truncated_or_foreign_checkpoint_is_refused_without_running_it(trained, tmp_path):
    whole = (trained[0] / LAST).read_bytes()
    path = tmp_path / LAST
    for content in (b"", whole[: len(whole) // 2], b"not a checkpoint"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="a whole checkpoint of `pasco train`"):
            read_training_checkpoint(path)
    torch.save({"experiment": Intruder()}, path)
    with pytest.raises(CheckpointError, match=r"last.ckpt"):
        read_training_checkpoint(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="got another file"):
        read_training_checkpoint(path)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / LAST
    SafeCheckpointIO().save_checkpoint({"experiment": {}, "step": 1}, path)

    def full(checkpoint, target):
        Path(target).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        SafeCheckpointIO().save_checkpoint({"experiment": {}, "step": 2}, path)
    assert read_training_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == [LAST]


def test_a_finished_training_is_left_as_it_is_when_resumed(tmp_path, caplog):
    experiment = tiny_experiment(schedule={"max_steps": 2}, validation={"every_n_epochs": 99})
    first = fit(experiment, tmp_path, machine=Machine("cpu"), dataset=ToyScenes(4))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with caplog.at_level("INFO", logger="training"):
        again = fit(experiment, tmp_path, machine=Machine("cpu"), resume=True, dataset=ToyScenes(4))
    assert "has its 2 steps already" in caplog.text
    assert (again.steps, again.best, again.checkpoint) == (first.steps, first.best, first.checkpoint)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


class Interrupted(ToyScenes):
    """Somebody presses Ctrl-C while the sixth scan is read."""

    n_read = 0

    def points(self, frame):
        Interrupted.n_read += 1
        if Interrupted.n_read == 6:
            raise KeyboardInterrupt
        return super().points(frame)


def test_an_interrupted_training_says_where_it_goes_on(tmp_path, caplog):
    experiment = tiny_experiment(validation={"every_n_epochs": 99, "checkpoint_every": 1})
    with pytest.raises(KeyboardInterrupt), caplog.at_level("INFO", logger="training"):
        fit(experiment, tmp_path, machine=Machine("cpu"), dataset=Interrupted(8))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    steps = read_training_checkpoint(tmp_path / LAST)["global_step"]
    assert steps > 0 and f"--resume goes on after step {steps}" in caplog.text
