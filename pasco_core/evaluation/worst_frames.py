"""Pictures of the frames that went worst: predicted once more, because records keep numbers and no scenes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import Frame
from pasco_core.errors import PascoError
from pasco_core.evaluation.comparison_picture import compare_pictures
from pasco_core.evaluation.plan import EvaluationPlan, RunFile
from pasco_core.evaluation.sources import FolderSource, NetworkSource, Source, TruthSource
from pasco_core.evaluation.summary import Summary
from pasco_core.evaluation.table import percent


@dataclass(frozen=True)
class FramePicture:
    """A frame's comparison as PNG, and what to say about it."""

    frame: Frame
    png: bytes
    caption: str


def worst_pictures(summary: Summary, plan: EvaluationPlan, count: int, device: str = "cpu") -> Iterator[FramePicture]:
    """The worst frames of the clean scans, the worst first.

    Raises:
        PascoError: dataset or source cannot be opened, or a file is missing.
    """
    worst = summary.worst(count)
    if not worst:
        return
    dataset = plan.dataset()
    source = plan.source.open(dataset, device)
    for frame in worst:
        points = dataset.points(frame) if source.needs_points else None
        scene = source(frame, points)[-1]  # type: ignore[arg-type]
        score = summary.scores[frame]
        caption = f"{frame}: mIoU of the classes in it {percent(score['miou'], 1)} %, IoU {percent(score['iou'], 1)} %"
        yield FramePicture(frame, small_png(compare_pictures(scene, dataset.truth(frame))), caption)


def plan_again(run: RunFile) -> EvaluationPlan | None:
    """The plan of results made earlier; None for baselines, or if dataset or weights are not where they were."""
    settings, places = run.settings, run.places
    source: Source
    if settings["source"] == "truth":
        source = TruthSource()
    elif settings["source"] == "saved predictions":
        source = FolderSource(places["predictions"])
    elif "transforms" not in settings:
        return None
    else:
        source = NetworkSource(
            places.get("checkpoint"), places.get("features"), settings["transforms"], settings["seed"],
            settings["votes"], settings["uncertainty"],
        )
    plan = EvaluationPlan(places["dataset"], places.get("truth"), source, run.frames, run.conditions)
    try:
        same = RunFile.of(plan, plan.dataset().labels.name).settings == settings
    except (PascoError, OSError):
        return None
    return plan if same else None


def small_png(image: np.ndarray) -> bytes:
    """A picture for a report: few colours are enough and take a third of the space."""
    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.fromarray(image)
    picture = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
