"""``pasco data instances``: a dataset's instance labels, by connected components or from the authors' pickles."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.cli.jobs import (
    add_job_arguments,
    add_sequences_argument,
    add_split_argument,
    check_jobs,
    check_output_folder,
    shard_of,
    split_of,
    with_progress,
)
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.data.datasets import Kitti360, SemanticKitti
    from pasco_core.data.frame import Frame, VoxelTruth
    from pasco_core.data.label_set import LabelSet

_LABEL_SETS = ("semantickitti", "kitti360")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Dataset, output, source, share of the work."""
    add = parser.add_argument
    add("root", type=Path, nargs="?", metavar="ROOT",
        help="SemanticKITTI or SSCBench-KITTI-360 folder; not needed with --import-pickles")
    add("--truth-root", type=Path, metavar="DIR", help="other folder of the same layout, where voxel labels are looked "
                                                       "up first (default: ROOT)")
    add("--out", type=Path, metavar="DIR",
        help="where instances/<sequence>/<frame>.npz are written (default: --truth-root, else ROOT)")
    add_split_argument(parser)
    add_sequences_argument(parser, "only these sequences")
    add("--import-pickles", type=Path, metavar="DIR",
        help="take the instances from the authors' <sequence>/<frame>_1_1.pkl in DIR; nothing in them is run")
    add("--labels", choices=_LABEL_SETS,
        help="classes of the pickles, where no ROOT tells them (default: semantickitti)")
    add("--json", action="store_true", help="print the summary as JSON")
    add_job_arguments(parser)
    parser.epilog = (
        "Frames whose file is there already are skipped, so an interrupted run can simply be repeated.\n\n"
        "examples:\n"
        "  pasco data instances kitti/dataset --jobs 4\n"
        "  pasco data instances /mnt/read_only/kitti --out labels --split val\n"
        "  pasco data instances --import-pickles preprocess/instance_labels_v2 --out labels"
    )


@dataclass(frozen=True)
class _Task:
    """What one frame's labels are made from and where they go; small and picklable."""

    frame: Frame
    source: Path
    target: Path
    truth_root: Path | None = None
    labels: LabelSet | None = None  # of a pickle


def run(args: argparse.Namespace) -> int:
    """Label what is not labelled yet, report."""
    from pasco_core.jobs import run_jobs

    check_jobs(args)
    if args.out is not None:
        check_output_folder(args.out, "--out")
    _dataset.cache_clear()  # the files may have changed since another run in this process
    tasks = shard_of(args).of(_import_tasks(args) if args.import_pickles else _component_tasks(args))
    open_tasks = [task for task in tasks if not task.target.is_file()]
    results = run_jobs(_label, open_tasks, args.jobs)
    found = [n for _, n in with_progress(results, len(open_tasks), "instances")]
    summary = {"frames": len(tasks), "skipped": len(tasks) - len(open_tasks), "written": len(found),
               "instances": sum(found), "out": str(_out(args))}
    print(as_json(summary) if args.json else _as_text(summary))
    return 0


def _out(args: argparse.Namespace) -> Path:
    """The dataset folder that gets the labels."""
    from pasco_core.data.datasets.semantic_kitti import sequences_root

    folder = args.out or args.truth_root or args.root
    return folder if args.out or folder is None else sequences_root(folder)


def _component_tasks(args: argparse.Namespace) -> list[_Task]:
    from pasco_core.data.datasets import open_dataset
    from pasco_core.data.datasets.instance_files import instance_path

    if args.root is None:
        raise ConfigError("Expected a dataset ROOT, or --import-pickles DIR, got neither")
    if args.labels is not None:
        raise ConfigError("Expected --labels to come with --import-pickles; a dataset tells its own classes")
    frames = open_dataset(args.root, args.truth_root).frames(split_of(args), args.sequences)
    out = _out(args)
    return [_Task(frame, args.root, instance_path(out, frame), args.truth_root) for frame in frames]


def _import_tasks(args: argparse.Namespace) -> list[_Task]:
    from pasco_core.data.datasets.instance_files import instance_path
    from pasco_core.data.voxel_labels.authors_pickles import find_pickles

    out, labels = _out(args), _label_set(args)
    if out is None:
        raise ConfigError("Expected --import-pickles to come with --out DIR or a dataset ROOT, got neither")
    if split_of(args) is not None:
        raise ConfigError("Expected --split to come with a dataset alone, got --import-pickles; name the --sequences")
    found = find_pickles(args.import_pickles)
    present = {frame.sequence for frame, _ in found}
    if unknown := sorted(set(args.sequences or ()) - present):
        raise ConfigError(f"Expected --sequences to be in {args.import_pickles}, got {', '.join(unknown)}")
    chosen = set(args.sequences or present)
    wanted = [(frame, path) for frame, path in found if frame.sequence in chosen]
    return [_Task(frame, path, instance_path(out, frame), labels=labels) for frame, path in wanted]


def _label_set(args: argparse.Namespace) -> LabelSet:
    """Of the dataset, or as named."""
    from pasco_core.data.datasets import open_dataset
    from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI

    named = {"semantickitti": SEMANTIC_KITTI, "kitti360": KITTI_360}
    if args.root is None:
        return named[args.labels or "semantickitti"]
    labels = open_dataset(args.root, args.truth_root).labels
    if args.labels is not None and named[args.labels] is not labels:
        raise ConfigError(f"Expected --labels to be those of {args.root}, {labels.name}, got {args.labels}")
    return labels


def _label(task: _Task) -> int:
    """One frame, never from instances made before; returns how many instances it has. Runs in the worker processes."""
    from pasco_core.data.datasets.instance_files import write_instances

    truth = _truth(task)
    write_instances(task.target, truth)
    return int(truth.instances.max(initial=0))


def _truth(task: _Task) -> VoxelTruth:
    from pasco_core.data.voxel_labels.authors_pickles import read_authors_pickle
    from pasco_core.data.voxel_labels.instances import label_instances

    if task.labels is not None:
        return read_authors_pickle(task.source, task.labels)
    dataset = _dataset(task.source, task.truth_root)
    return label_instances(dataset.voxel_classes(task.frame), dataset.labels.thing_ids)


@lru_cache(maxsize=1)
def _dataset(root: Path, truth_root: Path | None) -> SemanticKitti | Kitti360:
    """Opened once per process."""
    from pasco_core.data.datasets import open_dataset

    return open_dataset(root, truth_root)  # type: ignore[return-value]


def _as_text(summary: dict) -> str:
    text = f"{summary['written']} frames labelled, {summary['instances']} instances"
    if summary["skipped"]:
        text += f"; {summary['skipped']} frames were there already"
    return f"{text}\n{summary['out']}/instances"
