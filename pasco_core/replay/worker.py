"""One process's part of a replay: the model once, then one cloud at a time: scene, messages, digest, scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.data.cloud_message import EMPTY
from pasco_core.data.frame import VoxelTruth
from pasco_core.errors import ConfigError
from pasco_core.evaluation.condition import CLEAN
from pasco_core.evaluation.frame_record import FrameRecord, frame_scores
from pasco_core.evaluation.plan import RunFile, WorkItem
from pasco_core.geometry.camera_model import CameraModel
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.messages.outputs import OutputBuilder, enabled_outputs
from pasco_core.messages.projection import occupied_mask
from pasco_core.prediction import ScenePrediction
from pasco_core.replay.clouds import CloudItem
from pasco_core.replay.outputs import keep
from pasco_core.replay.plan import ReplayPlan, TruthPlace
from pasco_core.replay.record import CloudRecord, prediction_digest
from pasco_core.stream.model import FULL_EFFORT, Model, check_scene
from pasco_core.stream.outcomes import Outcome, Verdict
from pasco_core.timing import StageTimer

EVALUATION = "evaluation"
"""Folder of the records that ``pasco eval`` would have made."""


@dataclass(frozen=True)
class WorkerTask:
    """What every process of a replay is told.

    Args:
        plan: what to do.
        out: where results go.
        clock: seconds.
    """

    plan: ReplayPlan
    out: Path
    clock: Callable[[], float] = time.perf_counter


class CloudWorker:
    """Computes clouds with one model.

    Raises:
        PascoError: the model cannot be loaded, or the dataset with the truth has other classes.
    """

    def __init__(self, task: WorkerTask) -> None:
        from pasco_core.data.bags.message_classes import message_classes

        self._task = task
        self._model: Model = task.plan.loader(task.plan.settings)
        _check_truth(task.plan.truth, self._model)
        self._types = message_classes(MESSAGE_TYPES)
        wanted = {output.name for output in enabled_outputs(task.plan.settings)}
        self._builder = OutputBuilder(self._types, self._model.checkpoint, wanted.__contains__)
        self._digest = evaluation_run(task.plan, self._model.labels.name).digest
        self._models: dict[tuple[Any, ...], CameraModel] = {}
        self._first = True

    def __call__(self, item: CloudItem) -> CloudRecord:
        """The record of one cloud; its messages are kept beside it.

        Raises:
            OSError: the folder is not writable or full.
        """
        timer = StageTimer(self._task.clock)
        record = CloudRecord(
            item.number, item.received, item.stamp[0] * 10**9 + item.stamp[1], item.frame_id, item.points_in,
            item.verdict or Verdict(Outcome.PUBLISHED), item.verdict is not None, item.flush, notes=item.notes,
            seconds=item.seconds,
        )
        if item.points is not None:
            record = self._computed(item, item.points, record, timer)
            self._first = False
        record = record.timed(**timer.seconds)
        record.write(self._task.out)
        return record

    def _computed(
        self, item: CloudItem, points: np.ndarray, record: CloudRecord, timer: StageTimer
    ) -> CloudRecord:
        record = replace(record, first=self._first, effort=FULL_EFFORT)
        try:
            with timer("predict"):
                scene = self._model.predict_at(points, FULL_EFFORT)
            if not scene.nothing_known:
                check_scene(scene)
        except Exception as error:  # the node's rule: one cloud that cannot be computed does not end the stream
            reason = f"{type(error).__name__}: {error}"
            return replace(record, verdict=Verdict(Outcome.INFERENCE_FAILED, "INFERENCE_FAILED", reason))
        if scene.nothing_known:
            return self._nothing_known(item, len(points), record, timer)
        with timer("messages"):
            header = self._header(item)
            images = [replace(image, camera=self._known(image.camera)) for image in item.images]
            messages = self._builder.scene(scene, header, self._task.plan.settings, item.grid_pose, images)
        with timer("keep"):
            keep(self._task.out, item.number, messages)
        with timer("digest"):
            digest = prediction_digest(scene)
        scores, notes = self._scored(item, scene, timer)
        record = _with_stages(record, scene.timings, timer)
        return replace(
            record, points_in_range=int(np.count_nonzero(scene.grid.contains(points[:, :3]))),
            occupied_voxels=int(np.count_nonzero(occupied_mask(scene))), n_segments=len(scene.segments),
            prediction=digest, notes=(*record.notes, *scene.notes, *notes), scores=scores,
        )

    def _nothing_known(self, item: CloudItem, count: int, record: CloudRecord, timer: StageTimer) -> CloudRecord:
        topic, settings = self._task.plan.topic, self._task.plan.settings
        rule = f"Expected {topic} to have at least one point in the grid, got none of {count}"
        if settings.empty_cloud == "skip":
            return replace(record, verdict=Verdict(Outcome.EMPTY, EMPTY, rule))
        with timer("messages"):
            messages = self._builder.unknown(self._model, self._header(item), settings, item.grid_pose)
        with timer("keep"):
            keep(self._task.out, item.number, messages)
        verdict = Verdict(Outcome.EMPTY, "EMPTY_UNKNOWN", f"{rule}: an all-unknown grid is published")
        return replace(record, verdict=verdict)

    def _known(self, camera: CameraModel) -> CameraModel:
        """The same camera as this process has met it first: its table of rays is made once."""
        rows = (camera.matrix, camera.turn, camera.shift)
        key = (camera.width, camera.height, camera.model, camera.distortion,
               *(None if row is None else row.tobytes() for row in rows))
        return self._models.setdefault(key, camera)

    def _header(self, item: CloudItem) -> Any:
        stamp = self._types.Time(sec=item.stamp[0], nanosec=item.stamp[1])
        return self._types.Header(stamp=stamp, frame_id=item.output_frame)

    def _scored(
        self, item: CloudItem, scene: ScenePrediction, timer: StageTimer
    ) -> tuple[dict[str, float | None], tuple[str, ...]]:
        """How well the cloud went; its record of the evaluation is written."""
        if item.truth is None:
            return {}, ()
        if item.grid_pose is not None:
            return {}, ("not scored: the truth lies in the cloud's frame, the prediction elsewhere",)
        if item.truth.class_names != scene.labels.class_names:
            return {}, (f"not scored: the truth has other classes than the network's {scene.labels.name}",)
        if item.truth.grid != scene.grid:
            return {}, ("not scored: the truth has another grid than the network",)
        with timer("metrics"):
            scores = frame_scores(scene, item.truth.voxels)
            self._evaluation_record(item.number, scene, item.truth.voxels, scores).write(self._task.out / EVALUATION)
        return scores, ()

    def _evaluation_record(
        self, number: int, scene: ScenePrediction, truth: VoxelTruth, scores: dict[str, float | None]
    ) -> FrameRecord:
        from pasco_core.metrics import SceneMetrics

        metrics = SceneMetrics(scene.labels)
        metrics.update(scene, truth)
        plan = self._task.plan
        return FrameRecord(
            WorkItem(CLEAN, plan.frame(number)), self._digest,
            {"network": metrics.to_dict()}, {"network": scores}, dict(scene.timings), None, self._first,
            plan.settings.device,
        )


def _check_truth(place: TruthPlace | None, model: Model) -> None:
    """A dataset that was named for its truth must have the network's classes; a bag's own truth may have others."""
    if place is None:
        return
    from pasco_core.data.datasets import open_dataset

    labels = open_dataset(place.root).labels
    if labels.class_names != model.labels.class_names:
        raise ConfigError(f"Expected --truth to have the network's classes, {model.labels.name}, got {labels.name}")


def _with_stages(record: CloudRecord, timings: Mapping[str, float], timer: StageTimer) -> CloudRecord:
    """The predictor's own stages, and what is left of its time as "other", as the node tells them."""
    stages = {name: value for name, value in timings.items() if name != "total"}
    seconds = timer.seconds.pop("predict")
    return record.timed(**stages, other=max(0.0, seconds - sum(stages.values())))


def evaluation_run(plan: ReplayPlan, label_set: str, numbers: tuple[int, ...] = ()) -> RunFile:
    """The run file of the evaluation's records."""
    recipe = {name: value for name, value in plan.recipe().items() if name not in ("realtime", "clouds", "every")}
    return RunFile(
        {**recipe, "source": "replay", "label_set": label_set}, plan.places(),
        tuple(plan.frame(number) for number in numbers), (CLEAN,),
    )


_PROCESS: dict[str, Any] = {}
"""What ``start`` left for ``work`` in this process."""


def start(task: WorkerTask) -> None:
    """First thing in a process; must not raise, because a pool would only say that it broke."""
    _PROCESS.clear()
    _PROCESS["task"] = task


def work(item: CloudItem) -> CloudRecord:
    """One cloud's record."""
    if "worker" not in _PROCESS:
        _PROCESS["worker"] = CloudWorker(_PROCESS["task"])
    return _PROCESS["worker"](item)


def finish() -> None:
    """Forgets what this process holds: networks are large."""
    _PROCESS.clear()
