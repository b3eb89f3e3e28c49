"""The ``pasco`` command. One small module per sub-command, imported only when it is used.

A sub-command's module has

- ``add_arguments(parser)``: declares its arguments on an ``argparse.ArgumentParser``; ``parser.epilog`` shows an example;
- ``run(args) -> int``: does the work and returns the exit code; heavy imports belong inside it, so that ``--help``
  answers at once.

Exit codes: 0 done, 1 the run failed, 2 wrong use (``ConfigError`` and argparse), 130 interrupted.
"""  # noqa: E501 (a sentence with code)

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from pasco_core import __version__
from pasco_core.errors import ConfigError, PascoError
from pasco_core.threads import wait_briefly

COMMANDS: dict[str, tuple[str, str]] = {
    "infer": ("pasco_core.cli.infer", "complete the scene around one LiDAR scan: .npz, picture, summary"),
    "eval": ("pasco_core.cli.eval", "evaluate a checkpoint on a dataset: tables, JSON and a report"),
    "replay": ("pasco_core.cli.replay", "a rosbag2 through the network without ROS: messages, numbers, report"),
    "fuse": ("pasco_core.cli.fuse", "fuse the scenes of a drive over time, and compare with each frame alone"),
    "render": ("pasco_core.cli.render", "pictures and films of scenes, scans, datasets and bags, without a display"),
    "view": ("pasco_core.cli.view", "look at a scene in a window, or write a file for Foxglove and rerun"),
    "data": ("pasco_core.cli.data", "check, label, simulate and corrupt datasets"),
    "train": ("pasco_core.cli.train", "train a network by an experiment file"),
    "convert": ("pasco_core.cli.convert", "turn the authors' checkpoint into a safe one of ours"),
    "bench": ("pasco_core.cli.bench", "measure every stage on this machine"),
    "demo": ("pasco_core.cli.demo", "run player, node and recorder on simulated or real scans"),
}
"""Sub-command → its module, and the line it has in ``pasco --help``."""

_FAILED, _WRONG_USE, _INTERRUPTED, _BROKEN_PIPE = 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``pasco`` with ``argv`` (default: the process's arguments) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        print(_help(), file=sys.stderr)
        return _WRONG_USE
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "--help", "help"):
        print(_help())
        return 0
    if name in ("-V", "--version"):
        print(f"pasco {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"pasco: error: {_unknown(name)}", file=sys.stderr)
        return _WRONG_USE
    wait_briefly()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    return _run(name, rest)


def _run(name: str, arguments: list[str]) -> int:
    """One sub-command; whatever the user got wrong becomes one line and an exit code."""
    module_name, summary = COMMANDS[name]
    try:
        module = importlib.import_module(module_name)
        parser = argparse.ArgumentParser(
            prog=f"pasco {name}", description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parser)
        code = module.run(parser.parse_args(arguments))
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse has printed its message already
        return stop.code if isinstance(stop.code, int) else _FAILED
    except ConfigError as error:
        return _failure(name, str(error), _WRONG_USE)
    except PascoError as error:
        return _failure(name, str(error), _FAILED)
    except BrokenPipeError:
        # The reader of our output is gone (`pasco … | head`); Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failure(name, f"{where}{error.strerror or error}", _FAILED)
    except KeyboardInterrupt:
        return _failure(name, "interrupted", _INTERRUPTED)


def _failure(name: str, message: str, code: int) -> int:
    print(f"pasco {name}: error: {message}", file=sys.stderr)
    return code


def _unknown(name: str) -> str:
    if name.startswith("-"):
        return f"unknown option {name}; `pasco --help` lists the commands"
    close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else f"the commands are {', '.join(COMMANDS)}"
    return f"unknown command '{name}'; {hint}"


def _help() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
    return (
        "usage: pasco COMMAND ...\n\n"
        "Panoptic scene completion with uncertainty from LiDAR scans.\n\n"
        f"commands:\n{commands}\n\n"
        "options:\n  -h, --help     show this text\n  -V, --version  show the version\n\n"
        "example:\n  pasco infer scan.bin --out out/scene\n\n"
        "`pasco COMMAND --help` shows the options of a command and an example."
    )
