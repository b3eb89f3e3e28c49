"""The result of one frame under one condition: one JSON file, written whole or not at all."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.atomic_write import write_text_whole
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.errors import DataError
from pasco_core.evaluation.condition import CLEAN, Condition
from pasco_core.evaluation.plan import FORMAT_VERSION, RECORD_FOLDERS, WorkItem
from pasco_core.prediction import ScenePrediction


@dataclass(frozen=True)
class FrameRecord:
    """What is kept of one frame.

    Args:
        item: frame and condition.
        settings: digest of the settings it was made with.
        metrics: method → ``SceneMetrics.to_dict()`` of this frame alone.
        scores: method → numbers by which frames are ranked.
        seconds: per stage; "network" of a first frame includes what is done once.
        peak_bytes: most memory held meanwhile, by the process on the CPU or allocated on the GPU; None if unknown.
        first: whether it was the first frame of its process, whose times are left out of means.
        device: where it was computed.
        notes: of the predictions.
        prediction: digest of the file the prediction was read from; "" for predictions made here.
    """

    item: WorkItem
    settings: str
    metrics: dict[str, dict[str, Any]]
    scores: dict[str, dict[str, float | None]]
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int | None = None
    first: bool = False
    device: str = "cpu"
    notes: tuple[str, ...] = ()
    prediction: str = ""

    def write(self, out: Path) -> Path:
        """Write it to its place in ``out`` and return the path."""
        path = record_path(out, self.item)
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {
            "format": FORMAT_VERSION, "settings": self.settings, "frame": str(self.item.frame),
            "condition": str(self.item.condition), "prediction": self.prediction,
            "device": self.device, "first": self.first, "seconds": self.seconds, "peak_bytes": self.peak_bytes,
            "notes": list(self.notes), "scores": self.scores, "metrics": self.metrics,
        }
        write_text_whole(path, json.dumps(values, separators=(",", ":")) + "\n")
        return path

    @classmethod
    def read(cls, path: Path) -> FrameRecord:
        """Read a file of ``write``.

        Raises:
            DataError: missing, damaged, or of a newer format.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["format"] > FORMAT_VERSION:
                raise ValueError(f"format {values['format']}, newer than {FORMAT_VERSION}")
            return cls(
                WorkItem(Condition.parse(values["condition"]), Frame.parse(values["frame"])), values["settings"],
                values["metrics"], values["scores"], values["seconds"], values["peak_bytes"], values["first"],
                values["device"], tuple(values["notes"]), values.get("prediction", ""),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"no {error} in it" if isinstance(error, KeyError) else str(error)
            raise DataError(f"Expected {path} to be a whole record of `pasco eval`, got {reason}") from error


def record_path(out: Path, item: WorkItem) -> Path:
    """``frames/<sequence>/<index>.json``, or ``corrupted/<corruption>/<level>/<sequence>/<index>.json``."""
    clean, corrupted = RECORD_FOLDERS
    folder = out / clean if item.condition == CLEAN else out / corrupted / str(item.condition)
    return folder / item.frame.sequence / f"{item.frame.index:06d}.json"


def frame_scores(scene: ScenePrediction, truth: VoxelTruth) -> dict[str, float | None]:
    """How well one frame went: ``iou`` of occupied against empty, and ``miou`` over the classes that occur in it.

    A class that is absent from truth and prediction does not count, so that a frame with few classes is not called bad.
    None where nothing is known or nothing occurs.
    """
    known = truth.semantics != UNKNOWN
    n = scene.labels.n_classes
    key = truth.semantics[known].astype(np.int64) * n + scene.semantics[known]
    confusion = np.bincount(key, minlength=n * n).reshape(n, n)
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    occurs = union[1:] > 0
    either = int(confusion.sum() - confusion[0, 0])
    both = int(confusion[1:, 1:].sum())
    if not either:
        return {"iou": None, "miou": None}
    ious = confusion.diagonal()[1:][occurs] / union[1:][occurs]
    return {"iou": both / either, "miou": math.fsum(ious.tolist()) / len(ious)}
