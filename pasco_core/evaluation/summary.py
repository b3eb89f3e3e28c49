"""All records of an evaluation put together: merged metrics, times, memory, and which frames went worst."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pasco_core.benchmark.network import NETWORK_STAGES
from pasco_core.data.frame import Frame
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI, LabelSet
from pasco_core.errors import DataError
from pasco_core.evaluation.condition import CLEAN, Condition
from pasco_core.evaluation.frame_record import FrameRecord, record_path
from pasco_core.evaluation.notes import merged_notes
from pasco_core.evaluation.plan import RunFile, WorkItem
from pasco_core.metrics import SceneMetrics


@dataclass(frozen=True)
class StageSeconds:
    """Wall seconds of one stage over the frames."""

    mean: float
    median: float
    largest: float
    frames: int


@dataclass
class Costs:
    """What the frames took; depends on the machine and its load, so it is kept apart from the metrics.

    Args:
        stages: seconds per stage, "network" among them: the stages between point encoder and mask transformer, without
            the point encoder, as the published times are. The first frame of every process is left out where there are
            others.
        peak_bytes: most memory any frame held.
        devices: where it was computed.
        warm: whether first frames could be left out.
    """

    stages: dict[str, StageSeconds] = field(default_factory=dict)
    peak_bytes: int | None = None
    devices: tuple[str, ...] = ()
    warm: bool = True


@dataclass
class Summary:
    """What an evaluation found.

    Args:
        run: settings, places, frames and conditions.
        labels: classes.
        metrics: condition → method → metrics of all frames.
        scores: frame → scores of the last method on the clean scan.
        costs: times and memory on clean scans.
        notes: of the predictions, with the number of records that have them; numbers in them are put together.
    """

    run: RunFile
    labels: LabelSet
    metrics: dict[Condition, dict[str, SceneMetrics]]
    scores: dict[Frame, dict[str, float | None]]
    costs: Costs
    notes: dict[str, int]

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods; the last leads."""
        return tuple(next(iter(self.metrics.values())))

    @property
    def frames(self) -> list[Frame]:
        """Frames that have a record of the clean scan, ascending."""
        return sorted(self.scores)

    def worst(self, count: int) -> list[Frame]:
        """The frames with the lowest mIoU over the classes that occur in them, the worst first."""
        ranked = [(score["miou"], frame) for frame, score in self.scores.items() if score["miou"] is not None]
        return [frame for _, frame in sorted(ranked)[:count]]


def summarise(folders: Sequence[Path], run: RunFile, partial: bool = False) -> Summary:
    """Reads every record of ``run`` from the folders and merges them; always in the same order.

    Raises:
        DataError: records are missing (unless ``partial``), damaged, of other settings, or differ between folders.
    """
    labels = _label_set(run.settings["label_set"])
    summary = Summary(run, labels, {}, {}, Costs(), {})
    timed: list[FrameRecord] = []
    notes: list[str] = []
    missing: list[WorkItem] = []
    for condition in run.conditions:
        for frame in sorted(run.frames):
            record = _find(folders, WorkItem(condition, frame), run)
            if record is None:
                missing.append(WorkItem(condition, frame))
                continue
            _add(summary, record)
            notes += record.notes
            if condition == CLEAN:
                timed.append(record)
    if (missing and not partial) or not summary.scores:
        first = ", ".join(map(str, missing[:3]))
        raise DataError(
            f"Expected results of all {len(run.frames) * len(run.conditions)} frames, got none of {len(missing)} "
            f"({first}{', …' if len(missing) > 3 else ''})"
        )
    summary.costs, summary.notes = _costs(timed), merged_notes(notes)
    return summary


def _find(folders: Sequence[Path], item: WorkItem, run: RunFile) -> FrameRecord | None:
    """The record of an item in the first folder that has one; others must agree."""
    paths = [path for path in (record_path(folder, item) for folder in folders) if path.exists()]
    records = [FrameRecord.read(path) for path in paths]
    for path, record in zip(paths, records, strict=True):
        if record.settings != run.digest or record.item != item:
            raise DataError(f"Expected {path} to be a record of {item} made with these settings, got another one's")
        if record.metrics != records[0].metrics:
            raise DataError(f"Expected {path} to say the same as {paths[0]}, got other numbers")
    return records[0] if records else None


def _add(summary: Summary, record: FrameRecord) -> None:
    methods = summary.metrics.setdefault(record.item.condition, {})
    if methods and list(methods) != list(record.metrics):
        raise DataError(f"Expected {record.item} to have methods {list(methods)}, got {list(record.metrics)}")
    for method, state in record.metrics.items():
        one = SceneMetrics.from_dict(summary.labels, state)
        if method in methods:
            methods[method].merge(one)
        else:
            methods[method] = one
    if record.item.condition == CLEAN:
        summary.scores[record.item.frame] = list(record.scores.values())[-1]


def _costs(records: Sequence[FrameRecord]) -> Costs:
    later = [record for record in records if not record.first]
    seconds: dict[str, list[float]] = {}
    for record in later or records:
        for stage, value in _with_network(record.seconds).items():
            seconds.setdefault(stage, []).append(value)
    stages = {
        stage: StageSeconds(statistics.fmean(all_), statistics.median(all_), max(all_), len(all_))
        for stage, all_ in seconds.items()
    }
    peaks = [record.peak_bytes for record in records if record.peak_bytes is not None]
    devices = tuple(sorted({record.device for record in records}))
    return Costs(stages, max(peaks, default=None), devices, bool(later))


def _with_network(seconds: dict[str, float]) -> dict[str, float]:
    """The stages, and before the network's own ones their sum."""
    parts = [stage for stage in NETWORK_STAGES if stage != "point encoder"]
    if not all(stage in seconds for stage in parts):
        return seconds
    return {"network": sum(seconds[stage] for stage in parts), **seconds}


def _label_set(name: Any) -> LabelSet:
    for labels in (SEMANTIC_KITTI, KITTI_360):
        if labels.name == name:
            return labels
    raise DataError(f"Expected the label set to be {SEMANTIC_KITTI.name} or {KITTI_360.name}, got {name!r}")
