"""What is kept of one cloud: the same bits on every run, and beside it the seconds, which are not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.atomic_write import write_text_whole
from pasco_core.errors import DataError
from pasco_core.prediction import ScenePrediction
from pasco_core.prediction_file import segment_values
from pasco_core.stream.outcomes import Outcome, Verdict

_FOLDER = "clouds"
_OWN_STAGES = ("metrics", "digest", "keep")
"""Stages of a replay that a node does not have; they do not count as its latency."""


@dataclass(frozen=True)
class CloudRecord:
    """One cloud's outcome.

    Args:
        number: of the cloud on its topic, from 0.
        received: log time in ns.
        stamp: of its header, ns.
        frame_id: of its header.
        points_in: points as declared by the message.
        verdict: what the computation, or the check before it, led to.
        refused: whether it was refused before the computation.
        flush: why older clouds were to be forgotten when it arrived; "" otherwise.
        points_in_range: finite points inside the grid.
        occupied_voxels: voxels predicted as not empty.
        n_segments: segments.
        effort: level of effort, "" when nothing was computed.
        prediction: SHA-256 of the prediction, "" without one.
        notes: of decoder and network.
        scores: how well it went, where the truth is known.
        seconds: per stage.
        first: whether it was the first computation of its process.
    """

    number: int
    received: int
    stamp: int
    frame_id: str
    points_in: int
    verdict: Verdict
    refused: bool = False
    flush: str = ""
    points_in_range: int = 0
    occupied_voxels: int = 0
    n_segments: int = 0
    effort: str = ""
    prediction: str = ""
    notes: tuple[str, ...] = ()
    scores: Mapping[str, float | None] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    first: bool = False

    @property
    def latency(self) -> float:
        """Seconds that a node would have spent on it."""
        return sum(self.node_stages().values())

    def node_stages(self) -> dict[str, float]:
        """Seconds of the stages that a node has too."""
        return {name: value for name, value in self.seconds.items() if name not in _OWN_STAGES}

    def result(self) -> dict[str, Any]:
        """What is the same on every run and any number of processes; plain JSON values."""
        values = asdict(self)
        del values["seconds"], values["first"], values["verdict"]
        verdict = {"outcome": self.verdict.outcome.name, "code": self.verdict.code, "message": self.verdict.message}
        return {"number": self.number, **verdict, **values, "notes": list(self.notes)}

    def write(self, out: Path) -> None:
        """Write it to its place in ``out``."""
        path = record_path(out, self.number)
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {**self.result(), "seconds": dict(self.seconds), "first": self.first}
        write_text_whole(path, json.dumps(values, separators=(",", ":")) + "\n")

    @classmethod
    def read(cls, out: Path, number: int) -> CloudRecord:
        """Read it back.

        Raises:
            DataError: missing or damaged.
        """
        path = record_path(out, number)
        try:
            return cls.of(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"Expected {path} to be a whole record of `pasco replay`, got {error!r}") from error

    @classmethod
    def of(cls, values: dict[str, Any]) -> CloudRecord:
        """From the values of ``result``, with or without the seconds."""
        verdict = Verdict(Outcome[values.pop("outcome")], values.pop("code"), values.pop("message"))
        return cls(**{**values, "notes": tuple(values["notes"])}, verdict=verdict)

    def timed(self, **seconds: float) -> CloudRecord:
        """The same with further stages."""
        return replace(self, seconds={**self.seconds, **seconds})


def record_path(out: Path, number: int) -> Path:
    """``clouds/<number>.json``."""
    return out / _FOLDER / f"{number:06d}.json"


def any_records(out: Path) -> bool:
    """Whether any cloud is done."""
    return any((out / _FOLDER).glob("*.json"))


def prediction_digest(scene: ScenePrediction) -> str:
    """SHA-256 over all that is predicted: grid, classes, segments, voxels, probabilities; not over notes and times."""
    digest = hashlib.sha256()
    head = {
        "origin": list(scene.grid.origin), "voxel_size": scene.grid.voxel_size, "shape": list(scene.grid.shape),
        "classes": list(scene.labels.class_names), "segments": [segment_values(s) for s in scene.segments],
    }
    digest.update(json.dumps(head, sort_keys=True).encode())
    for values, dtype in (
        (scene.semantics, "<u1"), (scene.probability_voxels, "<i8"), (scene.probabilities, "<f4"),
        *((_sparse(values, scene.probability_voxels), dtype) for values, dtype in (
            (scene.panoptic, "<i4"), (scene.voxel_uncertainty, "<f4"), (scene.mask_confidence, "<f4"),
        )),
    ):
        digest.update(np.ascontiguousarray(values, dtype).data)
    return digest.hexdigest()


def _sparse(values: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """A dense array's values at some voxels where it is 0 at all others, else all of it: a twelfth of the bytes."""
    flat = values.ravel()
    others = flat != 0
    others[voxels] = False
    return flat if others.any() else flat[voxels]


def digest_of(records: list[CloudRecord]) -> str:
    """SHA-256 over the predictions of many clouds: number, stamp, outcome and digest of each, in order."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda r: r.number):
        line = f"{record.number} {record.stamp} {record.verdict.outcome.name} {record.prediction}\n"
        digest.update(line.encode())
    return digest.hexdigest()
