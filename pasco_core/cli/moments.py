"""What ``pasco render`` and ``pasco view`` share: which moments of which source."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.viz.moments import Moments, Wanted


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """The source, and which part of it."""
    add = parser.add_argument
    add("source", type=Path, metavar="SOURCE",
        help="scene.npz of `pasco infer`, a scan, a folder of scenes or scans, a dataset, or a bag")
    add("--every", type=int, default=1, metavar="N", help="every N-th moment (default: 1)")
    add("--first", type=int, default=0, metavar="K", help="begin with the K-th, counted from 0 (default: 0)")
    add("--limit", type=int, metavar="N", help="at most N of them")
    group = parser.add_argument_group("of some sources").add_argument
    group("--sequence", metavar="NAME", help="of a dataset, such as 08 (default: the only one)")
    group("--predictions", type=Path, metavar="DIR",
          help="of a dataset: scenes that `pasco eval --save-predictions DIR` wrote, in place of the truth")
    group("--topic", metavar="NAME", help="of a bag: a VoxelGrid or PointCloud2 (default: the only one)")
    group("--camera", metavar="TOPIC",
          help="of a bag: show images, those of this topic (default, where images are shown: the only ones)")
    group("--scan", type=Path, metavar="FILE", help="of one scene: its points, shown as the input")


def chosen_moments(args: argparse.Namespace, wanted: Wanted) -> tuple[Moments, range]:
    """The source, and the numbers of its moments that are asked for, at least one.

    Raises:
        ConfigError: --every, --first or --limit make no sense.
        DataError: the source has none.
    """
    from pasco_core.errors import DataError
    from pasco_core.viz.moments import open_moments

    if args.every < 1 or args.first < 0 or (args.limit is not None and args.limit < 1):
        got = f"--every {args.every} --first {args.first} --limit {args.limit}"
        raise ConfigError(f"Expected --every and --limit from 1 and --first from 0, got {got}")
    moments = open_moments(
        args.source, wanted, sequence=args.sequence, predictions=args.predictions, scan=args.scan, topic=args.topic,
        camera=args.camera,
    )
    if moments.count == 0:
        raise DataError(f"Expected {args.source} to hold something to show, got nothing")
    if args.first >= moments.count:
        raise ConfigError(f"Expected --first to be less than the {moments.count} there are, got {args.first}")
    numbers = range(args.first, moments.count, args.every)
    return moments, numbers if args.limit is None else numbers[: args.limit]
