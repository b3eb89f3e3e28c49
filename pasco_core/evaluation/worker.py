"""One process's part of an evaluation: opens dataset and source once, then one frame at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.benchmark.machine import forget_peak_memory, peak_memory
from pasco_core.data.frame import VoxelTruth
from pasco_core.errors import DataError, InferenceError
from pasco_core.evaluation.condition import CLEAN
from pasco_core.evaluation.frame_record import FrameRecord, frame_scores
from pasco_core.evaluation.plan import EvaluationPlan, WorkItem
from pasco_core.evaluation.sources import saved_prediction_path
from pasco_core.prediction import ScenePrediction
from pasco_core.timing import StageTimer


@dataclass(frozen=True)
class WorkerSettings:
    """What every process of an evaluation is told.

    Args:
        plan: what to do.
        out: where records go.
        digest: of the settings, for the records.
        threads: of torch, per process.
        save: folder for the predictions of the last method, or None.
        clock: seconds.
    """

    plan: EvaluationPlan
    out: Path
    digest: str
    threads: int = 1
    save: Path | None = None
    clock: Callable[[], float] = time.perf_counter


class FrameWorker:
    """Evaluates frames on one device.

    Raises:
        PascoError: the dataset or the source cannot be opened.
    """

    def __init__(self, settings: WorkerSettings, device: str):
        self._settings, self._device = settings, device
        self._dataset = settings.plan.dataset()
        self._source = settings.plan.source.open(self._dataset, device)
        self._first = True

    def __call__(self, item: WorkItem) -> FrameRecord:
        """The record of one frame.

        Raises:
            PascoError: its files are missing or damaged, or nothing usable was predicted; the message names the frame.
        """
        from pasco_core.metrics import SceneMetrics

        timer = StageTimer(self._settings.clock)
        forget_peak_memory(self._device)
        digest = self._settings.plan.source.prediction_digest(item.frame)
        scenes = self.predict(item, timer)
        peak = peak_memory(self._device)
        with timer("read truth"):
            truth = self._dataset.truth(item.frame)
        metrics, scores = {}, {}
        with timer("metrics"):
            for method, scene in zip(self._source.methods, scenes, strict=True):
                self._check(scene, truth, item)
                one = SceneMetrics(self._dataset.labels)
                one.update(scene, truth)
                metrics[method] = one.to_dict()
                scores[method] = frame_scores(scene, truth)
        first, self._first = self._first, False
        seconds = {**scenes[-1].timings, **timer.seconds}
        notes = tuple(dict.fromkeys(note for scene in scenes for note in scene.notes))
        return FrameRecord(
            item, self._settings.digest, metrics, scores, seconds, peak, first, device_name(self._device), notes, digest
        )

    def predict(self, item: WorkItem, timer: StageTimer) -> list[ScenePrediction]:
        """The scenes of one frame, saved if asked for."""
        points = np.zeros((0, 4), np.float32)
        if self._source.needs_points:
            with timer("read scan"):
                points = self._dataset.points(item.frame)
            if item.condition != CLEAN:
                with timer("corrupt"):
                    points = item.condition.apply(points, item.frame, self._settings.plan.source.seed)
        try:
            scenes = self._source(item.frame, points)
        except InferenceError as error:
            raise InferenceError(f"{item}: {error}") from error
        if self._settings.save is not None:
            _save(self._settings.save, item, scenes[-1])
        return scenes

    def _check(self, scene: ScenePrediction, truth: VoxelTruth, item: WorkItem) -> None:
        if scene.grid != self._dataset.grid or scene.semantics.shape != truth.semantics.shape:
            raise DataError(
                f"Expected the prediction of {item} to be on the truth's grid {self._dataset.grid}, got {scene.grid}"
            )


def _save(folder: Path, item: WorkItem, scene: ScenePrediction) -> None:
    from pasco_core.prediction_file import save_prediction

    path = place_to_save(folder, item)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_prediction(path, scene)


def place_to_save(folder: Path, item: WorkItem) -> Path:
    """Where the prediction of an item is kept: those of clean scans as ``--predictions`` wants them."""
    place = folder if item.condition == CLEAN else folder / "corrupted" / str(item.condition)
    return saved_prediction_path(place, item.frame)


def device_name(device: str) -> str:
    """The GPU's name, or "cpu"."""
    if device == "cpu":
        return device
    import torch

    return torch.cuda.get_device_name(device)


_PROCESS: dict[str, Any] = {}
"""What ``start`` left for ``work`` in this process."""


def start(settings: WorkerSettings, devices: Sequence[str], turn: Any) -> None:
    """First thing in a process; must not raise, because a pool would only say that it broke.

    Args:
        settings: what to do.
        devices: names; the processes take them in turn.
        turn: number shared by the processes (``multiprocessing.Value``): how many have started.
    """
    import torch

    torch.set_num_threads(settings.threads)
    _PROCESS.clear()
    with turn.get_lock():
        index, turn.value = turn.value, turn.value + 1
    _PROCESS.update(settings=settings, device=devices[index % len(devices)])


def work(item: WorkItem) -> Path:
    """Evaluates one frame, writes its record and returns the record's path."""
    if "worker" not in _PROCESS:
        _PROCESS["worker"] = FrameWorker(_PROCESS["settings"], _PROCESS["device"])
    record = _PROCESS["worker"](item)
    return record.write(_PROCESS["settings"].out)


def finish() -> None:
    """Forgets what this process holds: networks and datasets are large."""
    _PROCESS.clear()
