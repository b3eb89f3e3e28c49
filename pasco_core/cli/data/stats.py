"""``pasco data stats``: class frequencies of a dataset's truth, points and instances per class."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.cli.jobs import (
    add_job_arguments,
    add_sequences_argument,
    add_split_argument,
    check_jobs,
    shard_of,
    split_of,
    with_progress,
)
from pasco_core.cli.text import as_json, table
from pasco_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pasco_core.data.datasets.statistics import Statistics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Dataset, which frames, how to count."""
    add = parser.add_argument
    add("root", type=Path, nargs="?", metavar="ROOT", help="dataset in the SemanticKITTI or SSCBench-KITTI-360 layout")
    add("--truth-root", type=Path, metavar="DIR", help="another folder of the same layout with the labels")
    add_split_argument(parser)
    add_sequences_argument(parser, "only these sequences, such as 08")
    add("--swap-empty-and-unknown", action="store_true",
        help="count strides 2 and 4 as the published frequencies were, with empty and unknown blocks swapped")
    add("--merge", type=Path, nargs="+", metavar="FILE", help="add up what shards wrote with --json")
    add("--json", action="store_true", help="print the counts as JSON")
    add_job_arguments(parser)
    parser.epilog = (
        "examples:\n"
        "  pasco data stats kitti/dataset --split train --jobs 8\n"
        "  pasco data stats kitti/dataset --shard 1/2 --json > a.json\n"
        "  pasco data stats --merge a.json b.json"
    )


def run(args: argparse.Namespace) -> int:
    """Count or merge, then print."""
    if (args.root is None) == (args.merge is None):
        given = "both" if args.root is not None else "neither"
        raise ConfigError(f"Expected either ROOT or --merge to be given, got {given}")
    total = _merged(args.merge) if args.merge else _counted(args)
    print(as_json(total.to_dict()) if args.json else _as_text(total))
    return 0


def _counted(args: argparse.Namespace) -> Statistics:
    from pasco_core.data.datasets import open_dataset
    from pasco_core.data.datasets.statistics import FrameCounter, add_all
    from pasco_core.jobs import run_jobs

    check_jobs(args)
    dataset = open_dataset(args.root, args.truth_root)
    frames = shard_of(args).of(dataset.frames(split_of(args), args.sequences))
    count = FrameCounter(args.root, args.truth_root, args.swap_empty_and_unknown)
    done = run_jobs(count, frames, args.jobs)
    return add_all(dataset.labels, (part for _, part in with_progress(done, len(frames), "counting")))


def _merged(paths: list[Path]) -> Statistics:
    from pasco_core.data.datasets.statistics import Statistics, add_all

    parts = []
    for path in paths:
        try:
            parts.append(Statistics.from_dict(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, DataError) as error:
            raise DataError(f"{path}: {error}") from error
    return add_all(parts[0].labels, parts)


def _as_text(total: Statistics) -> str:
    from pasco_core.data.frame import UNKNOWN

    names = [*enumerate(total.labels.class_names), (UNKNOWN, "unknown")]
    header = ["class", "voxels", "stride 2", "stride 4", "instances"] + (["points"] if total.labelled_scans else [])
    rows = []
    for i, name in names:
        row = [name, *(int(total.voxels[stride][i]) for stride in (1, 2, 4)), int(total.instances[i])]
        rows.append(row + ([int(total.points[i])] if total.labelled_scans else []))
    lines = [f"{total.labels.name}: {total.frames:,} frames", "", table(header, rows), ""]
    if total.unknown_share is not None:
        lines.append(f"unknown: {total.unknown_share:.1%} of the voxels")
    if total.occupied_share is not None:
        lines.append(f"occupied: {total.occupied_share:.1%} of the known voxels")
    if 0 < total.labelled_scans < total.frames:
        lines.append(f"points: of the {total.labelled_scans:,} frames with point labels")
    return "\n".join(lines)
