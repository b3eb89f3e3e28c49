"""The report of an evaluation as one HTML file: tables, diagrams, and pictures of what went worst."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np

from pasco_core.evaluation.published import SOURCE, published_rows
from pasco_core.evaluation.report_charts import class_bars, confusion_map, reliability_diagram
from pasco_core.evaluation.report_page import cards, facts, html_table, notes, page, paragraph, picture, row_of
from pasco_core.evaluation.results import Results
from pasco_core.evaluation.table import Number, percent
from pasco_core.evaluation.worst_frames import FramePicture


def make_report(results: Results, pictures: Sequence[FramePicture] = (), remark: str = "") -> str:
    """The page.

    Args:
        results: of the evaluation.
        pictures: of the worst frames.
        remark: why there are none, if so.
    """
    summary, figures = results.summary, results.lead_figures
    tables = results.tables()
    overall, standard, classes, uncertainty, costs = tables[:5]
    head = notes(results.remarks()) + _cards(figures)
    sections = [
        ("head", "", head),
        ("overall", "Overall", html_table(overall) + _published_note(results) + html_table(standard)),
        ("classes", "Classes", row_of(html_table(classes), _class_bars(results))),
        ("uncertainty", "Uncertainty", html_table(uncertainty) + _reliability(figures)),
        ("confusion", "Confusion", _confusion(results)),
        ("costs", "Times and memory", html_table(costs)),
    ]
    if results.robustness:
        sections.append(("robustness", "Robustness", "".join(map(html_table, results.robustness_tables()))))
    sections += [
        ("worst", "Worst frames", _worst(pictures, remark)),
        ("settings", "Settings", facts(_settings(results))),
        ("reading", "How to read this", _reading()),
    ]
    subtitle = f"{summary.labels.name} · {len(summary.frames)} frames · {results.lead}"
    return page("Panoptic scene completion: evaluation", subtitle, sections)


def _cards(figures: Any) -> str:
    completion, panoptic = figures["completion"]["paper"], figures["panoptic"]["paper"]["all"]
    calibration = figures["calibration"]
    entries = [
        ("mIoU", percent(completion["miou"]), "mean IoU over all classes but empty, paper protocol"),
        ("IoU", percent(completion["iou"]), "occupied against empty"),
        ("PQ†", percent(panoptic["pq_dagger"]), "panoptic quality, stuff without threshold, paper protocol"),
        ("PQ", percent(panoptic["pq"]), "panoptic quality, paper protocol"),
        ("ins ECE", Number(calibration["segments"]["ece"], 4), "calibration error of segments, 0 is best"),
        ("voxel ECE", Number(calibration["voxels"]["ece"], 4), "calibration error of voxels, 0 is best"),
    ]
    return cards((name, str(value), meaning) for name, value, meaning in entries)


def _published_note(results: Results) -> str:
    if not published_rows(results.summary.labels.name):
        return ""
    return paragraph(
        f"Rows in italics are published, not measured here: {SOURCE}. They are of the whole validation split, with "
        "random views at test time."
    )


def _class_bars(results: Results) -> str:
    figures, labels = results.lead_figures, results.summary.labels
    names = labels.class_names[1:]
    ious = figures["completion"]["standard"]["class_iou"]
    quality = figures["panoptic"]["paper"]["per_class"]
    series = [
        ("IoU", [_percent(ious[name]) for name in names]),
        ("PQ†", [_percent(quality[name]["pq_dagger"]) for name in names]),
    ]
    return class_bars(names, labels.colours[1:], series)


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else 100 * value


def _reliability(figures: Any) -> str:
    calibration = figures["calibration"]
    shown = (
        ("segments", "segments"), ("voxels_nonempty", "voxels predicted occupied"),
        ("voxels_empty", "voxels predicted empty"), ("masks", "voxels in their masks"),
    )
    return row_of(*(
        reliability_diagram(
            title, calibration[name]["reliability"], f"ECE {Number(calibration[name]['ece'], 4)}, "
            f"{calibration[name]['count']:,} predictions",
        )
        for name, title in shown
    ))


def _confusion(results: Results) -> str:
    names = results.summary.labels.class_names
    matrix = np.array(results.lead_figures["completion"]["confusion"], np.int64)
    text = paragraph(
        f"{results.lead}: what the voxels of each class (rows, 100 % each) were predicted as (columns). Shades grow "
        "with the square root of the share; hover for counts."
    )
    return text + row_of(confusion_map(names, matrix))


def _worst(pictures: Sequence[FramePicture], remark: str) -> str:
    if not pictures:
        return paragraph(remark or "No pictures were asked for.")
    return "".join(picture(one.png, one.caption) for one in pictures)


def _settings(results: Results) -> list[tuple[str, str]]:
    run = results.summary.run
    rows = [(name.replace("_", " "), str(value)) for name, value in run.settings.items()]
    rows += [(f"{name} (place)", place) for name, place in run.places.items()]
    by_sequence: dict[str, int] = {}
    for frame in results.summary.frames:
        by_sequence[frame.sequence] = by_sequence.get(frame.sequence, 0) + 1
    rows.append(("frames", ", ".join(f"sequence {name}: {count}" for name, count in by_sequence.items())))
    rows.append(("conditions", ", ".join(map(str, run.conditions))))
    rows.append(("computed on", ", ".join(results.summary.costs.devices)))
    rows.append(("versions", f"Python {platform.python_version()}, NumPy {np.__version__}, {_torch()}"))
    return rows


def _torch() -> str:
    import torch

    return f"torch {torch.__version__}"


def _reading() -> str:
    return "".join(map(paragraph, (
        "Only voxels whose truth is known count. P, R and IoU: occupied against empty. mIoU: mean IoU over the classes "
        "without empty; by the paper protocol a class that occurs nowhere counts as 0, by the standard one it is left "
        "out.",
        "PQ = SQ x RQ per class: a predicted and a true segment of one class match if their IoU exceeds 1/2; SQ is the "
        "mean IoU of the matches, RQ their F1 score. A stuff region that overlaps a true one of its class is no false "
        "positive by the paper protocol, but is one by the standard protocol. PQ† uses for stuff the IoU itself, "
        "without threshold.",
        "ECE is the mean distance between confidence and share of correct predictions over 15 bins of confidence; NLL "
        "the mean negative log likelihood of the true class. AUROC is the probability that a wrong voxel is more "
        "uncertain than a right one; FPR95 the share of right voxels that are flagged when 95 % of the wrong ones are.",
        "Network time is that of encoder, bottleneck, decoder and mask transformer, as published; the other stages are "
        "listed beside it.",
    )))
