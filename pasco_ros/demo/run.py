"""The demo from start to end: three processes, the node's lifecycle, and what they leave behind."""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pasco_core.errors import ConfigError, PascoError
from pasco_ros.demo.bag import remove_bag
from pasco_ros.demo.conductor import Conductor
from pasco_ros.demo.console import Console
from pasco_ros.demo.pictures import draw_scenes
from pasco_ros.demo.processes import Child, ChildGroup, graph_environment
from pasco_ros.demo.results import read_recording, summarise
from pasco_ros.demo.scans import find_scans
from pasco_ros.demo.topics import CLOUDS

_EVALUATION = 20.0  # seconds kept for reading the bag back and drawing
_ENDING = ".safetensors"


@dataclass(frozen=True)
class DemoSettings:
    """What the demo does.

    Args:
        node: command that starts the node, without its ROS arguments.
        out: folder for the results.
        scans: KITTI folder, or None for the simulated street.
        frames: clouds to publish.
        rate: clouds per second.
        checkpoint: weights, or None for random ones.
        features_checkpoint: weights of the point features, or None.
        time_limit: seconds the whole run may take.
    """

    node: tuple[str, ...]
    out: Path
    scans: Path | None = None
    frames: int = 100
    rate: float = 10.0
    checkpoint: Path | None = None
    features_checkpoint: Path | None = None
    time_limit: float = 115.0

    def check(self) -> None:
        """Refuse what cannot work before anything is started.

        Raises:
            ConfigError: names the option, the rule and the value.
        """
        if not 1 <= self.frames <= 10_000:
            raise ConfigError(f"Expected --frames to be 1 to 10000, got {self.frames}")
        if not 0.1 <= self.rate <= 100:
            raise ConfigError(f"Expected --rate to be 0.1 to 100 clouds per second, got {self.rate:g}")
        if not _EVALUATION < self.time_limit < math.inf:
            raise ConfigError(f"Expected --time-limit to be above {_EVALUATION:g} s, got {self.time_limit:g}")
        for option, path in (("--checkpoint", self.checkpoint), ("--features", self.features_checkpoint)):
            if path is not None and not path.is_file():
                raise ConfigError(f"Expected {option} to be a file, got {path} with none there")
            if path is not None and path.suffix != _ENDING:
                raise ConfigError(f"Expected {option} to be a {_ENDING} file, got {path}; "
                                  f"run `pasco convert {path} {path.with_suffix(_ENDING)}` first")
        if self.scans is not None:
            find_scans(self.scans)
        if self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"Expected --out to be a folder, got the file {self.out}")


def run_demo(settings: DemoSettings, console: Console) -> dict[str, Any]:
    """Run the graph, read the recording back, and return the summary, which is in summary.json too.

    Raises:
        ConfigError: wrong settings.
        PascoError: a process failed, or the recording is broken.
    """
    settings.check()
    _make_folder(settings.out)
    for old in (*settings.out.glob("scene_*.png"), settings.out / "summary.json"):
        old.unlink(missing_ok=True)
    bag = settings.out / "bag"
    remove_bag(bag)
    environment = graph_environment(1 + os.getpid() % 100, settings.out / "logs")
    _announce(settings, console)
    with ChildGroup(environment, settings.out / "logs") as group:
        sent, in_time = _play(settings, group, environment, console)
    console.say(f"Recorded {bag}; reading it back.")
    recording = read_recording(bag)
    summary = {"settings": _plain(settings), "stopped_early": not in_time,
               **summarise(recording, settings.frames, sent)}
    files = draw_scenes(bag, recording, settings.out)
    summary["files"] = [str(path) for path in (bag, *files, settings.out / "logs")]
    summary["seconds"] = round(console.elapsed, 1)
    text = json.dumps(summary, indent=2, allow_nan=False)
    (settings.out / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary


def _play(settings: DemoSettings, group: ChildGroup, environment: dict[str, str], console: Console) -> tuple[int, bool]:
    """Start everything, play, and end everything in order.

    Returns:
        How many clouds were sent, and whether every cloud asked for was sent and met its outcome before the time limit.
    """
    node = group.start("node", [*settings.node, *_node_arguments(settings)])
    recorder = group.start("recorder", ["-m", "pasco_ros.demo.recorder", "--bag", str(settings.out / "bag")])
    player = group.start("player", ["-m", "pasco_ros.demo.player", *_player_arguments(settings)])
    os.environ.update({name: value for name, value in environment.items() if name.startswith(("ROS", "RMW", "FAST"))})
    with Conductor(group, console) as conductor:
        conductor.bring_up(player, recorder, settings.time_limit - _EVALUATION)
        player.send("go")
        in_time = conductor.follow(player, lambda: console.elapsed > settings.time_limit - _EVALUATION)
        _stop(player)
        if not in_time:
            _say_time_is_up(settings, _sent(player), console)
        conductor.wind_down()
        _stop(node)
        _stop(recorder)
    if recorder.seen("closed") is None:
        raise PascoError(f"Expected the recorder to close its bag, got no word of it; see {recorder.log}")
    return _sent(player), in_time


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Expected --out to be a folder that can be made, got {path}: {error.strerror}") from error


def _say_time_is_up(settings: DemoSettings, sent: int, console: Console) -> None:
    if sent == settings.frames:
        got = f"all {sent} clouds were played, but the node had not worked through them"
    else:
        got = f"{sent} of {settings.frames} clouds were played"
    console.say(f"Time is up: {got} (--time-limit {settings.time_limit:g}, of which {_EVALUATION:g} s are kept for "
                "the evaluation).")


def _stop(child: Child) -> None:
    code = child.stop()
    if code != 0:
        raise PascoError(f"Expected the {child.name} to end with exit code 0, got {code}; see {child.log}")


def _sent(player: Child) -> int:
    """Clouds published, also when the time was over before the last one."""
    finished, published = player.seen("finished"), player.seen("published")
    return int(finished["sent"]) if finished else int(published["done"]) if published else 0


def _node_arguments(settings: DemoSettings) -> list[str]:
    arguments = ["--ros-args", "-r", f"points:={CLOUDS}"]
    for name in ("checkpoint", "features_checkpoint"):
        path = getattr(settings, name)
        if path is not None:
            # ROS reads the value as YAML, where a JSON string is a string whatever it holds.
            arguments += ["-p", f"{name}:={json.dumps(str(path), ensure_ascii=False)}"]
    return arguments


def _player_arguments(settings: DemoSettings) -> list[str]:
    arguments = ["--frames", str(settings.frames), "--rate", str(settings.rate), "--topic", CLOUDS]
    return arguments + (["--scans", str(settings.scans)] if settings.scans else [])


def _announce(settings: DemoSettings, console: Console) -> None:
    source = "the simulated street"
    if settings.scans is not None:
        n = len(find_scans(settings.scans))
        source = f"{n} scan{'s' * (n != 1)} of {settings.scans}" + (", repeated" if n < settings.frames else "")
    console.say(f"Demo: player, node and recorder as separate processes; {settings.frames} "
                f"cloud{'s' * (settings.frames != 1)} of {source} at {settings.rate:g} Hz.")
    if settings.checkpoint is None:
        console.say("The network is the small one that comes with the package, trained on simulated scans alone.")


def _plain(settings: DemoSettings) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in ("scans", "frames", "rate", "checkpoint", "time_limit")}
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    return {**plain, "python": sys.version.split()[0], "cores": os.cpu_count()}
