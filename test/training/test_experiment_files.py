"""Experiment files: what they may say, and how mistakes in them are answered."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pasco_core.cli import train as train_command
from pasco_core.errors import ConfigError
from pasco_core.systems.pasco.losses import LossConfig
from pasco_core.systems.pasco.voxel_selection import VoxelLimits
from pasco_core.yaml_file import MAX_BYTES, parse_yaml
from training.config import RECIPES, Experiment, ScheduleConfig, read_experiment
from training.schedule import learning_rate_factor
from training.yaml_config import differences, dump


def error_of(values: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        Experiment.from_dict({"name": "a", **values})
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_read_and_survives_being_written(path):
    experiment = read_experiment(path.stem)
    assert experiment.name == path.stem
    assert Experiment.from_dict(parse_yaml(dump(experiment), "text")) == experiment


@pytest.mark.parametrize(
    ("name", "n", "channels", "angle", "crop", "exponent", "epochs", "share", "completion_only"),
    [
        ("semantic_kitti_n1", 1, 283, 30, 0.8, 1 / 3, 60, 0.5, 0),
        ("semantic_kitti_n3", 3, 283, 30, 0.8, 1 / 3, 60, 0.5, 1),
        ("kitti_360_n1", 1, 8, 10, 1.0, 1 / 1.5, 80, 0.25, 0), ("kitti_360_n2", 2, 8, 10, 1.0, 1 / 1.5, 80, 0.25, 0),
    ],
)
def test_the_paper_recipes_hold_the_published_numbers(
    name, n, channels, angle, crop, exponent, epochs, share, completion_only
):
    experiment = read_experiment(name)
    assert (experiment.network.n_subnets, experiment.network.in_channels, experiment.network.width) == (n, channels, 64)
    assert experiment.losses == LossConfig.published()
    assert experiment.limits == VoxelLimits.published(n)
    assert experiment.targets.class_weight_exponent == pytest.approx(exponent)
    assert experiment.targets.swapped_coarse_empty and not experiment.targets.keep_truth
    assert experiment.targets.completion_only_epochs == completion_only
    assert (experiment.augmentation.max_angle, experiment.augmentation.crop) == (angle, crop)
    assert experiment.augmentation.max_shift == 0.2
    assert (experiment.optimiser.learning_rate, experiment.optimiser.weight_decay) == (1e-4, 0.0)
    assert experiment.optimiser.gradient_clip == 0.5
    assert (experiment.schedule.kind, experiment.schedule.step_at, experiment.schedule.factor) == ("step", 60_000, 0.1)
    assert (experiment.schedule.epochs, experiment.data.train_share) == (epochs, share)
    assert experiment.precision == "32" and experiment.ema_decay == 0


def test_the_small_recipe_is_corrected_and_an_ensemble():
    experiment = read_experiment("small")
    assert experiment.network.n_subnets == 2
    assert experiment.losses == LossConfig(unknown_as_empty=0.3)
    assert not experiment.targets.swapped_coarse_empty


def test_an_unknown_setting_is_answered_with_the_nearest_one():
    assert "'lerning_rate'; did you mean 'learning_rate'?" in error_of({"optimiser": {"lerning_rate": 1}})
    assert "got 'optimizer'; did you mean 'optimiser'?" in error_of({"optimizer": {}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": {"width": "wide"}}, "network.width to be a whole number, got 'wide'"),
        ({"network": {"width": True}}, "network.width to be a whole number, got True"),
        ({"optimiser": {"learning_rate": "fast"}}, "optimiser.learning_rate to be a number, got 'fast'"),
        ({"log": {"tensorboard": 1}}, "log.tensorboard to be true or false, got 1"),
        ({"data": {"train_sequences": "00"}}, "data.train_sequences to be a list, got '00'"),
        ({"data": {"train_sequences": [0]}}, "data.train_sequences[0] to be text, got 0"),
        ({"network": {"point_channels": [8]}}, "network.point_channels to be a list of 3, got 1"),
        ({"limits": {"per_subnet": 5}}, "limits.per_subnet to be a mapping, got 5"),
        ({"limits": {"per_subnet": {4: 100}}}, "limits: Expected voxel limits 'per_subnet'"),
        ({"augmentation": {"crop": 0}}, "augmentation: Expected crop to be above 0 to 1, got 0"),
        ({"optimiser": {"learning_rate": -1}}, "learning_rate to be above 0, got -1"),
        ({"schedule": {"kind": "linear"}}, "kind to be one of constant, step, cosine, one_cycle, got 'linear'"),
        ({"precision": "16"}, "precision to be one of 32, bf16, fp16, got '16'"),
        ({"network": {"n_classes": 19}}, "network.n_classes to be 20, as data.labels semantic_kitti has, got 19"),
        ({"data": {"features": "w.safetensors"}}, "in_channels to be more than 8 with data.features"),
        ({"data": None}, "Expected data to be named settings, got None"),
        ({"optimiser": {"learning_rate": float("nan")}}, "learning_rate to be above 0, got nan"),
    ],
)
def test_a_value_that_breaks_its_rule_is_named_with_the_rule(values, message):
    assert message in error_of(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: \xff\xfe", "to be UTF-8 text"),
        (b"a: &x [1, 1]\nb: *x\n", "aliases are not allowed here"),
        (b"seed: 1\nseed: 2\n", "the key 'seed' stands there twice"),
        (b"- 1\n", "to hold named settings, got list"),
        (b"a: [1\n", "to be YAML"),
        (b"a: !!python/object/apply:os.system [id]\n", "to be YAML"),
        (b"#" * (MAX_BYTES + 1), f"to be at most {MAX_BYTES} bytes"),
        (b"? {a: 1}\n: 2\n", "to be YAML"),
        (b"", "to hold named settings, got nothing"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "experiment.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"experiment\.yaml") as caught:
        read_experiment(path)
    assert message in str(caught.value)


def test_a_missing_file_and_an_unknown_recipe_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml to be a readable file"):
        read_experiment(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"a YAML file or one of kitti_360_n1, .*small, got 'smal'"):
        read_experiment("smal")


def test_settings_change_single_values_in_yaml_notation():
    experiment = read_experiment("small", ["optimiser.learning_rate=1e-4", "data.train_sequences=['00']", "seed=7"])
    assert experiment.optimiser.learning_rate == 1e-4
    assert experiment.data.train_sequences == ("00",)
    assert experiment.seed == 7
    assert experiment.optimiser.gradient_clip == read_experiment("small").optimiser.gradient_clip


@pytest.mark.parametrize(
    ("setting", "message"),
    [("seed", "key=value"), ("seed=[", "to be YAML"), ("sed=1", "did you mean 'seed'"), ("seed.x=1", "to be a group")],
)
def test_a_wrong_setting_is_named(setting, message):
    with pytest.raises(ConfigError, match=message):
        read_experiment("small", [setting])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["augmentation.focus=2"], "--set augmentation.focus=2: Expected focus to be from 0 to 1, got 2.0"),
        (["seed=1", "augmentation.focus=2", "ema_decay=0"], "--set augmentation.focus=2: Expected focus to be"),
        (["log.evry=2"], "--set log.evry=2: Expected log to have known settings only, got 'evry'; did you mean"),
        (["data.labels=kitti_360", "network.n_classes=19", "seed=-1"], "--set seed=-1: Expected seed to be from 0"),
        (["data.labels=kitti_360"], "--set data.labels=kitti_360: Expected network.n_classes to be 19, as"),
        (["seed=-1", "ema_decay=7"], "--set seed=-1 --set ema_decay=7: Expected ema_decay"),
    ],
)
def test_a_set_value_that_breaks_a_rule_is_blamed_and_not_the_file(settings, message):
    with pytest.raises(ConfigError) as caught:
        read_experiment("small", settings)
    assert str(caught.value).startswith(message)


def test_a_file_that_is_wrong_by_itself_is_blamed_whatever_is_set(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("augmentation: {focus: 2}\n")
    with pytest.raises(ConfigError, match=r"mine.yaml: augmentation: Expected focus to be from 0 to 1, got 2"):
        read_experiment(path, ["seed=3"])
    assert read_experiment(path, ["augmentation.focus=0.5"]).augmentation.focus == 0.5


def test_differences_name_setting_old_and_new():
    old = read_experiment("small").to_dict()
    new = read_experiment("small", ["optimiser.learning_rate=0.5", "ema_decay=0"]).to_dict()
    rate, decay = old["optimiser"]["learning_rate"], old["ema_decay"]
    assert differences(old, new) == [f"optimiser.learning_rate: {rate} → 0.5", f"ema_decay: {decay} → 0.0"]


def factors(schedule: ScheduleConfig, total: int = 100) -> list[float]:
    return [learning_rate_factor(step, total, schedule) for step in range(total)]


def test_the_published_schedule_is_one_step():
    schedule = ScheduleConfig("step", step_at=60_000, factor=0.1)
    assert [learning_rate_factor(s, 10**6, schedule) for s in (0, 59_999, 60_000, 10**6)] == [1.0, 1.0, 0.1, 0.1]


@pytest.mark.parametrize("kind", ["cosine", "one_cycle"])
def test_smooth_schedules_rise_to_the_peak_and_fall_to_their_end(kind):
    values = factors(ScheduleConfig(kind, warmup=10, factor=0.01))
    assert values[10] == 1.0 == max(values)
    assert all(a < b for a, b in pairwise(values[:11]))
    assert all(a > b for a, b in pairwise(values[10:]))
    assert values[-1] == pytest.approx(0.01, abs=2e-3)


def test_the_command_prints_an_experiment_with_its_changes(capsys, tmp_path):
    import argparse

    parser = argparse.ArgumentParser()
    train_command.add_arguments(parser)
    arguments = ["small", "--data", str(tmp_path / "it's"), "--limit-steps", "5", "--set", "seed=3", "--print-config"]
    assert train_command.run(parser.parse_args(arguments)) == 0
    experiment = Experiment.from_dict(parse_yaml(capsys.readouterr().out, "stdout"))
    assert experiment.data.root == str(tmp_path / "it's")
    assert (experiment.schedule.max_steps, experiment.seed) == (5, 3)


def test_without_lightning_the_command_says_what_to_install(monkeypatch):
    import argparse
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "lightning" else real(name, *a))
    parser = argparse.ArgumentParser()
    train_command.add_arguments(parser)
    with pytest.raises(ConfigError, match=r"pip install 'pasco-ros\[train\]'"):
        train_command.run(parser.parse_args(["small"]))
