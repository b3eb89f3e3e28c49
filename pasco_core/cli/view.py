"""``pasco view``: a moment in a window, or many in a file for Foxglove, Lichtblick and rerun."""

from __future__ import annotations

import argparse
from pathlib import Path

from pasco_core.cli.jobs import check_output_folder, with_progress
from pasco_core.cli.moments import add_source_arguments, chosen_moments
from pasco_core.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Source, and where it is shown."""
    from pasco_core.viz.panels import SHOWS

    add_source_arguments(parser)
    add = parser.add_argument
    add("--show", choices=SHOWS, help="in the window (default: semantics, of a scan its points)")
    add("--foxglove", type=Path, metavar="FILE.mcap",
        help="no window: write clouds, voxels, boxes and images as ROS messages; `rerun FILE.mcap` opens it, too")
    add("--images", action="store_true",
        help="with --foxglove: also the camera's images and what is seen in them; --camera implies it")
    parser.epilog = (
        "examples:\n"
        "  pasco view out/infer/000000/scene.npz --show instances\n"
        "  pasco view town --sequence 08 --first 20\n"
        "  pasco view drive/bag --every 5 --foxglove drive.mcap\n"
        "\n"
        "The window shows one moment, the first that is asked for, and needs the package open3d: pip install "
        "'pasco-ros[viewer]'.\n"
        "Foxglove: Open local file, 3D panel, colour /voxels by rgb, label, instance or uncertainty."
    )


def run(args: argparse.Namespace) -> int:
    """Open the source, and show or write it."""
    from pasco_core.viz.moments import Wanted

    for option in ("images", "camera"):
        if getattr(args, option) and args.foxglove is None:
            raise ConfigError(f"Expected --{option} to come with --foxglove, got no --foxglove")
    if args.foxglove is not None:
        return _write(args)
    from pasco_core.viz.panels import INPUT
    from pasco_core.viz.window import show_moment

    wanted = Wanted(scene=args.show != INPUT, points=args.show in (None, INPUT))
    moments, numbers = chosen_moments(args, wanted)
    show_moment(next(moments.take(numbers[:1])), args.show)
    return 0


def _write(args: argparse.Namespace) -> int:
    from pasco_core.viz.moments import Wanted
    from pasco_core.viz.recording import write_recording

    if args.show is not None:
        raise ConfigError(f"Expected --show to stand without --foxglove, whose file holds everything, got {args.show}")
    check_output_folder(args.foxglove.parent, "the folder of --foxglove")
    moments, numbers = chosen_moments(args, Wanted(image=args.images or args.camera is not None))
    args.foxglove.parent.mkdir(parents=True, exist_ok=True)
    shown = with_progress(moments.take(numbers), len(numbers), f"view {moments.name}", "moment")
    count = write_recording(args.foxglove, shown)
    print(f"wrote {args.foxglove}: {count} moment{'s' * (count != 1)}")
    return 0
