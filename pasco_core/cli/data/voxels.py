"""``pasco data voxels``: SemanticKITTI's voxel labels from scans with point labels and poses."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.cli.jobs import (
    add_job_arguments,
    add_sequences_argument,
    check_jobs,
    check_output_folder,
    shard_of,
    with_progress,
)
from pasco_core.cli.text import as_json, table
from pasco_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from pasco_core.data.datasets import SemanticKitti
    from pasco_core.data.frame import Frame
    from pasco_core.data.voxel_labels.accumulate import PosedScan
    from pasco_core.data.voxel_labels.make_labels import LabelOptions

_CACHED_SCANS = 100  # about 2 MB each; neighbouring frames need mostly the same scans


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Dataset, output, which scans count how, share of the work."""
    add = parser.add_argument
    add("root", type=Path, metavar="ROOT",
        help="folder in SemanticKITTI's layout with velodyne/, labels/, poses.txt and calib.txt per sequence")
    add("--out", type=Path, required=True, metavar="DIR",
        help="where sequences/<sequence>/voxels/<frame>.{bin,label,invalid,occluded} are written; may be ROOT, if it "
             "has no such files")
    add_sequences_argument(parser, "only these sequences (default: all that have point labels)")
    add("--frames", type=_numbers, metavar="LIST", help="only these frames of each sequence, such as 0,5,100-200")
    add("--every", type=int, default=5, metavar="N",
        help="without --frames: the frames whose number is a multiple of N (default: 5, as published)")
    add("--ahead", type=int, default=70, metavar="N", help="use N scans after the frame (default: 70)")
    add("--behind", type=int, default=0, metavar="N", help="use N scans before the frame (default: 0)")
    add("--within", type=float, default=75.0, metavar="M",
        help="use only scans taken at most M metres from the frame (default: 75)")
    add("--moving", choices=("own", "all", "none"), default="own",
        help="moving things: where the frame's own scan shows them (default), in all scans, which leaves a tube along "
             "their path as in SemanticKITTI's published labels, or not at all")
    add("--free-space", choices=("sight", "view", "beams"), default="sight",
        help="a voxel is free if a line of sight reaches it past occupied voxels, as in SemanticKITTI (default); the "
             "same, but no steeper than the lowest beams, which spares the blind spot around the own car; or only if a "
             "measured beam passed it, as in SSCBench")
    add("--sight-spacing", type=float, default=1.0, metavar="M",
        help="metres between positions from which sight is tested (default: 1)")
    add("--min-range", type=float, default=2.75, metavar="M",
        help="points nearer to the sensor are the own car (default: 2.75 metres, for SemanticKITTI's car)")
    add("--as-first-release", action="store_true",
        help="write the files one voxel late, as SemanticKITTI's own were before August 2020")
    add("--json", action="store_true", help="print the summary as JSON")
    add_job_arguments(parser)
    parser.epilog = (
        "Frames whose four files are there already are skipped, so an interrupted run can simply be repeated.\n"
        "The options are kept in DIR/voxel_labels.json; a run with others, or onto foreign files, is refused.\n\n"
        "examples:\n"
        "  pasco data voxels kitti/dataset --out labels --sequences 08 --jobs 4\n"
        "  pasco data voxels my_drives --out my_drives --every 1 --free-space beams --min-range 2"
    )


@dataclass(frozen=True)
class _Task:
    """One frame, and all it takes to label it; small and picklable."""

    root: Path
    out: Path
    frame: Frame
    options: LabelOptions
    as_first_release: bool


def run(args: argparse.Namespace) -> int:
    """Label what is not labelled yet, report."""
    from pasco_core.data.datasets.voxel_files import voxel_path
    from pasco_core.data.voxel_labels.make_labels import ENDINGS, is_written
    from pasco_core.data.voxel_labels.recipe import claim
    from pasco_core.jobs import run_jobs

    _check(args)
    for cached in (_dataset, _cached_labelled_scans, _scan):
        cached.cache_clear()  # the files may have changed since another run in this process
    tasks = _tasks(args)
    targets = (voxel_path(_folder(task), task.frame.index, ending) for task in tasks for ending in ENDINGS)
    claim(tasks[0].out, tasks[0].options, args.as_first_release, targets)
    tasks = shard_of(args).of(tasks)
    open_tasks = [task for task in tasks if not is_written(_folder(task), task.frame.index)]
    shares = []
    results = run_jobs(_label, open_tasks, args.jobs)
    for _, share in with_progress(results, len(open_tasks), "voxels"):
        shares.append(share)
    summary = {"frames": len(tasks), "skipped": len(tasks) - len(open_tasks), "written": len(shares),
               "out": str(args.out), "shares": _mean_shares(shares)}
    print(as_json(summary) if args.json else _as_text(summary))
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be wrong with the options is said by their names."""
    for option in ("ahead", "behind", "within", "sight_spacing", "min_range"):
        value = getattr(args, option)
        if not 0 <= value < float("inf"):
            raise ConfigError(f"Expected --{option.replace('_', '-')} to be at least 0 and finite, got {value}")
    if args.every < 1:
        raise ConfigError(f"Expected --every to be at least 1, got {args.every}")
    check_jobs(args)
    check_output_folder(args.out, "--out")


def _numbers(text: str) -> tuple[int, ...]:
    """``0,5,100-102`` → (0, 5, 100, 101, 102)."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part.strip(), re.ASCII)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise ConfigError(f"Expected --frames to be numbers and ascending ranges such as 0,5,100-200, got {text!r}")
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(numbers))


def _tasks(args: argparse.Namespace) -> list[_Task]:
    from pasco_core.data.datasets.semantic_kitti import sequences_root
    from pasco_core.data.frame import Frame
    from pasco_core.data.voxel_labels.make_labels import LabelOptions

    options = LabelOptions(args.behind, args.ahead, args.within, args.moving, args.free_space, args.sight_spacing,
                           args.min_range)
    dataset, out = _dataset(args.root), sequences_root(args.out)
    available = {name: _labelled_scans(dataset, name) for name in _sequences(dataset, args)}
    if not any(available.values()):
        raise DataError(f"Expected {args.root} to hold scans with point labels (labels/*.label), got none")
    tasks = []
    for name, numbers in available.items():
        chosen = numbers if args.frames is None else sorted(set(args.frames) & set(numbers))
        if args.frames is None:
            chosen = [n for n in numbers if n % args.every == 0]
        tasks += [_Task(args.root, out, Frame(name, n), options, args.as_first_release) for n in chosen]
    if not tasks:
        raise DataError(f"Expected {args.root} to hold labelled scans of the frames asked for, got none of them")
    return tasks


def _sequences(dataset: SemanticKitti, args: argparse.Namespace) -> list[str]:
    from pasco_core.data.datasets.selection import chosen_sequences

    return chosen_sequences(dataset.sequences(), dataset.splits, None, args.sequences, dataset.root)


def _labelled_scans(dataset: SemanticKitti, sequence: str) -> tuple[int, ...]:
    """Numbers of the scans with point labels, ascending."""
    from pasco_core.data.datasets.folders import numbered_files

    folder = dataset.root / "sequences" / sequence
    scans = set(numbered_files(folder / "velodyne", ".bin"))
    return tuple(sorted(scans.intersection(numbered_files(folder / "labels", ".label"))))


def _folder(task: _Task) -> Path:
    return task.out / "sequences" / task.frame.sequence


def _label(task: _Task) -> list[float]:
    """One frame; returns the shares of its voxels: each class, then unknown. Runs in the worker processes."""
    import numpy as np

    from pasco_core.data.datasets.semantic_kitti_ids import voxel_classes
    from pasco_core.data.frame import UNKNOWN
    from pasco_core.data.voxel_labels.make_labels import make_labels, write_voxel_labels

    dataset, frame = _dataset(task.root), task.frame
    dataset.pose(frame)  # says what is wrong if there is none
    available = _cached_labelled_scans(task.root, frame.sequence)
    chosen = task.options.chosen(dataset.poses(frame.sequence), frame.index, available)
    scans = [_scan(task.root, type(frame)(frame.sequence, i)) for i in chosen]
    labels = make_labels(scans, frame.index, task.options, dataset.grid)
    write_voxel_labels(_folder(task), frame.index, labels, as_first_release=task.as_first_release)
    classes = voxel_classes(labels.raw, frame.sequence)
    classes[labels.invalid] = UNKNOWN
    counts = np.bincount(classes.ravel(), minlength=256)
    return [float(n) / classes.size for n in (*counts[: dataset.labels.n_classes], counts[UNKNOWN])]


@lru_cache(maxsize=1)
def _dataset(root: Path) -> SemanticKitti:
    """Opened once per process."""
    from pasco_core.data.datasets import SemanticKitti

    return SemanticKitti(root)


@lru_cache(maxsize=4)
def _cached_labelled_scans(root: Path, sequence: str) -> tuple[int, ...]:
    return _labelled_scans(_dataset(root), sequence)


@lru_cache(maxsize=_CACHED_SCANS)
def _scan(root: Path, frame: Frame) -> PosedScan:
    """A scan with its labels and pose.

    Raises:
        DataError: a file breaks its format, points and labels are not equally many, or a label is not in the map.
    """
    from pasco_core.data.datasets.semantic_kitti_ids import point_classes
    from pasco_core.data.voxel_labels.accumulate import PosedScan

    dataset = _dataset(root)
    points: np.ndarray = dataset.points(frame)[:, :3]
    raw, _ = dataset.raw_point_labels(frame)
    point_classes(raw, dataset.point_label_path(frame))
    return PosedScan(frame.index, points, raw, dataset.pose(frame))


def _mean_shares(shares: list[list[float]]) -> dict[str, float]:
    """Mean share of each class name, and of "unknown", over the frames."""
    from pasco_core.data.label_set import SEMANTIC_KITTI

    if not shares:
        return {}
    names = (*SEMANTIC_KITTI.class_names, "unknown")
    return {name: sum(row[i] for row in shares) / len(shares) for i, name in enumerate(names)}


def _as_text(summary: dict) -> str:
    text = f"{summary['written']} frames labelled"
    if summary["skipped"]:
        text += f"; {summary['skipped']} were there already"
    text += f"\n{summary['out']}"
    if summary["shares"]:
        rows = [[name, f"{100 * share:.3f}%"] for name, share in summary["shares"].items() if share]
        text += "\n\n" + table(["class", "share of voxels"], rows)
    return text
