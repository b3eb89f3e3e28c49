"""How fast items are made: every scan is read once, and the command that tells the seconds."""

from __future__ import annotations

import json

from toy_scenes import ToyScenes, tiny_experiment

from pasco_core.cli import main
from training.items import TrainingItems
from training.loader_speed import measure_loader


class Counting(ToyScenes):
    """Remembers what was read."""

    def __init__(self, n_frames: int):
        super().__init__(n_frames)
        self.read: list[str] = []

    def points(self, frame):
        self.read.append(f"points of {frame}")
        return super().points(frame)

    def truth(self, frame):
        self.read.append(f"truth of {frame}")
        return ToyScenes.truth(self, frame)


def test_a_scan_that_all_subnets_see_is_read_once():
    scenes = Counting(3)
    experiment = tiny_experiment(network={"n_subnets": 3, "mirrored_views": False})
    batch = TrainingItems(scenes, scenes.frames("train"), experiment)[(0, 1)]
    assert batch.frames == ("00/000001",) * 3
    # The toy's points are made from its truth, which is not reading.
    assert scenes.read.count("points of 00/000001") == 1
    assert len([line for line in scenes.read if line.startswith("points")]) == 1


def test_seconds_are_those_of_the_clock_over_the_items_after_the_warm_up():
    scenes = ToyScenes(6)
    ticks = iter(range(1000))
    items = TrainingItems(scenes, scenes.frames("train"), tiny_experiment(augmentation={"same_scan": 1.0}))
    speed = measure_loader(items, lambda: float(next(ticks)), n_items=4)
    assert (speed.items, speed.views, speed.scans) == (4, 2, 4)
    assert (speed.median, speed.slow) == (1.0, 1.0)
    assert next(ticks) == 8


def test_the_command_tells_them(capsys, monkeypatch):
    monkeypatch.setattr("training.data_module._open", lambda experiment: ToyScenes(3))
    assert main(["train", "small", "--time-loader", "--json"]) == 0
    speed = json.loads(capsys.readouterr().out)
    assert speed["items"] == 3 and speed["views"] == 2 and speed["slow"] >= speed["median"] > 0
    assert main(["train", "small", "--time-loader"]) == 0
    assert "3 items of small, 2 view(s) each, on one core" in capsys.readouterr().out


def test_without_data_the_command_says_what_is_missing(capsys):
    assert main(["train", "small", "--time-loader"]) == 2
    assert "give --data ROOT" in capsys.readouterr().err
