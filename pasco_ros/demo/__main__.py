"""``python -m pasco_ros.demo``: the real graph on this machine, recorded, checked and drawn."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from pasco_core.cli.demo import add_arguments
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError, PascoError

NODE = ("-m", "pasco_ros.panoptic_scene_completion")
_FAILED, _WRONG_USE, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None, node: Sequence[str] = NODE) -> int:
    """Run the demo.

    Args:
        arguments: options; the process's own by default.
        node: command that starts the node, without its ROS arguments.

    Returns:
        0 when every check passed, 1 when something failed, 2 for wrong use, 130 on Ctrl-C.
    """
    args = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        from rclpy.impl.implementation_singleton import rclpy_implementation

        from pasco_ros.demo.console import Console
        from pasco_ros.demo.run import DemoSettings, run_demo
    except ImportError as error:
        return _failed(f"Expected ROS 2 (rclpy), the messages and rosbags to be installed, got: {error}. "
                       "Run `make setup`, or source your workspace and install 'pasco-ros[bag]'", _WRONG_USE)
    settings = DemoSettings(
        scans=args.scans, frames=args.frames, rate=args.rate, out=args.out, checkpoint=args.checkpoint,
        features_checkpoint=args.features, time_limit=args.time_limit,
        node=tuple(node),
    )
    # With --json, stdout holds nothing but JSON.
    console = Console(sys.stderr if args.json else sys.stdout)
    try:
        summary = run_demo(settings, console)
    except KeyboardInterrupt:
        console.close_line()
        return _failed("interrupted; all processes have ended", _INTERRUPTED)
    except (PascoError, OSError) as error:
        console.close_line()
        return _failed(str(error), _WRONG_USE if isinstance(error, ConfigError) else _FAILED)
    except rclpy_implementation.RCLError as error:
        console.close_line()
        return _failed(f"Expected ROS 2 to start, got: {' '.join(str(error).split())}", _FAILED)
    if args.json:
        sys.stdout.write(as_json(summary) + "\n")
    else:
        console.show(summary)
        console.say()
    console.say(f"Done in {summary['seconds']:.0f} s. Pictures, bag, logs and summary.json are in {settings.out}.")
    failed = [name for name, passed in summary["checks"].items() if not passed]
    if failed:
        console.say(f"Not passed: {'; '.join(failed)}.")
    return _FAILED if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pasco_ros.demo", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Plays LiDAR scans through the node over ROS 2 topics, records everything, and shows the result.",
    )
    add_arguments(parser)
    parser.epilog = "example:\n  python -m pasco_ros.demo --scans kitti/sequences/00 --frames 100"
    return parser


def _failed(message: str, code: int) -> int:
    sys.stderr.write(f"demo: {message}\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
