"""``pasco data simulate``: whole labelled sequences of a procedural town, in the official layouts."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pasco_core.cli.jobs import (
    add_job_arguments,
    add_sequences_argument,
    check_jobs,
    check_output_folder,
    shard_of,
    with_progress,
)
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.data.simulation.writers import Sequence

_LAYOUTS = ("semantickitti", "kitti360")
_SENSORS = ("hdl-64e", "os1-64", "vlp-32", "vlp-16")
_IN_A_ROW = 50  # frames by the same process: neighbours share what the drive sees
_RECIPE = "simulation.json"
_OF_A_DATASET = (
    "sequences", "dataset", "data_3d_raw", "data_2d_raw", "data_poses", "calibration", "labels", "preprocess",
    "instances", "kitti_360_match.txt",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Output, how much, of what, share of the work."""
    add = parser.add_argument
    add("out", type=Path, metavar="OUT", help="folder of the dataset; frames that are there already are skipped")
    add("--frames", type=int, required=True, metavar="N",
        help="length of a sequence, ten scans per second (at most 1,000,000)")
    add_sequences_argument(
        parser, "such as 00 01 08 (KITTI-360: 0006 0009); each is a town of its own (default: 00)", ["00"]
    )
    add("--seed", type=int, default=0, help="chooses the towns (default: 0)")
    add("--layout", choices=_LAYOUTS, default="semantickitti", help="default: semantickitti")
    add("--sensor", choices=_SENSORS, default="hdl-64e", help="default: hdl-64e, KITTI's")
    add("--images", action="store_true", help="also the left colour camera's images")
    add("--voxels-every", type=int, default=5, metavar="N",
        help="voxel truth for frames whose number is a multiple of N, 0: none (default: 5); SemanticKITTI's readers, "
             "ours too, use only multiples of 5")
    add("--scans-every", type=int, default=1, metavar="N",
        help="write only frames whose number is a multiple of N, for variety instead of a film (default: 1)")
    add("--json", action="store_true", help="print the summary as JSON")
    add_job_arguments(parser)
    parser.epilog = (
        "examples:\n"
        "  pasco data simulate town --frames 1000 --jobs 2\n"
        "  pasco data simulate town --frames 6000 --scans-every 50 --sequences 00 01 02 03 --jobs 2\n"
        "  pasco data simulate town --frames 4000 --sequences 00 01 02 08 --images --jobs 8\n"
        "  pasco data simulate town360 --frames 500 --layout kitti360 --sequences 0006 0009\n"
        "  pasco data check town"
    )


def run(args: argparse.Namespace) -> int:
    """Simulate this share, and say how fast."""
    from pasco_core.data.simulation.writers import write_frame
    from pasco_core.jobs import run_jobs

    started = time.perf_counter()
    _check(args)
    shard = shard_of(args)
    sequences = _sequences(args)
    _prepare(args, sequences)
    rows = shard.of([row for sequence in sequences for row in _rows(sequence)])
    asked = [frame for row in rows for frame in row]
    todo = [(sequence, frame) for sequence, frame in asked if not sequence.is_written(frame)]
    results = run_jobs(write_frame, todo, args.jobs, together=_IN_A_ROW)
    written = sum(1 for _ in with_progress(results, len(todo), "simulate"))
    values = _values(args, sequences, written, len(asked) - written, time.perf_counter() - started)
    print(as_json(values) if args.json else _text(values))
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be wrong is said before the folder is claimed."""
    from pasco_core.data.simulation.writers import MAX_FRAMES

    if not 0 <= args.seed < 2**32:
        raise ConfigError(f"Expected --seed to be 0 to {2**32 - 1}, got {args.seed}")
    if not 1 <= args.frames <= MAX_FRAMES:
        raise ConfigError(
            f"Expected --frames to be 1 to {MAX_FRAMES:,}, because files are numbered in six digits, got {args.frames}"
        )
    for option, least in (("voxels_every", 0), ("scans_every", 1)):
        value = getattr(args, option)
        if value < least:
            none = " (none) or more" if least == 0 else " or more"
            raise ConfigError(f"Expected --{option.replace('_', '-')} to be {least}{none}, got {value}")
    check_jobs(args)
    check_output_folder(args.out, "OUT")


def _sequences(args: argparse.Namespace) -> list[Sequence]:
    from pasco_core.data.simulation.writers import LAYOUTS, Sequence

    names = [LAYOUTS[args.layout].sequence_name(text) for text in args.sequences]
    if len(set(names)) < len(names):
        raise ConfigError(f"Expected --sequences to name each one once, got {' '.join(args.sequences)}")
    return [
        Sequence(args.out, args.layout, name, args.seed * 10_000 + _number(name), args.sensor, args.frames,
                 args.voxels_every, args.images, args.scans_every)
        for name in names
    ]


def _number(name: str) -> int:
    """What a sequence adds to the seed, whichever others are asked for: its number."""
    return int(name.removeprefix("2013_05_28_drive_").removesuffix("_sync"))


def _prepare(args: argparse.Namespace, sequences: list[Sequence]) -> None:
    """The recipe, checked against one that is there, and the files that are not a frame's."""
    from pasco_core.atomic_write import write_text_whole
    from pasco_core.data.simulation.writers import kitti_360, semantic_kitti

    recipe = {"seed": args.seed, "layout": args.layout, "sensor": args.sensor}
    path = args.out / _RECIPE
    known = _recipe(path)
    for name, value in recipe.items():
        if known and known.get(name) != value:
            raise ConfigError(
                f"Expected {args.out} to be continued with {name} {known.get(name)!r}, as {_RECIPE} there says, "
                f"got {value!r}"
            )
    foreign = next((args.out / name for name in _OF_A_DATASET if (args.out / name).exists()), None)
    if not known and foreign is not None:
        raise ConfigError(
            f"Expected {args.out} to hold no dataset, or one that was simulated there, got {foreign} without {_RECIPE}"
        )
    sequences[0].drive()  # says what is missing to simulate at all
    args.out.mkdir(parents=True, exist_ok=True)
    frames = {**known.get("frames", {})}
    for sequence in sequences:
        frames[sequence.name] = max(sequence.n_frames, frames.get(sequence.name, 0))
    write_text_whole(path, as_json({**recipe, "frames": frames}) + "\n")
    if args.layout == "kitti360":
        kitti_360.write_match(args.out, frames)
    layout = kitti_360 if args.layout == "kitti360" else semantic_kitti
    for sequence in sequences:
        layout.write_tables(args.out, sequence.name, frames[sequence.name], sequence.drive())


def _recipe(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        frames = values["frames"]
        if not all(isinstance(count, int) for count in frames.values()):
            raise ValueError("frames are not numbers")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"Expected {path} to be what an earlier run wrote, got: {error}") from error
    return values


def _rows(sequence: Sequence) -> Iterator[list[tuple[Sequence, int]]]:
    """Frames in a row, the same however the work is shared."""
    for start in range(0, len(sequence.frames), _IN_A_ROW):
        yield [(sequence, frame) for frame in sequence.frames[start : start + _IN_A_ROW]]


def _values(
    args: argparse.Namespace, sequences: list[Sequence], written: int, skipped: int, seconds: float
) -> dict[str, Any]:
    return {
        "out": str(args.out),
        "layout": args.layout,
        "sensor": args.sensor,
        "seed": args.seed,
        "sequences": [sequence.name for sequence in sequences],
        "frames": {"written": written, "there_already": skipped},
        "seconds": round(seconds, 3),
        "frames_per_second": round(written / seconds, 3) if written else 0.0,
    }


def _text(values: dict[str, Any]) -> str:
    frames = values["frames"]
    lines = [f"{frames['written']:,} frames written to {values['out']} ({', '.join(values['sequences'])})"]
    if frames["there_already"]:
        lines.append(f"{frames['there_already']:,} were there already")
    if frames["written"]:
        lines.append(f"{values['seconds']:.1f} s, {values['frames_per_second']:.2f} frames per second")
    return "\n".join(lines)
