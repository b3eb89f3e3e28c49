"""``pasco demo``: player, node and recorder on this machine; the work is done by ``pasco_ros``, in its own process.

The options are declared here for both ``pasco demo`` and ``python -m pasco_ros.demo``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

from pasco_core.errors import ConfigError

_INTERRUPTED = 130
# The ROS wheels set this for the process they prepared; the child has to prepare itself.
_WHEELS_MARK = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Scans, weights, how many and how fast, where to, how long, ``--json``."""
    add = parser.add_argument
    add("--scans", type=Path, metavar="DIR", help="KITTI velodyne or sequence folder (default: a simulated street)")
    add("--frames", type=int, default=100, metavar="N", help="clouds to play; fewer scans are repeated (default: 100)")
    add("--rate", type=float, default=10.0, metavar="HZ", help="clouds per second (default: 10)")
    add("--out", type=Path, default=Path("out/demo"), metavar="DIR",
        help="folder for bag, pictures, logs and summary.json (default: out/demo)")
    add("--checkpoint", type=Path, metavar="FILE",
        help="weights, .safetensors (default: the small network that comes with the package)")
    add("--features", type=Path, metavar="FILE", help="WaffleIron weights, for checkpoints that read its features")
    add("--time-limit", type=float, default=115.0, metavar="S",
        help="the run ends by itself within this many seconds (default: 115)")
    add("--json", action="store_true", help="print the content of summary.json instead of tables")
    parser.epilog = "example:\n  pasco demo --scans kitti/sequences/00 --checkpoint pasco.safetensors"


def run(args: argparse.Namespace) -> int:
    """Run the demo as a process and pass its exit code on."""
    for package, remedy in (("rclpy", "run `make setup`, or source a ROS 2 installation"), ("pasco_ros", "install it")):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"Expected {package} to be installed for the demo, got no such package: {remedy}")
    environment = {name: value for name, value in os.environ.items() if name != _WHEELS_MARK}
    process = subprocess.Popen([sys.executable, "-m", "pasco_ros.demo", *_options(args)], env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # A terminal interrupts the child too, which then ends its own processes; it is only waited for.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.wait()
        return _INTERRUPTED


def _options(args: argparse.Namespace) -> list[str]:
    """The parsed arguments as options again, for the process that does the work."""
    options = []
    for name, value in vars(args).items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            options += [option] * value
        elif value is not None:
            options.append(f"{option}={value}")
    return options
