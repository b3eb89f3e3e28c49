"""What a replay adds to bare inference, and how fast clouds are read from a bag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from pasco_core.data.bags import find_cloud_topic, open_bag
from pasco_core.data.bags.message_classes import message_classes
from pasco_core.data.bags.writer import BagFormat, BagTopic, BagWriter
from pasco_core.data.cloud_message import decode_cloud
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.messages.scene_messages import cloud_message
from pasco_core.replay import ReplayPlan, begin, replay
from pasco_core.replay.settings import ReplaySettings
from pasco_core.stream.model import load_model

_TOPIC = "/points"
_START, _PERIOD = 10**18, 10**8
_N_READ = 20  # clouds for the reading speed, at least


@dataclass(frozen=True)
class ReplayTimes:
    """Seconds per cloud, medians.

    Args:
        inference: the network alone, called with points in memory.
        replay: everything: read, decode, compute, digest, messages, records, output bag.
        reading: a cloud read from an MCAP file and decoded.
        n_points: per cloud.
    """

    inference: float
    replay: float
    reading: float
    n_points: int

    @property
    def overhead(self) -> float:
        """What a replay takes more than inference, as a share of that."""
        return self.replay / self.inference - 1

    @property
    def clouds_per_second(self) -> float:
        """Reading speed."""
        return 1 / self.reading


def measure_replay(
    points: np.ndarray, clock: Callable[[], float], device: str = "cpu", repeats: int = 3
) -> ReplayTimes:
    """Times of the shipped network on a bag of equal clouds.

    Each cloud of the replay is followed by a bare inference of the same points, so that both meet the same machine.

    Args:
        points: (N, 4) float32.
        clock: seconds; of the process's own time, a busy machine disturbs least.
        device: where the network runs.
        repeats: clouds the medians are taken of.
    """
    settings = ReplaySettings(device=device)
    with TemporaryDirectory(prefix="pasco_bench_") as folder:
        bag = _write(Path(folder) / "bag", points, max(_N_READ, repeats + 1))
        plan = ReplayPlan(bag, _TOPIC, repeats + 1, settings=settings)
        model = load_model(settings)
        run = begin(plan, Path(folder) / "out")
        inference, whole = [], []
        clouds = replay(run, clock=clock)
        for _ in range(repeats + 1):  # the first is for warming up
            started = clock()
            next(clouds)
            whole.append(clock() - started)
            started = clock()
            model.predict(points)
            inference.append(clock() - started)
        started = clock()
        for _ in clouds:  # what is left, the output bag, is shared by all
            pass
        rest = (clock() - started) / (repeats + 1)
        return ReplayTimes(
            median(inference[1:]), median(whole[1:]) + rest, _reading_seconds(bag, clock), len(points)
        )


def _write(path: Path, points: np.ndarray, count: int) -> Path:
    types = message_classes(MESSAGE_TYPES)
    with BagWriter(path, [BagTopic(_TOPIC, MESSAGE_TYPES["PointCloud2"])], BagFormat(compressed=True)) as writer:
        for number in range(count):
            time = _START + number * _PERIOD
            stamp = types.Time(sec=time // 10**9, nanosec=time % 10**9)
            writer.write(_TOPIC, time, cloud_message(types, points, types.Header(stamp=stamp, frame_id="lidar")))
    return path


def _reading_seconds(bag: Path, clock: Callable[[], float]) -> float:
    started, count = clock(), 0
    with open_bag(bag) as reader:
        topic = find_cloud_topic(reader)
        for _, _, message in reader.messages([topic.name]):
            decode_cloud(message, topic.name)
            count += 1
    return (clock() - started) / count
