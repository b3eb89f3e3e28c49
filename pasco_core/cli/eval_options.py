"""The options of ``pasco eval``, and what must hold between them."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from pasco_core.cli.jobs import add_job_arguments, add_sequences_argument, add_split_argument
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.evaluation.run import Workforce

_DEVICE = re.compile(r"cpu|cuda(:\d{1,3})?")
_WITH_MERGE = ("merge", "out", "partial", "baseline", "worst", "no_report", "json")
UNCERTAINTIES = ("max_probability", "entropy", "agreement")


def declare(parser: argparse.ArgumentParser) -> None:
    """All options and examples."""
    _declare_source(parser)
    _declare_selection(parser)
    _declare_work(parser)
    _declare_output(parser)
    parser.epilog = (
        "examples:\n"
        "  pasco eval kitti/dataset --checkpoint pasco.safetensors --features waffleiron.safetensors --jobs 4\n"
        "  pasco eval kitti/dataset --checkpoint pasco.safetensors --features w.safetensors --devices cuda:0,cuda:1\n"
        "  pasco eval kitti/dataset --checkpoint c.safetensors --corruptions all --levels heavy --every 5\n"
        "  pasco eval kitti/dataset --checkpoint c.safetensors --shard 1/4 --out part1   (… and 2/4, 3/4, 4/4)\n"
        "  pasco eval --merge part1 part2 part3 part4 --out out/eval/all\n"
        "\n"
        "Stopped runs go on where they were. `torchrun --nproc-per-node 4 --no-python pasco eval …` and SLURM arrays\n"
        "give each process its share."
    )


def _declare_source(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("root", type=Path, nargs="?", metavar="ROOT", help="dataset, as SemanticKITTI or KITTI-360 lay it out")
    add("--truth-root", type=Path, metavar="DIR", help="folder of the same layout with the labels, if elsewhere")
    group = parser.add_argument_group("what is evaluated (one of)").add_mutually_exclusive_group()
    group.add_argument("--checkpoint", type=Path, metavar="C",
                       help="weights from `pasco convert` or `pasco train` (default: the shipped small network)")
    group.add_argument("--untrained", action="store_true", help="random weights of the small width, to try things out")
    group.add_argument("--predictions", type=Path, metavar="DIR", help="saved ones: DIR/<sequence>/<frame>.npz")
    group.add_argument("--truth-as-prediction", action="store_true", help="the truth itself, which must score 100")
    group.add_argument("--baselines", action="store_true",
                       help="the scan's own voxels with their true point labels, and those labels spread around")
    more = parser.add_argument_group("of a network").add_argument
    more("--features", type=Path, metavar="W", help="WaffleIron weights, for networks that read its features")
    more("--votes", type=int, default=0, help="random views WaffleIron averages over (default: 0)")
    more("--transforms", choices=("fixed", "random"), default="fixed",
         help="the subnets' views: fixed, or random per frame as in the published numbers (default: fixed)")
    more("--seed", type=int, default=0, help="of random views, corruptions and untrained weights (default: 0)")
    more("--uncertainty", choices=UNCERTAINTIES, default=UNCERTAINTIES[0],
         help="what voxel uncertainty is 1 minus of (default: max_probability)")


def _declare_selection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which frames")
    add = group.add_argument
    add_split_argument(group, "val")
    add_sequences_argument(group, "these sequences instead of a split")
    add("--every", type=int, default=1, metavar="N", help="every N-th frame of a sequence (default: 1)")
    add("--limit", type=int, metavar="N", help="the first N of them")
    add("--corruptions", metavar="all|NAMES", help="also on corrupted scans: all, or names as fog,snow")
    add("--levels", metavar="NAMES", help="levels of the corruptions: light,moderate,heavy (default: all)")
    add("--baseline", type=Path, metavar="DIR", help="results of another method on the same corruptions, for mCE")


def _declare_work(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how")
    add_job_arguments(group)  # type: ignore[arg-type]
    group.set_defaults(jobs=None)
    group.add_argument("--device", metavar="D", help="cpu, cuda or cuda:1 (default: cpu)")
    group.add_argument("--devices", metavar="D,D",
                       help="several, as cuda:0,cuda:1: a process each, two where one is named twice (more: --jobs)")
    group.add_argument("--threads", type=int, default=1, metavar="N",
                       help="of torch per process (default: 1); the last digits of a network's output depend on it")


def _declare_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("results").add_argument
    add("--out", type=Path, metavar="DIR", help="folder (default: out/eval/<what is evaluated>)")
    add("--merge", type=Path, nargs="+", metavar="OUT", help="put finished parts together into --out")
    add("--partial", action="store_true", help="with --merge: do not insist on every frame")
    add("--save-predictions", type=Path, metavar="DIR", help="keep what was predicted, for --predictions")
    add("--worst", type=int, default=5, metavar="N", help="worst frames shown in the report (default: 5)")
    add("--no-report", action="store_true", help="do not write report.html")
    add("--json", action="store_true", help="print metrics.json instead of tables")


def check(args: argparse.Namespace) -> None:
    """What can be wrong is said before anything is read.

    Raises:
        ConfigError: options that do not go together, or values out of range.
    """
    if args.merge:
        _check_merge(args)
    else:
        _check_evaluation(args)
    if args.worst < 0:
        raise ConfigError(f"Expected --worst to be at least 0, got {args.worst}")


def _check_merge(args: argparse.Namespace) -> None:
    if args.root is not None:
        raise ConfigError(f"Expected --merge to stand without a dataset, got {args.root}")
    if args.out is None:
        raise ConfigError("Expected --merge to come with --out, got none")
    defaults = argparse.ArgumentParser(add_help=False)
    declare(defaults)
    useless = [
        f"--{name.replace('_', '-')}" for name, value in vars(args).items()
        if name not in _WITH_MERGE and name in vars(defaults.parse_args([])) and value != defaults.get_default(name)
    ]
    if useless:
        raise ConfigError(
            f"Expected --merge to stand without options of an evaluation, as it makes none, got {', '.join(useless)}"
        )


def _check_evaluation(args: argparse.Namespace) -> None:
    if args.root is None:
        raise ConfigError("Expected a dataset folder (or --merge), got none; see `pasco eval --help`")
    if args.features is not None and args.checkpoint is None:
        raise ConfigError("Expected --features to come with --checkpoint, whose network reads them, got none")
    if (args.predictions or args.truth_as_prediction) and args.corruptions is not None:
        raise ConfigError("Expected --corruptions to come with a network, got predictions that are made already")
    if args.levels is not None and args.corruptions is None:
        raise ConfigError("Expected --levels to come with --corruptions, got none")
    if args.baseline is not None and args.corruptions is None:
        raise ConfigError("Expected --baseline to come with --corruptions, which it is compared under, got none")
    if args.save_predictions is not None and args.predictions is not None:
        raise ConfigError("Expected --save-predictions to come with predictions made here, got saved ones")
    if args.partial:
        raise ConfigError("Expected --partial to come with --merge, got none")
    if not 0 <= args.seed < 2**32:
        raise ConfigError(f"Expected --seed to be 0 to {2**32 - 1}, got {args.seed}")
    _check_numbers(args)


def _check_numbers(args: argparse.Namespace) -> None:
    least = {"every": 1, "limit": 1, "votes": 0, "jobs": 1, "threads": 1}
    for name, smallest in least.items():
        value = getattr(args, name)
        if value is not None and value < smallest:
            raise ConfigError(f"Expected --{name} to be at least {smallest}, got {value}")


def workforce(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Workforce:
    """Processes and devices; without --jobs one process per device. Under torchrun "cuda" is the process's own GPU."""
    from pasco_core.evaluation.run import Workforce

    if args.device is not None and args.devices is not None:
        raise ConfigError(f"Expected --device or --devices, got {args.device} and {args.devices}")
    devices = tuple(part.strip() for part in (args.devices or args.device or "cpu").split(","))
    for device in devices:
        if not _DEVICE.fullmatch(device):
            raise ConfigError(f"Expected devices to be cpu, cuda or cuda:N, got {device!r}")
    if devices == ("cuda",) and environment.get("LOCAL_RANK", "").isdecimal():
        devices = (f"cuda:{environment['LOCAL_RANK']}",)
    jobs = len(devices) if args.jobs is None else args.jobs
    if jobs < len(devices):
        raise ConfigError(f"Expected --jobs to be at least one per device, {len(devices)}, got {jobs}")
    return Workforce(jobs, devices, args.threads)


def output_folder(args: argparse.Namespace) -> Path:
    """The folder of the results, made and known to be writable.

    Raises:
        ConfigError: it cannot be made or written.
    """
    from pasco_core.cli.eval import default_output

    folder = args.out or default_output(args)
    require_writable(folder, "--out")
    return folder


def require_writable(folder: Path, option: str) -> None:
    """Makes a folder and says at once that nothing can be written there.

    Raises:
        ConfigError: it cannot be made or written; the option is named.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = f"{folder} ({error.strerror or error})"
        raise ConfigError(f"Expected {option} to be a folder that can be written, got {reason}") from error
