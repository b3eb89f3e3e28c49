"""What every command that works through many frames shares: its options, its progress and its share of the work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from pasco_core.jobs import Shard

T = TypeVar("T")


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """--jobs and --shard."""
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")
    parser.add_argument(
        "--shard", type=Shard.parse, metavar="i/n",
        help="do only the i-th of n shares (default: this process's share under torchrun or a SLURM array, else all)",
    )


class _Names(argparse.Action):
    """``A B`` and ``A,B`` mean the same."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, [name for value in values for name in value.split(",") if name])


def add_sequences_argument(parser: argparse._ActionsContainer, text: str, default: list[str] | None = None) -> None:
    """--sequences: names, apart by blanks or commas."""
    parser.add_argument("--sequences", nargs="+", action=_Names, default=default, metavar="NAME", help=text)


def shard_of(args: argparse.Namespace) -> Shard:
    """The share asked for, or the launcher's."""
    return args.shard or Shard.from_environment()


def with_progress(items: Iterable[T], total: int, title: str, unit: str = "frame") -> Iterator[T]:
    """The same items, with a bar, rate and time left on stderr; no bar where stderr is not a terminal."""
    from tqdm import tqdm

    hidden = not sys.stderr.isatty()
    yield from tqdm(items, total=total, desc=title, unit=f" {unit}", disable=hidden, dynamic_ncols=True)
