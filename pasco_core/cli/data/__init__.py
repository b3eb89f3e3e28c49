"""``pasco data``: everything about datasets; one small module per sub-command, of the shape of ``pasco_core.cli``'s."""

from __future__ import annotations

import argparse
import importlib

COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("pasco_core.cli.data.check", "what is there, what is missing or damaged, and what each command needs"),
    "stats": ("pasco_core.cli.data.stats", "class frequencies of a dataset"),
    "instances": ("pasco_core.cli.data.instances", "instance labels from voxel labels, by connected components"),
    "voxels": ("pasco_core.cli.data.voxels", "voxel labels from posed, labelled scans"),
    "simulate": ("pasco_core.cli.data.simulate", "a labelled world in the official layouts, from a seed"),
    "corrupt": ("pasco_core.cli.data.corrupt", "fog, snow, missing beams, …: a dataset's scans made worse, by a seed"),
    "to-bag": ("pasco_core.cli.data.to_bag", "a sequence as a rosbag2, without ROS"),
    "from-bag": ("pasco_core.cli.data.from_bag", "a rosbag2 as a dataset in SemanticKITTI's layout, without ROS"),
}
"""Sub-command → its module, and the line it has in ``pasco data --help``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-parser per sub-command, filled by its module."""
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    for name, (module_name, summary) in COMMANDS.items():
        sub = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        importlib.import_module(module_name).add_arguments(sub)
    parser.epilog = (
        "example:\n  pasco data check kitti/dataset\n\n`pasco data COMMAND --help` shows an example of each."
    )


def run(args: argparse.Namespace) -> int:
    """The sub-command that was asked for."""
    return importlib.import_module(COMMANDS[args.data_command][0]).run(args)
