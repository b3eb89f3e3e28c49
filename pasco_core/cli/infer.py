"""``pasco infer``: one scan in; the scene as .npz, a picture and a one-screen summary out."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from pasco_core.atomic_write import atomic_write, write_text_whole
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.data.point_cloud import PointCloud
    from pasco_core.prediction import ScenePrediction
    from pasco_core.systems.pasco import Predictor

_SUMMARY = "summary.json"
_DEVICE = re.compile(r"cpu|cuda(:\d{1,3})?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Scan, weights, device, outputs."""
    add = parser.add_argument
    add("scan", type=Path, metavar="SCAN", help="KITTI or nuScenes .bin, .npy, .pcd or .ply; x forward, metres")
    add("--checkpoint", type=Path, metavar="C.safetensors",
        help="weights from `pasco convert` or `pasco train` (default: the small network that comes with the package)")
    add("--untrained", action="store_true", help="random weights of the small width instead")
    add("--features", type=Path, metavar="W.safetensors",
        help="WaffleIron weights from `pasco convert`, for networks that read its point features (SemanticKITTI's)")
    add("--device", default="cpu", help="cpu, cuda or cuda:1 (default: cpu)")
    add("--transforms", choices=("fixed", "random"), default="fixed",
        help="how the subnets' views differ: always the same, or drawn anew (default: fixed)")
    add("--seed", type=int, default=0, help="of untrained weights and random transforms (default: 0)")
    add("--out", type=Path, metavar="DIR",
        help="folder for scene.npz, scene.png, summary.json, which are replaced if they are there "
             "(default: out/infer/<name of the scan>, refused where it holds another scan's)")
    add("--json", action="store_true", help="print the summary as JSON")
    add("--no-picture", action="store_true", help="do not draw scene.png")
    parser.epilog = (
        "examples:\n"
        "  pasco infer 000000.bin\n"
        "  pasco infer sequences/08/velodyne/000000.bin --out out/infer/08_000000\n"
        "  pasco infer cloud.pcd --checkpoint pasco_single_kitti360.safetensors --out out/cloud\n"
        "  pasco infer 000000.bin --checkpoint pasco.safetensors --features waffleiron.safetensors --json"
    )


def run(args: argparse.Namespace) -> int:
    """Read, predict, write, report."""
    _check(args)
    with _output_folder(args.out or _default_folder(args.scan)) as folder:
        return _run(args, folder)


def _run(args: argparse.Namespace, folder: Path) -> int:
    from pasco_core.cli.infer_summary import as_text, summary
    from pasco_core.data.scan_files import read_scan
    from pasco_core.prediction_file import save_prediction

    started = time.perf_counter()
    cloud = read_scan(args.scan)
    seconds = {"read scan": time.perf_counter() - started}
    predictor = _predictor(args)
    seconds["load network"] = time.perf_counter() - started - seconds["read scan"]
    scene = predictor(cloud.points)

    values = summary(scene, cloud, seconds)
    values.update(scan=str(args.scan), **_weights(args, predictor))
    values["notes"] += _remarks(args, predictor)
    files = _fresh_files(folder)
    if args.no_picture:
        del files["picture"]
    values["files"] = {name: str(path) for name, path in files.items()}
    save_prediction(files["scene"], scene)
    if "picture" in files:
        _draw(files["picture"], args, cloud, scene)
    write_text_whole(files["summary"], as_json(values) + "\n")
    print(as_json(values) if args.json else as_text(values))
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be wrong with the options is said before anything is read."""
    if not _DEVICE.fullmatch(args.device):
        raise ConfigError(f"Expected --device to be cpu, cuda or cuda:N, got '{args.device}'")
    if not 0 <= args.seed < 2**32:
        raise ConfigError(f"Expected --seed to be 0 to {2**32 - 1}, got {args.seed}")
    if args.untrained and args.checkpoint is not None:
        raise ConfigError(f"Expected --untrained to stand without --checkpoint, got {args.checkpoint}")
    if args.features is not None and args.checkpoint is None:
        raise ConfigError("Expected --features to come with --checkpoint, whose network reads them, got none")


def _default_folder(scan: Path) -> Path:
    """The folder of a scan's name, unless another scan of that name has its results there.

    Raises:
        ConfigError: it has.
    """
    folder = Path("out") / "infer" / scan.stem
    try:
        there = json.loads((folder / _SUMMARY).read_text(encoding="utf-8"))["scan"]
        other = os.path.abspath(there) != os.path.abspath(scan)
    except (OSError, ValueError, KeyError, TypeError):  # no results, or none that say what they are of
        return folder
    if other:
        raise ConfigError(f"Expected {folder} to hold results of {scan} or none, got those of {there}; --out names "
                          "another folder")
    return folder


@contextmanager
def _output_folder(folder: Path) -> Iterator[Path]:
    """Makes the folder and tries to write in it, before minutes are spent; what a failed run leaves empty is removed.

    Raises:
        ConfigError: the folder cannot be made or written.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        _remove_empty(missing)
        reason = f"{folder} ({error.strerror or error})"
        raise ConfigError(f"Expected --out to be a folder that can be written, got {reason}") from error
    try:
        yield folder
    except BaseException:
        _remove_empty(missing)
        raise


def _remove_empty(folders: list[Path]) -> None:
    """Those that exist and hold nothing, innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _fresh_files(folder: Path) -> dict[str, Path]:
    """Paths of the outputs by name; those of an earlier run are removed, so that no two runs are mixed."""
    files = {"scene": folder / "scene.npz", "summary": folder / _SUMMARY, "picture": folder / "scene.png"}
    for path in files.values():
        path.unlink(missing_ok=True)
    return files


def _predictor(args: argparse.Namespace) -> Predictor:
    import numpy as np

    from pasco_core.device import usable_device
    from pasco_core.systems.pasco import Predictor

    usable_device(args.device)  # here already, because making untrained weights takes seconds
    options: dict[str, Any] = {
        "device": args.device,
        "transforms": "random" if args.transforms == "random" else None,
        "rng": np.random.default_rng(args.seed),
    }
    if args.untrained:
        return Predictor.untrained(seed=args.seed, **options)
    return Predictor(args.checkpoint, features=args.features, **options)


def _weights(args: argparse.Namespace, predictor: Predictor) -> dict[str, Any]:
    """What the prediction was made with."""
    return {
        "checkpoint": _weights_name(args),
        "features": str(args.features) if args.features else None,
        "network": predictor.config.to_dict(),
        "device": args.device,
        "transforms": args.transforms,
        "seed": args.seed,
    }


def _weights_name(args: argparse.Namespace) -> str | None:
    """Path of the weights, "shipped", or None for random ones."""
    if args.untrained:
        return None
    return str(args.checkpoint) if args.checkpoint else "shipped"


def _remarks(args: argparse.Namespace, predictor: Predictor) -> list[str]:
    from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS

    if args.features is not None and predictor.config.in_channels == GEOMETRIC_CHANNELS:
        return [f"--features not used: this network reads the {GEOMETRIC_CHANNELS} geometric features only"]
    return []


def _draw(path: Path, args: argparse.Namespace, cloud: PointCloud, scene: ScenePrediction) -> None:
    from pasco_core.viz import save_scene_picture

    weights = args.checkpoint.name if args.checkpoint else "no checkpoint" if args.untrained else "shipped network"
    with atomic_write(path) as temporary:
        save_scene_picture(temporary, cloud.points, scene, title=f"{args.scan.name} · {weights}", notes=cloud.notes)
