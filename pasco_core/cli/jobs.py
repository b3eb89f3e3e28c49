"""What every command that works through many frames shares: its options, its progress and its share of the work."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pasco_core.errors import ConfigError
from pasco_core.jobs import Shard

T = TypeVar("T")
_SPLITS = ("train", "val", "test", "all")


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """--jobs and --shard."""
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")
    parser.add_argument(
        "--shard", type=Shard.parse, metavar="i/n",
        help="do only the i-th of n shares (default: this process's share under torchrun or a SLURM array, else all)",
    )


class Names(argparse.Action):
    """``A B`` and ``A,B`` mean the same."""

    def __call__(self, parser, namespace, values, option_string=None):
        names = [name for value in values for name in value.split(",") if name]
        if not names:
            raise argparse.ArgumentError(self, f"expected at least one name, got {' '.join(values)!r}")
        setattr(namespace, self.dest, names)


def add_sequences_argument(parser: argparse._ActionsContainer, text: str, default: list[str] | None = None) -> None:
    """--sequences: names, apart by blanks or commas."""
    parser.add_argument("--sequences", nargs="+", action=Names, default=default, metavar="NAME", help=text)


def add_split_argument(parser: argparse._ActionsContainer, default: str = "all") -> None:
    """--split."""
    text = f"{', '.join(_SPLITS[:-1])} or {_SPLITS[-1]} (default: {default})"
    parser.add_argument("--split", default=default, metavar="NAME", help=text)


def split_of(args: argparse.Namespace) -> str | None:
    """The split asked for; None = every sequence.

    Raises:
        ConfigError: there is no such split.
    """
    if args.split not in _SPLITS:
        close = difflib.get_close_matches(args.split, _SPLITS, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ConfigError(f"Expected --split to be one of {', '.join(_SPLITS)}, got {args.split!r}{hint}")
    return None if args.split == "all" else args.split


def check_jobs(args: argparse.Namespace) -> None:
    """Says at once, before anything is claimed or written, that --jobs makes no sense.

    Raises:
        ConfigError: it does not.
    """
    if args.jobs < 1:
        raise ConfigError(f"Expected --jobs to be at least 1, got {args.jobs}")


def check_output_folder(folder: Path, option: str) -> None:
    """Nothing but a folder is where the output goes, nor in the way there; whether it can be written, writing tells.

    Raises:
        ConfigError: something else is there.
    """
    for path in (folder, *folder.parents):
        if os.path.lexists(path):
            if not path.is_dir():
                raise ConfigError(f"Expected {option} to be a folder, or one that can be made, got {path}, a file")
            return


def shard_of(args: argparse.Namespace) -> Shard:
    """The share asked for, or the launcher's."""
    return args.shard or Shard.from_environment()


def with_progress(items: Iterable[T], total: int, title: str, unit: str = "frame") -> Iterator[T]:
    """The same items, with a bar, rate and time left on stderr; no bar where stderr is not a terminal."""
    from tqdm import tqdm

    hidden = not sys.stderr.isatty()
    yield from tqdm(items, total=total, desc=title, unit=f" {unit}", disable=hidden, dynamic_ncols=True)
