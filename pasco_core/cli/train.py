"""``pasco train``: trains a network by an experiment file; the work is done by the package ``training``."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

_ACCELERATORS = ("auto", "cpu", "cuda")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Experiment, data, machine, and what to do with an earlier run."""
    add = parser.add_argument
    add("experiment", metavar="CONFIG", help="experiment file (.yaml), or a recipe by its name: semantic_kitti_n1, "
                                             "semantic_kitti_n3, kitti_360_n1, kitti_360_n2, small")
    add("--data", type=Path, metavar="ROOT", help="dataset folder: SemanticKITTI's or SSCBench-KITTI-360's layout, "
                                                  "such as `pasco data simulate` writes")
    add("--truth-root", type=Path, metavar="DIR",
        help="another folder of that layout, where labels are looked up first")
    add("--out", type=Path, metavar="DIR", help="folder for checkpoints and logs (default: out/train/<experiment>)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="change a setting, such as optimiser.learning_rate=3e-4; may be repeated")
    add("--resume", action="store_true", help="go on from last.ckpt in --out")
    add("--allow-changes", action="store_true", help="resume although the experiment has changed")
    add("--accelerator", choices=_ACCELERATORS, default="auto", help="(default: CUDA where there is a GPU)")
    add("--devices", type=int, default=0, metavar="N", help="GPUs, or processes on a CPU, per node (default: all GPUs)")
    add("--nodes", type=int, default=1, metavar="N", help="machines, started by torchrun or SLURM (default: 1)")
    add("--limit-steps", type=int, metavar="N", help="stop after so many steps; the same as --set schedule.max_steps=N")
    add("--limit-val", type=int, metavar="N", help="validate on so many frames; the same as --set data.val_frames=N")
    add("--print-config", action="store_true", help="print the whole experiment as YAML, and do nothing else")
    add("--make-features", action="store_true",
        help="fill data.feature_cache with WaffleIron's point features of all frames, and do nothing else")
    add("--time-loader", action="store_true",
        help="time how long the items of this training take to make on one core, and do nothing else")
    add("--json", action="store_true", help="print the result as JSON")
    parser.epilog = (
        "examples:\n"
        "  pasco train small --data town\n"
        "  pasco train small --data town --resume\n"
        "  pasco train small --data town --time-loader\n"
        "  pasco train kitti_360_n2 --data KITTI-360 --devices 4 --set data.workers=6\n"
        "  srun --nodes 2 --ntasks-per-node 8 pasco train semantic_kitti_n3 --data kitti --devices 8 --nodes 2 "
        "--set data.features=waffleiron.safetensors"
    )


def run(args: argparse.Namespace) -> int:
    """Read the experiment, then print it, make features, time the loader, or train."""
    _check(args)
    config = _training("config")
    experiment = config.read_experiment(args.experiment, _settings(args))
    if args.print_config:
        print(_training("yaml_config").dump(experiment), end="")
        return 0
    logging.getLogger("training").setLevel(logging.INFO)
    if args.make_features:
        return _make_features(experiment)
    if args.time_loader:
        return _time_loader(experiment, args.json)
    return _train(args, experiment)


def _train(args: argparse.Namespace, experiment: Any) -> int:
    fit = _training("fit")
    machine = fit.Machine(args.accelerator, args.devices, args.nodes)
    result = fit.fit(
        experiment, args.out or Path("out") / "train" / experiment.name, machine=machine, resume=args.resume,
        allow_changes=args.allow_changes,
    )
    if not result.is_first_process:
        return 0
    if args.json:
        print(fit.as_json(result))
        return 0
    figure = "no validation" if result.best is None else f"best {experiment.validation.monitor} {result.best:.2f}"
    print(f"trained {experiment.name} for {result.steps} steps in {result.out}: {figure}")
    print(f"next: pasco infer SCAN --checkpoint {result.checkpoint}")
    return 0


def _make_features(experiment: Any) -> int:
    from pasco_core.cli.jobs import with_progress
    from pasco_core.data.datasets import open_dataset

    data, features = experiment.data, _training("features")
    for name, value in (("root", data.root), ("features", data.features), ("feature_cache", data.feature_cache)):
        if not value:
            raise ConfigError(f"Expected data.{name} for --make-features, got none; --set data.{name}=…")
    dataset = open_dataset(data.root, data.truth_root or None)
    network = features.load_feature_network(data.features, experiment.network.in_channels)
    frames = dataset.frames()
    made = sum(new for _, new in with_progress(
        features.fill_cache(dataset, frames, network, Path(data.feature_cache)), len(frames), "point features"
    ))
    print(f"{made} of {len(frames)} frames made, the others were there")
    return 0


def _time_loader(experiment: Any, json: bool) -> int:
    import time

    items = _training("data_module").SceneData(experiment).training_items()
    speed = _training("loader_speed").measure_loader(items, time.process_time)
    if json:
        print(as_json(asdict(speed)))
        return 0
    print(
        f"{speed.items} items of {experiment.name}, {speed.views} view(s) each, on one core: "
        f"median {1e3 * speed.median:.0f} ms, nine of ten below {1e3 * speed.slow:.0f} ms of processor time; "
        f"{speed.scans / speed.items:.1f} scans read per item"
    )
    return 0


def _settings(args: argparse.Namespace) -> list[str]:
    """All changes, in the order in which later ones win."""
    short = {"data.root": args.data, "data.truth_root": args.truth_root, "schedule.max_steps": args.limit_steps,
             "data.val_frames": args.limit_val}
    return [f"{key}={_as_yaml(value)}" for key, value in short.items() if value is not None] + args.settings


def _as_yaml(value: Path | int) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _check(args: argparse.Namespace) -> None:
    for name in ("limit_steps", "limit_val"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(f"Expected --{name.replace('_', '-')} to be at least 1, got {value}")
    if args.allow_changes and not args.resume:
        raise ConfigError("Expected --allow-changes to come with --resume, got a new training")


def _training(name: str) -> ModuleType:
    """A module of the package ``training``, which alone needs Lightning.

    Raises:
        ConfigError: Lightning or the package is not installed.
    """
    if importlib.util.find_spec("lightning") is None:
        raise ConfigError("Expected Lightning to be installed for training; run `pip install 'pasco-ros[train]'`")
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / "training" / "fit.py").is_file():
        raise ConfigError(f"Expected training/ beside pasco_core in {checkout}, got none: training needs a checkout")
    if str(checkout) not in sys.path:  # not installed with the package, because the name is anybody's
        sys.path.insert(0, str(checkout))
    return importlib.import_module(f"training.{name}")
