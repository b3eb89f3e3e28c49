"""What a replay is: bag, clouds, network, truth; and the file that remembers it beside the results."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pasco_core import __version__, shipped
from pasco_core.atomic_write import write_text_whole
from pasco_core.checkpoints.checkpoint_file import file_sha256
from pasco_core.data.frame import Frame
from pasco_core.errors import CheckpointError, ConfigError, DataError
from pasco_core.evaluation.plan import differences
from pasco_core.replay.identity import bag_digest, contradictions, truth_digest
from pasco_core.replay.outputs import any_kept
from pasco_core.replay.record import any_records
from pasco_core.replay.sensor_topics import SensorTopics
from pasco_core.replay.settings import ReplaySettings
from pasco_core.stream.model import ModelLoader, load_model

FORMAT_VERSION = 2
RUN_FILE = "run.json"


@dataclass(frozen=True)
class TruthPlace:
    """Where labels are that the bag does not hold.

    Args:
        root: dataset in SemanticKITTI's or SSCBench-KITTI-360's layout.
        sequence: its folder's name; "": the bag's own, or the only one.
        by: "index" (the n-th cloud is frame n, or the number the bag notes) or "stamp" (times.txt).
    """

    root: str
    sequence: str = ""
    by: str = "index"


@dataclass(frozen=True)
class Realtime:
    """A virtual node that takes its time.

    Args:
        latency: seconds from the start of a computation to its result; None: as measured for each cloud.
    """

    latency: float | None = None

    def __post_init__(self) -> None:
        if self.latency is not None and not 0 <= self.latency <= 3600:
            raise ConfigError(f"Expected --latency to be 0 to 3600 s, got {self.latency:g}")


@dataclass(frozen=True)
class ReplayPlan:
    """Everything a process needs to do its part; can be sent to other processes.

    Args:
        bag: the recording.
        topic: of the clouds.
        count: clouds that can be read.
        every: only every n-th cloud.
        settings: of the node.
        truth: labels beside the bag, or None.
        realtime: what the node would have dropped is worked out too.
        remarks: what is to be told about the settings.
        sensors: what of the bag belongs to the clouds; ``find_sensors`` tells.
        loader: makes the model of the settings.
    """

    bag: Path
    topic: str
    count: int
    every: int = 1
    settings: ReplaySettings = field(default_factory=ReplaySettings)
    truth: TruthPlace | None = None
    realtime: Realtime | None = None
    remarks: tuple[str, ...] = ()
    sensors: SensorTopics = field(default_factory=SensorTopics)
    loader: ModelLoader = load_model

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"Expected --every to be at least 1, got {self.every}")
        if self.realtime is not None and self.every > 1:
            why = "with fewer clouds, fewer would be dropped than on the vehicle"
            raise ConfigError(f"Expected --realtime to come without --every, got --every {self.every}: {why}")

    def numbers(self) -> range:
        """Numbers of the clouds that are computed, counted from 0."""
        return range(0, self.count, self.every)

    def frame(self, number: int) -> Frame:
        """How a cloud is called in the evaluation: by the bag's name and its number."""
        return Frame(self._name, number)

    @property
    def _name(self) -> str:
        return self.bag.stem or "bag"

    def recipe(self) -> dict[str, Any]:
        """What decides the results; a run that goes on must have it in common with the one before. No paths in it."""
        values = self.settings.own_values()
        del values["checkpoint"], values["features_checkpoint"]
        weights = {"checkpoint_sha256": _sha256(self.settings.checkpoint or str(shipped.CHECKPOINT))}
        if self.settings.features_checkpoint:
            weights["features_sha256"] = _sha256(self.settings.features_checkpoint)
        return {
            "format": FORMAT_VERSION, "pasco": __version__, "topic": self.topic, "clouds": self.count,
            "every": self.every, **weights, **values, "odometry": self.sensors.odometry,
            "cameras": {camera.image: camera.info for camera in self.sensors.cameras} or None,
            "truth": {"sequence": self.truth.sequence, "by": self.truth.by} if self.truth else None,
            "realtime": asdict(self.realtime) if self.realtime else None,
        }

    def identity(self) -> dict[str, str]:
        """Which bag and truth these are, wherever they lie.

        Raises:
            DataError: the bag cannot be read.
        """
        identity = {"bag_name": self._name, "bag": bag_digest(self.bag)}
        return identity | ({"truth": truth_digest(self.truth.root, self.truth.sequence)} if self.truth else {})

    def places(self) -> dict[str, str]:
        """Where bag and truth are on this machine."""
        return {"bag": os.path.abspath(self.bag)} | ({"truth": os.path.abspath(self.truth.root)} if self.truth else {})


def claim(out: Path, plan: ReplayPlan) -> bool:
    """Makes ``out`` the folder of this replay; returns whether one was begun there before, and has a cloud done.

    Raises:
        ConfigError: it holds something else, or a replay of another recipe or bag; the differences are named.
    """
    path, here = out / RUN_FILE, json.loads(json.dumps(_run_values(plan)))
    begun = path.is_file()
    if begun and (any_records(out) or any_kept(out)):
        there = read_run(out)
        changed = contradictions(there["identity"], here["identity"]) if "identity" in there else []
        changed = differences(_settings(there), _settings(here)) + changed
        if changed:
            raise ConfigError(f"Expected {out} to hold results of the same replay, got others: {'; '.join(changed)} "
                              "(name another folder, or remove this one)")
        return True
    if not begun and out.exists() and any(out.iterdir()):
        got = sorted(p.name for p in out.iterdir())[0]
        raise ConfigError(f"Expected --out to be a new folder, or one begun by this command, got {out} with {got}")
    out.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, json.dumps(here, indent=1) + "\n")
    return False


def _run_values(plan: ReplayPlan) -> dict[str, Any]:
    return {**plan.recipe(), "identity": plan.identity(), "places": plan.places()}


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name not in ("identity", "places")}


def read_run(out: Path) -> Mapping[str, Any]:
    """What ``claim`` wrote.

    Raises:
        DataError: nothing there, or no such file.
    """
    path = out / RUN_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or "topic" not in values:
            raise ValueError("another file")
        return values
    except FileNotFoundError as error:
        raise DataError(f"Expected {out} to be a folder of `pasco replay`, got no {RUN_FILE} in it") from error
    except (OSError, ValueError) as error:
        raise DataError(f"Expected {path} to be a file of `pasco replay`, got {error}") from error


def _sha256(path: str) -> str:
    try:
        file = Path(path).expanduser()
        return _sha256_of(file, file.stat().st_mtime_ns)
    except OSError as error:
        raise CheckpointError(f"Expected checkpoint {path} to be readable, got {error.strerror or error}") from error


@lru_cache(maxsize=8)
def _sha256_of(path: Path, changed: int) -> str:
    """Of a file that was last changed at that time."""
    return file_sha256(path)
