"""``python -m pasco_ros.soak``: minutes of driving with random faults, and a verdict with numbers."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_FAILED, _WRONG_USE, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak test.

    Returns:
        0 when every check passed, 1 when one failed, 2 for wrong use, 130 on Ctrl-C.
    """
    args = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    # Here, because the processes that simulate import this module too, and need no ROS.
    from pasco_core.cli.text import as_json
    from pasco_core.errors import ConfigError, PascoError
    from pasco_ros.demo.console import Console
    from pasco_ros.soak.run import SoakSettings, run_soak

    console = Console(sys.stderr if args.json else sys.stdout)
    settings = SoakSettings(args.minutes, args.rate, args.seed, args.model, args.frames, args.out)
    try:
        verdict = run_soak(settings, console.say)
    except KeyboardInterrupt:
        return _failed("interrupted; all processes have ended", _INTERRUPTED)
    except (PascoError, OSError) as error:
        return _failed(str(error), _WRONG_USE if isinstance(error, ConfigError) else _FAILED)
    if args.json:
        sys.stdout.write(as_json(verdict) + "\n")
    else:
        _show(verdict, console)
    return 0 if verdict["passed"] else _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pasco_ros.soak", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Drives the node through the simulated town while clouds, clock, transforms, parameters and the "
        "model fail at random, and checks that every cloud is accounted for and that memory stays flat.",
        epilog="example:\n  python -m pasco_ros.soak --minutes 2 --seed 7 --model network",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="of driving (default 20)")
    parser.add_argument("--rate", type=float, default=10.0, help="clouds per second (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of town, schedule and failures (default 0)")
    parser.add_argument("--model", choices=("stand-in", "network"), default="stand-in",
                        help="what computes; both fail now and then (default stand-in)")
    parser.add_argument("--frames", type=int, default=100,
                        help="frames of the town, played forth and back; 0: one plain scan (default 100)")
    parser.add_argument("--out", type=Path, default=Path("out/soak"), help="folder for logs and verdict.json")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON and nothing else")
    return parser


def _show(verdict: dict[str, Any], console: Any) -> None:
    memory, clouds = verdict["memory"], verdict["clouds"]
    outcomes = ", ".join(f"{n} {name}" for name, n in clouds["outcomes"].items())
    console.say(f"{clouds['sent in all']} clouds sent, {clouds['received']} received while active: {outcomes}")
    console.say(f"Memory {memory['first [MB]']} MB at the start, {memory['last [MB]']} MB at the end, "
                f"growth after the warm-up {memory['growth']:.1%}")
    for name, n in verdict["surprises"].items():
        console.say(f"  unexpected, {n} times: {name}")
    for line in [*clouds["unbalanced"], *verdict["log"][:20]]:
        console.say(f"  {line}")
    for name, passed in verdict["checks"].items():
        console.say(f"{'passed' if passed else 'FAILED'}: {name}")


def _failed(message: str, code: int) -> int:
    sys.stderr.write(f"soak: {message}\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
