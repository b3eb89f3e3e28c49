"""What an evaluation is: dataset, source, frames and conditions; and the file that remembers it beside the results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pasco_core import __version__
from pasco_core.atomic_write import write_text_whole
from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.frame import Frame
from pasco_core.errors import ConfigError, DataError
from pasco_core.evaluation.condition import CLEAN, Condition
from pasco_core.evaluation.identity import contradictions
from pasco_core.evaluation.sources import Source

FORMAT_VERSION = 1
RUN_FILE = "run.json"
RECORD_FOLDERS = ("frames", "corrupted")
"""In which records lie: those of clean and those of corrupted scans."""


def open_dataset_at(root: str, truth_root: str | None) -> Dataset:
    """``open_dataset``, imported when it is needed."""
    from pasco_core.data.datasets import open_dataset

    return open_dataset(root, truth_root)


@dataclass(frozen=True)
class WorkItem:
    """One frame under one condition: what is evaluated at a time."""

    condition: Condition
    frame: Frame

    def __str__(self) -> str:
        return f"{self.frame}" if self.condition == CLEAN else f"{self.frame} ({self.condition})"


@dataclass(frozen=True)
class EvaluationPlan:
    """Everything a process needs to do its part; can be sent to other processes.

    Args:
        root: of the dataset.
        truth_root: where labels are looked up, if elsewhere.
        source: of the predictions.
        frames: which frames, in the order of the summary.
        conditions: under which each frame is evaluated.
        opener: makes the dataset of ``root`` and ``truth_root``.
    """

    root: str
    truth_root: str | None
    source: Source
    frames: tuple[Frame, ...]
    conditions: tuple[Condition, ...] = (CLEAN,)
    opener: Callable[[str, str | None], Dataset] = open_dataset_at

    def dataset(self) -> Dataset:
        """The dataset, opened."""
        return self.opener(self.root, self.truth_root)

    def items(self) -> list[WorkItem]:
        """Every frame under every condition, condition by condition."""
        return [WorkItem(condition, frame) for condition in self.conditions for frame in self.frames]


@dataclass(frozen=True)
class RunFile:
    """What ``run.json`` says of the results beside it.

    Args:
        settings: what decides the numbers; results of equal settings may be put together.
        places: where dataset and weights were on the machine.
        frames: that were asked for.
        conditions: that were asked for.
        identity: of dataset and predictions, as ``identity_of`` tells it.
    """

    settings: dict[str, Any]
    places: dict[str, str]
    frames: tuple[Frame, ...]
    conditions: tuple[Condition, ...]
    identity: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: EvaluationPlan, label_set: str) -> RunFile:
        """Of a plan, with the name of the dataset's label set."""
        settings = {"format": FORMAT_VERSION, "pasco": __version__, "label_set": label_set, **plan.source.settings()}
        places = {"dataset": str(Path(plan.root).resolve())}
        if plan.truth_root is not None:
            places["truth"] = str(Path(plan.truth_root).resolve())
        places |= {name: str(Path(path).resolve()) for name, path in plan.source.places().items()}
        return cls(settings, places, plan.frames, plan.conditions)

    @property
    def digest(self) -> str:
        """Short name of the settings, written into every record."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]

    def write(self, out: Path) -> None:
        """Write ``run.json`` into ``out``."""
        values = {
            "settings": self.settings,
            "places": self.places,
            "identity": self.identity,
            "conditions": [str(condition) for condition in self.conditions],
            "frames": [str(frame) for frame in self.frames],
        }
        write_text_whole(out / RUN_FILE, json.dumps(values, indent=1) + "\n")

    @classmethod
    def read(cls, out: Path) -> RunFile:
        """Read it back.

        Raises:
            DataError: not there, or not such a file.
        """
        path = out / RUN_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                dict(values["settings"]), dict(values["places"]),
                tuple(Frame.parse(text) for text in values["frames"]),
                tuple(Condition.parse(text) for text in values["conditions"]),
                dict(values.get("identity", {})),
            )
        except FileNotFoundError as error:
            raise DataError(f"Expected {out} to be a folder of `pasco eval`, got no {RUN_FILE} in it") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"Expected {path} to be a file of `pasco eval`, got {error!r}") from error


def claim_folder(out: Path, run: RunFile) -> None:
    """Makes ``out`` the folder of ``run``, keeping the results that are in it.

    Raises:
        ConfigError: it holds results of other settings or another dataset; the differences are named.
    """
    out.mkdir(parents=True, exist_ok=True)
    if (out / RUN_FILE).exists() and has_records(out):
        there = RunFile.read(out)
        changed = differences(there.settings, run.settings) + differences(there.places, run.places)
        # Predictions may be replaced: each record knows which one it was made from.
        changed += contradictions(there.identity, run.identity, ignore="prediction")
        if changed:
            raise ConfigError(
                f"Expected {out} to hold results of the same settings, got others: {'; '.join(changed)} "
                "(name another folder, or remove this one)"
            )
    run.write(out)


def has_records(out: Path) -> bool:
    """Whether any frame was finished there."""
    return any(not path.name.startswith(".") for name in RECORD_FOLDERS for path in (out / name).rglob("*.json"))


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What two settings do not share, in words.

    >>> differences({"seed": 1, "votes": 0}, {"seed": 2, "votes": 0})
    ['seed is 1 there, 2 here']
    """
    names = dict.fromkeys([*there, *here])
    return [
        f"{name} is {_shown(there, name)} there, {_shown(here, name)} here"
        for name in names
        if there.get(name) != here.get(name)
    ]


def _shown(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "not set"


def choose_frames(frames: Sequence[Frame], every: int = 1, limit: int | None = None) -> tuple[Frame, ...]:
    """Every ``every``-th frame of each sequence, then the first ``limit`` of them.

    Raises:
        ConfigError: a number that is not positive.
    """
    for name, value in (("every", every), ("limit", limit)):
        if value is not None and value < 1:
            raise ConfigError(f"Expected {name} to be at least 1, got {value}")
    by_sequence: dict[str, list[Frame]] = {}
    for frame in sorted(frames):
        by_sequence.setdefault(frame.sequence, []).append(frame)
    return tuple(frame for group in by_sequence.values() for frame in group[::every])[:limit]
