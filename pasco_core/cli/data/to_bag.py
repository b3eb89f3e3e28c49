"""``pasco data to-bag``: a dataset's sequence as a rosbag2, written without ROS."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pasco_core.cli.jobs import check_jobs, check_output_folder, with_progress
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.data.bags.sequence_sources import Recording
    from pasco_core.data.bags.to_bag import BagTask
    from pasco_core.data.frame import Frame

_RECIPE = ".to_bag.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Dataset, output, sequence, format."""
    add = parser.add_argument
    add("root", type=Path, metavar="DATASET",
        help="dataset in the layout of SemanticKITTI, KITTI odometry or SSCBench-KITTI-360; or of KITTI's raw "
             "recordings: a drive's folder, its date's, or the folder of these")
    add("out", type=Path, metavar="OUT", help="folder of the bag; a run that was interrupted goes on")
    add("--sequence", metavar="NAME", help="such as 08, or a drive's number such as 0009 (default: the only one)")
    add("--every", type=int, default=1, metavar="N", help="every N-th frame; poses of all of them (default: 1)")
    add("--limit", type=int, metavar="N", help="the first N of these frames (default: all)")
    add("--truth-root", type=Path, metavar="DIR",
        help="other folder of the same layout, where voxel labels are looked up first (default: DATASET)")
    add("--storage", choices=("mcap", "sqlite3"), default="mcap", help="default: mcap, in chunks compressed with zstd")
    add("--metadata", type=int, choices=(8, 9), default=8, metavar="8|9",
        help="version of metadata.yaml: 8 is read from Humble on, 9 from Jazzy on (default: 8)")
    add("--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")
    add("--json", action="store_true", help="print the summary as JSON")
    parser.epilog = (
        "examples:\n"
        "  pasco data to-bag kitti/dataset bags/08 --sequence 08\n"
        "  pasco data to-bag kitti/dataset bags/short --sequence 08 --every 5 --limit 100\n"
        "  pasco data to-bag kitti_raw/2011_09_26/2011_09_26_drive_0001_sync bags/0001\n"
        "  pasco data to-bag town bags/town --storage sqlite3 --metadata 9 --jobs 4\n"
        "  ros2 bag play bags/08"
    )


def run(args: argparse.Namespace) -> int:
    """Write what is not written yet, and say what is in the bag."""
    from pasco_core.data.bags.sequence_sources import open_recording, source_of
    from pasco_core.data.bags.to_bag import BagTask, ranges_of, split, write_part
    from pasco_core.data.bags.writer import BagFormat
    from pasco_core.jobs import run_jobs

    _check(args)
    dataset = open_recording(args.root, args.truth_root)
    frames = _frames(dataset, args)
    bag_format = BagFormat(args.storage, args.metadata, compressed=args.storage == "mcap")
    numbers = ranges_of([frame.index for frame in frames])
    task = BagTask(args.out, args.root, args.truth_root, frames[0].sequence, numbers, bag_format)
    _claim(task)
    notes = source_of(dataset, task.sequence).notes
    files = split(frames)
    if task.parts.is_whole:
        todo = []
    else:
        todo = [(task, number, part) for number, part in enumerate(files) if not task.parts.has(number)]
    n_todo = sum(len(part) for _, _, part in todo)
    results = run_jobs(write_part, todo, args.jobs)
    written = sum(1 for _ in with_progress(_one_by_one(results), n_todo, f"to-bag {task.sequence}"))
    if not task.parts.is_whole:
        task.parts.join(len(files), task.custom_data())
    values = {**_values(task, frames, written), "notes": list(notes)}
    print(as_json(values) if args.json else _text(values))
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be wrong is said before the folder is claimed."""
    check_jobs(args)
    check_output_folder(args.out, "OUT")
    for option in ("every", "limit"):
        value = getattr(args, option)
        if value is not None and value < 1:
            raise ConfigError(f"Expected --{option} to be at least 1, got {value}")


def _frames(dataset: Recording, args: argparse.Namespace) -> list[Frame]:
    """Those of one sequence that are asked for."""
    names = [args.sequence] if args.sequence else list(dataset.sequences())
    frames = dataset.frames(sequences=names, with_truth=False) if len(names) == 1 else []
    found = list(dict.fromkeys(frame.sequence for frame in frames)) or names  # 0001 may be a drive of several dates
    if len(found) != 1:
        got = repr(args.sequence) if args.sequence else "none"
        raise ConfigError(f"Expected --sequence to name one of {', '.join(found) or 'no sequence'}, got {got}")
    return frames[:: args.every][: args.limit]


def _one_by_one(results: Iterator[tuple[Any, int]]) -> Iterator[None]:
    """Once for each frame, so that the progress counts frames."""
    for _, count in results:
        yield from [None] * count


def _claim(task: BagTask) -> None:
    """Makes the folder, or checks that it is a bag of the same sequence and format that was begun before."""
    from pasco_core.atomic_write import write_text_whole
    from pasco_core.data.bags.message_types import known_types

    known_types()  # says what is missing to write a bag at all
    path, recipe = task.out / _RECIPE, task.recipe()
    if path.is_file():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"Expected {path} to be what an earlier run wrote, got: {error}") from error
        for name, value in recipe.items():
            got = known.get(name) if isinstance(known, dict) else None
            if got != value:
                raise ConfigError(f"Expected {task.out} to be continued with {name} {got!r}, got {value!r}")
        return
    if task.out.exists() and any(task.out.iterdir()):
        raise ConfigError(f"Expected OUT to be a new folder, or a bag begun by this command, got {task.out} with "
                          f"{sorted(p.name for p in task.out.iterdir())[0]}")
    task.out.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, as_json(recipe) + "\n")


def _values(task: BagTask, frames: list[Frame], written: int) -> dict[str, Any]:
    from pasco_core.data.bags import open_bag

    with open_bag(task.out) as bag:
        topics = [{"name": t.name, "type": t.type, "messages": t.count} for t in bag.topics.values()]
    return {
        "out": str(task.out),
        "sequence": task.sequence,
        "storage": task.bag_format.storage,
        "metadata": task.bag_format.metadata,
        "frames": {"written": written, "there_already": len(frames) - written},
        "bytes": sum(path.stat().st_size for path in task.out.iterdir() if path.is_file()),
        "topics": topics,
    }


def _text(values: dict[str, Any]) -> str:
    from pasco_core.cli.text import table

    frames = values["frames"]
    line = f"{frames['written']:,} frames of sequence {values['sequence']} written to {values['out']}"
    if frames["there_already"]:
        line += f", {frames['there_already']:,} were there already"
    rows = [[topic["name"], topic["type"], topic["messages"]] for topic in values["topics"] if topic["messages"]]
    text = f"{line}; {values['bytes'] / 1e6:,.1f} MB\n{table(['topic', 'type', 'messages'], rows)}"
    return "\n".join([text, *(f"note: {note}" for note in values["notes"])])
