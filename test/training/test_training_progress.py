"""What a training tells while it runs, how it ends, and what it refuses before it begins."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from toy_scenes import Fragile, ToyScenes, tiny_experiment

from pasco_core.errors import ConfigError, DataError
from training.config import Experiment
from training.fit import Machine, fit, total_steps
from training.module import new_network
from training.moving_average import MovingAverage
from training.progress import Lines, LoaderWatch, StepLimit


class Clock:
    """Goes on when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def watched_steps(waiting: float, working: float) -> tuple[LoaderWatch, list[float]]:
    """The watch after 120 steps, and the shares it logged."""
    clock, logged = Clock(), []
    watch = LoaderWatch(workers=2, clock=clock)
    module = SimpleNamespace(log=lambda name, value, **_: logged.append(value))
    watch.on_train_epoch_start(None, module)
    for _ in range(120):
        clock.now += waiting
        watch.on_train_batch_start(None, module, None, 0)
        clock.now += working
        watch.on_train_batch_end(None, module, None, None, 0)
    return watch, logged


def test_a_slow_loader_is_told_once_with_numbers(caplog):
    watch, logged = watched_steps(waiting=0.3, working=0.1)
    assert watch.warned
    assert logged == pytest.approx([0.75, 0.75])
    assert len(caplog.records) == 1
    assert "75 % of the last 50 steps" in caplog.text
    assert "(0.300 s of 0.400 s per step) with 2 workers; raise data.workers" in caplog.text


def test_a_fast_loader_is_not_mentioned(caplog):
    watch, logged = watched_steps(waiting=0.01, working=0.4)
    assert not watch.warned and caplog.text == ""
    assert logged == pytest.approx([0.01 / 0.41] * 2)


def test_lines_tell_step_loss_and_seconds(caplog):
    clock = Clock()
    lines = Lines(2, clock)
    trainer = SimpleNamespace(global_step=0, current_epoch=1, is_global_zero=True, callback_metrics={"loss": 3.5})
    with caplog.at_level(logging.INFO, "training"):
        for step in range(1, 5):
            trainer.global_step, clock.now = step, clock.now + 0.5
            lines.on_train_batch_end(trainer, None, None, None, 0)
    assert [record.message for record in caplog.records] == [
        "epoch 1 step 2: loss 3.5000, 0.50 s per step", "epoch 1 step 4: loss 3.5000, 0.50 s per step"
    ]


@pytest.mark.parametrize(("limit", "stops"), [(0, False), (3, True), (4, False)])
def test_a_step_limit_ends_the_training(limit, stops):
    trainer = SimpleNamespace(global_step=3, should_stop=False)
    StepLimit(limit).on_train_batch_end(trainer, None, None, None, 0)
    assert trainer.should_stop == stops


def moving_average(decay: float):
    average, module = MovingAverage(decay), nn.ModuleDict({"network": new_network(tiny_experiment())})
    average.on_fit_start(None, module)
    return average, module


def test_the_moving_average_follows_its_definition_and_steps_back_after_validation():
    average, module = moving_average(0.5)
    key = "unet3d.encoder.enc_in_feats.kernel"
    parameter = dict(module.network.named_parameters())[key]
    expected = parameter.detach().clone()
    for step in (1, 2, 3):
        with torch.no_grad():
            parameter.add_(1.0)
        average.on_train_batch_end(SimpleNamespace(global_step=step), module, None, None, 0)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * parameter.detach()
    own = parameter.detach().clone()
    trainer = SimpleNamespace(sanity_checking=False)
    average.on_validation_start(trainer, module)
    assert torch.allclose(parameter, expected)
    average.on_validation_end(trainer, module)
    assert torch.equal(parameter, own)


def test_items_without_a_step_do_not_count_for_the_average():
    average, module = moving_average(0.5)
    trainer = SimpleNamespace(global_step=1)
    average.on_train_batch_end(trainer, module, None, None, 0)
    with torch.no_grad():
        next(module.network.parameters()).add_(1.0)
    before = {key: value.clone() for key, value in average.weights().items()}
    average.on_train_batch_end(trainer, module, None, None, 1)
    assert all(torch.equal(before[key], value) for key, value in average.weights().items())


def test_the_length_of_a_training_counts_devices_accumulation_and_the_limit():
    def steps(world=1, **changes) -> int:
        return total_steps(tiny_experiment(**changes), 10, world)

    assert steps(schedule={"epochs": 3}) == 30
    assert steps(world=4, schedule={"epochs": 3}) == 9
    assert steps(schedule={"epochs": 3}, optimiser={"accumulate": 4}) == 9
    assert steps(schedule={"epochs": 3}, data={"train_share": 0.5}) == 15
    assert steps(schedule={"epochs": 3, "max_steps": 7}) == 7


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (dict(accelerator="tpu"), "auto, cpu or cuda, got 'tpu'"), (dict(devices=-1), "devices from 0"),
        (dict(nodes=0), "nodes from 1"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(machine, message):
    with pytest.raises(ConfigError, match=message):
        Machine(**machine)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="Expected 1 CUDA devices, got a torch that sees 0"):
        Machine("cuda")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_on_a_cpu_is_refused_because_its_gradients_are_wrong_there(tmp_path, precision):
    with pytest.raises(ConfigError, match=f"32 on a CPU, .* wrong, got {precision}"):
        fit(tiny_experiment(precision=precision), tmp_path / "out", machine=Machine("cpu"), dataset=ToyScenes(2))
    assert not (tmp_path / "out").exists()


def test_a_network_of_point_features_needs_their_checkpoint(tmp_path):
    experiment = tiny_experiment(network={"in_channels": 283})
    with pytest.raises(ConfigError, match=r"data.features to name a WaffleIron checkpoint, .* reads 283"):
        fit(experiment, tmp_path, machine=Machine("cpu"), dataset=ToyScenes(2))


def test_training_without_data_says_how_to_name_it(tmp_path):
    with pytest.raises(ConfigError, match=r"--data ROOT or data\.root"):
        fit(tiny_experiment(), tmp_path, machine=Machine("cpu"))


def test_data_of_other_classes_is_refused(tmp_path):
    experiment = Experiment.from_dict(
        {**tiny_experiment().to_dict(), "network": {"n_classes": 19}, "data": {"labels": "kitti_360"}}
    )
    with pytest.raises(ConfigError, match=r"those of the dataset, SemanticKITTI, got SSCBench-KITTI-360"):
        fit(experiment, tmp_path, machine=Machine("cpu"), dataset=ToyScenes(2))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("deadly", "message"), [(False, r"^Expected scan 00/00000\d to be whole, got half of it$"), (True, r"--resume$")]
)
def test_a_loader_process_that_fails_or_dies_ends_the_training_with_one_sentence(tmp_path, deadly, message):
    with pytest.raises(DataError, match=message):
        fit(tiny_experiment(data={"workers": 1}), tmp_path, machine=Machine("cpu"), dataset=Fragile(deadly))


@pytest.mark.parametrize(("epoch", "mask_segments"), [(0, True), (1, True), (1, False)])
def test_masks_are_trained_after_the_first_epochs_where_segments_come_from_them(tmp_path, epoch, mask_segments):
    """And the average, the accumulation over items run together through the trainer."""
    seen = []

    class Spy(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append((trainer.current_epoch, "loss/mask" in trainer.callback_metrics))

    from training import fit as fit_module

    real = fit_module.make_trainer

    def spied(*args):
        trainer = real(*args)
        trainer.callbacks.append(Spy())
        return trainer

    experiment = tiny_experiment(
        network={"mask_segments": mask_segments}, targets={"completion_only_epochs": 1 - epoch},
        schedule={"kind": "constant", "epochs": 1}, optimiser={"accumulate": 2}, ema_decay=0.9,
    )
    fit_module.make_trainer = spied
    try:
        result = fit(experiment, tmp_path, machine=Machine("cpu"), dataset=ToyScenes(2))
    finally:
        fit_module.make_trainer = real
    assert result.steps == 1
    assert [masks for _, masks in seen] == [bool(epoch) and mask_segments] * 2
