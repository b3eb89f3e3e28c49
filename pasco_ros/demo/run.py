"""The demo from start to end: three processes, the node's lifecycle, and what they leave behind."""

from __future__ import annotations

import json
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


@dataclass(frozen=True)
class DemoSettings:
    """What the demo does.

    Args:
        node: command that starts the node, without its ROS arguments.
        out: folder for the results.
        scans: KITTI folder, or None for the built-in street.
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
        if not self.time_limit > _EVALUATION:
            raise ConfigError(f"Expected --time-limit to be above {_EVALUATION:g} s, got {self.time_limit:g}")
        for option, path in (("--checkpoint", self.checkpoint), ("--features", self.features_checkpoint)):
            if path is not None and not path.is_file():
                raise ConfigError(f"Expected {option} to be a file, got {path} with none there")
        if self.scans is not None:
            find_scans(self.scans)


def run_demo(settings: DemoSettings, console: Console) -> dict[str, Any]:
    """Run the graph, read the recording back, and return the summary, which is in summary.json too.

    Raises:
        ConfigError: wrong settings.
        PascoError: a process failed, or the recording is broken.
    """
    settings.check()
    settings.out.mkdir(parents=True, exist_ok=True)
    for old in (*settings.out.glob("scene_*.png"), settings.out / "summary.json"):
        old.unlink(missing_ok=True)
    bag = settings.out / "bag"
    remove_bag(bag)
    environment = graph_environment(1 + os.getpid() % 100)
    _announce(settings, console)
    with ChildGroup(environment, settings.out / "logs") as group:
        sent = _play(settings, group, environment, console)
    console.say(f"Recorded {bag}; reading it back.")
    recording = read_recording(bag)
    summary = {"settings": _plain(settings), **summarise(recording, sent)}
    files = draw_scenes(bag, recording, settings.out)
    summary["files"] = [str(path) for path in (bag, *files, settings.out / "logs")]
    summary["seconds"] = round(console.elapsed, 1)
    text = json.dumps(summary, indent=2, allow_nan=False)
    (settings.out / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary


def _play(settings: DemoSettings, group: ChildGroup, environment: dict[str, str], console: Console) -> int:
    """Start everything, play, and end everything in order; returns how many clouds were sent."""
    node = group.start("node", [*settings.node, *_node_arguments(settings)])
    recorder = group.start("recorder", ["-m", "pasco_ros.demo.recorder", "--bag", str(settings.out / "bag")])
    player = group.start("player", ["-m", "pasco_ros.demo.player", *_player_arguments(settings)])
    os.environ.update({name: value for name, value in environment.items() if name.startswith(("ROS", "RMW", "FAST"))})
    with Conductor(group, console) as conductor:
        conductor.bring_up(player, recorder, settings.time_limit - _EVALUATION)
        player.send("go")
        conductor.follow(player, lambda: console.elapsed > settings.time_limit - _EVALUATION)
        _stop(player)
        conductor.wind_down()
        _stop(node)
        _stop(recorder)
    if recorder.seen("closed") is None:
        raise PascoError(f"Expected the recorder to close its bag, got no word of it; see {recorder.log}")
    return _sent(player)


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
            arguments += ["-p", f"{name}:={path}"]
    return arguments


def _player_arguments(settings: DemoSettings) -> list[str]:
    arguments = ["--frames", str(settings.frames), "--rate", str(settings.rate), "--topic", CLOUDS]
    return arguments + (["--scans", str(settings.scans)] if settings.scans else [])


def _announce(settings: DemoSettings, console: Console) -> None:
    source = "the built-in street"
    if settings.scans is not None:
        n = len(find_scans(settings.scans))
        source = f"{n} scans of {settings.scans}" + (", repeated" if n < settings.frames else "")
    console.say(f"Demo: player, node and recorder as separate processes; {settings.frames} clouds of {source} at "
                f"{settings.rate:g} Hz.")
    if settings.checkpoint is None:
        console.say("The weights are random and were never trained: classes and segments mean nothing.")


def _plain(settings: DemoSettings) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in ("scans", "frames", "rate", "checkpoint", "time_limit")}
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    return {**plain, "python": sys.version.split()[0], "cores": os.cpu_count()}
