"""``pasco data from-bag``: a rosbag2 as a dataset in SemanticKITTI's layout, read without ROS."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pasco_core.cli.jobs import check_output_folder, with_progress
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.data.bags.from_bag import BagToSequence

_RECIPE = "from_bag.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Bag, output, topics."""
    add = parser.add_argument
    add("bag", type=Path, metavar="BAG", help="rosbag2 folder, or a single .mcap or .db3 file; also a damaged one")
    add("out", type=Path, metavar="OUT", help="folder of the dataset; scans that are there already are skipped")
    add("--topic", metavar="NAME", help="the clouds (default: the only topic of type sensor_msgs/msg/PointCloud2)")
    add("--image-topic", metavar="NAME", help="the images (default: the only topic with images)")
    add("--sequence", metavar="NN", help="number of the sequence (default: the bag's own, else 00)")
    add("--json", action="store_true", help="print the summary as JSON")
    parser.epilog = (
        "Writes scans, times, and what else the bag holds: poses from /tf, calibration, images, point labels, voxels.\n"
        "A bag that was cut is converted up to its last whole message.\n\n"
        "examples:\n"
        "  pasco data from-bag bags/drive kitti_like\n"
        "  pasco data from-bag drive.mcap kitti_like --topic /os1/points --sequence 03"
    )


def run(args: argparse.Namespace) -> int:
    """Convert what is not converted yet, and say what came out."""
    from pasco_core.data.bags import open_bag
    from pasco_core.data.bags.from_bag import BagToSequence

    check_output_folder(args.out, "OUT")
    if args.sequence is not None and not re.fullmatch(r"[0-9]{2}", args.sequence):
        raise ConfigError(f"Expected --sequence to be two digits, such as 00, got {args.sequence!r}")
    with open_bag(args.bag) as reader:
        conversion = BagToSequence(reader, args.out, args.topic, args.image_topic, args.sequence)
        _claim(args, conversion)
        for _ in with_progress(conversion.frames(), conversion.count, "from-bag"):
            pass
        written = conversion.finish()
        values = {
            "out": str(args.out),
            "sequence": conversion.sequence,
            "topic": conversion.topic,
            "frames": {"written": written.frames - written.skipped, "there_already": written.skipped},
            "images": written.images,
            "voxel_truth": written.truths,
            "poses": written.poses,
            "points_left_out": written.removed,
            "notes": written.notes,
            "damage": list(reader.damage),  # the log has warned of it already
        }
    print(as_json(values) if args.json else _text(values))
    return 0


def _claim(args: argparse.Namespace, conversion: BagToSequence) -> None:
    """Notes which bag a sequence is from, or checks that it is the one of the run before."""
    from pasco_core.atomic_write import write_text_whole

    path = args.out / _RECIPE
    name, recipe = conversion.sequence, {"bag": os.path.abspath(args.bag), "topic": conversion.topic}
    known = _recipes(path)
    if name in known and known[name] != recipe:
        raise ConfigError(f"Expected sequence {name} of {args.out} to be continued with {known[name]}, got {recipe}; "
                          "--sequence names another")
    if name not in known and conversion.folder.exists():
        raise ConfigError(f"Expected {conversion.folder} to be new, or begun by this command, got another sequence; "
                          "--sequence names another")
    conversion.folder.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, as_json({**known, name: recipe}) + "\n")


def _recipes(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError("no table")
    except ValueError as error:
        raise ConfigError(f"Expected {path} to be what an earlier run wrote, got: {error}") from error
    return known


def _text(values: dict[str, Any]) -> str:
    frames = values["frames"]
    line = f"{frames['written']:,} scans of {values['topic']} written to {values['out']}/sequences/{values['sequence']}"
    if frames["there_already"]:
        line += f", {frames['there_already']:,} were there already"
    parts = [f"{values['images']:,} images", f"{values['voxel_truth']:,} voxel truths"]
    parts.append("poses" if values["poses"] else "no poses")
    lines = [line, f"beside them: {', '.join(parts)}"]
    if values["points_left_out"]:
        lines.append(f"{values['points_left_out']:,} points left out: not finite, or nearer than 0.1 m")
    return "\n".join([*lines, *(f"note: {note}" for note in values["notes"])])
