"""The tables of an evaluation, as the authors' README has them, and what else a reader wants to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pasco_core.data.label_set import LabelSet
from pasco_core.evaluation.condition import CLEAN, Condition
from pasco_core.evaluation.published import Published
from pasco_core.evaluation.robustness import Robustness, robustness
from pasco_core.evaluation.summary import Summary
from pasco_core.evaluation.table import Number, Table, percent

Figures = Mapping[str, Any]
"""What ``SceneMetrics.compute`` returns."""

_OVERALL = (
    "method", "P", "R", "IoU", "mIoU", "PQ†", "PQ", "SQ", "RQ", "Th PQ", "Th SQ", "Th RQ", "St PQ", "St SQ", "St RQ",
)
_UNCERTAINTY = (
    "method", "ins ECE", "ins NLL", "voxel ECE", "nonempty ECE", "empty ECE", "voxel NLL", "nonempty NLL", "empty NLL",
    "AUROC", "FPR95", "count",
)


def overall_table(figures: Mapping[str, Figures], published: Sequence[Published] = ()) -> Table:
    """Completion and panoptic quality of every method, in percent.

    Args:
        figures: method → figures; the last method leads.
        published: rows to show beside them.
    """
    rows = [_overall_row(method, one) for method, one in figures.items()]
    for row in published:
        p = row.percent
        cells: list[object] = [f"{row.name} (published)"]
        cells += [Number(p[name]) for name in ("precision", "recall", "iou", "miou", "pq_dagger", "pq", "sq", "rq")]
        cells += [Number(p["thing_pq"]), None, None, Number(p["stuff_pq"]), None, None]
        rows.append(tuple(cells))
    n = len(figures)
    return Table(
        "Panoptic scene completion (%), paper protocol", _OVERALL, tuple(rows),
        "Th: things, St: stuff; in mIoU a class that occurs nowhere counts as 0",
        n - 1, tuple(range(n, len(rows))),
    )


def _overall_row(method: str, figures: Figures, protocol: str = "paper") -> tuple[object, ...]:
    completion, panoptic = figures["completion"][protocol], figures["panoptic"][protocol]
    groups = [panoptic[group] for group in ("all", "things", "stuff")]
    return (
        method,
        *(percent(completion[name]) for name in ("precision", "recall", "iou", "miou")),
        percent(groups[0]["pq_dagger"]),
        *(percent(group[name]) for group in groups for name in ("pq", "sq", "rq")),
    )


def standard_table(figures: Mapping[str, Figures]) -> Table:
    """The same by the standard definitions, to be compared with other methods' figures but not with the paper's."""
    return Table(
        "Panoptic scene completion (%), standard protocol", _OVERALL,
        tuple(_overall_row(method, one, "standard") for method, one in figures.items()),
        "badly overlapping stuff counts as false positive; classes that occur nowhere are left out of every mean",
        len(figures) - 1,
    )


def class_table(method: str, figures: Figures, labels: LabelSet) -> Table:
    """IoU, PQ, SQ, RQ and counts of every class, in percent."""
    ious, quality = figures["completion"]["standard"]["class_iou"], figures["panoptic"]
    rows = []
    for category, name in enumerate(labels.class_names[1:], 1):
        paper, standard = quality["paper"]["per_class"][name], quality["standard"]["per_class"][name]
        rows.append((
            name, "thing" if labels.is_thing(category) else "stuff", percent(ious[name]),
            *(percent(paper[key]) for key in ("pq_dagger", "pq", "sq", "rq")), percent(standard["pq"]),
            standard["true_positives"], standard["false_positives"], standard["false_negatives"],
        ))
    header = ("class", "kind", "IoU", "PQ†", "PQ", "SQ", "RQ", "PQ std", "TP", "FP", "FN")
    return Table(
        f"Per class (%): {method}", header, tuple(rows),
        "-: not defined (IoU: no voxel of the class in truth or prediction; PQ†, PQ, SQ, RQ: no segment of it; a "
        "segment need not have the class of its voxels); TP, FP and FN are segments by the standard protocol",
    )


def uncertainty_table(figures: Mapping[str, Figures], published: Sequence[Published] = ()) -> Table:
    """Calibration of segments and voxels, and how well voxel uncertainty finds errors."""
    rows = [_uncertainty_row(method, one) for method, one in figures.items()]
    for row in published:
        u = row.uncertainty
        rows.append((
            f"{row.name} (published)", Number(u["ins_ece"], 4), Number(u["ins_nll"], 4),
            Number((u["empty_ece"] + u["nonempty_ece"]) / 2, 4),
            Number(u["nonempty_ece"], 4), Number(u["empty_ece"], 4),
            Number((u["empty_nll"] + u["nonempty_nll"]) / 2, 4),
            Number(u["nonempty_nll"], 4), Number(u["empty_nll"], 4),
            None, None, int(u["count"]),
        ))
    n = len(figures)
    return Table(
        "Uncertainty", _UNCERTAINTY, tuple(rows),
        "ECE and NLL: lower is better; AUROC and FPR95: voxel uncertainty as a detector of wrong voxels among those "
        "predicted occupied; count: predicted segments",
        n - 1, tuple(range(n, len(rows))),
    )


def _uncertainty_row(method: str, figures: Figures) -> tuple[object, ...]:
    calibration, detection = figures["calibration"], figures["error_detection"]["voxels_nonempty"]
    segments, voxels = calibration["segments"], calibration["voxels"]
    empty, nonempty = calibration["voxels_empty"], calibration["voxels_nonempty"]
    return (
        method, Number(segments["ece"], 4), Number(segments["nll"], 4),
        Number(voxels["ece"], 4), Number(nonempty["ece"], 4), Number(empty["ece"], 4),
        Number(voxels["nll"], 4), Number(nonempty["nll"], 4), Number(empty["nll"], 4),
        Number(detection["auroc"], 4), Number(detection["fpr95"], 4), segments["count"],
    )


def cost_table(summary: Summary, published: Sequence[Published] = ()) -> Table:
    """Seconds per stage, with the published ones where there is such a stage."""
    costs = summary.costs
    theirs = {"network": 0, "ensemble": 1}
    columns = tuple(f"{row.name} (published)" for row in published)
    rows = [
        (stage, Number(s.mean, 3), Number(s.median, 3), Number(s.largest, 3), s.frames,
         *(Number(row.seconds[theirs[stage]], 3) if stage in theirs else None for row in published))
        for stage, s in costs.stages.items()
    ]
    peak = None if costs.peak_bytes is None else Number(costs.peak_bytes / 1e6, 0)
    theirs_peak = (Number(row.megabytes, 0) for row in published)
    rows.append(("peak memory (MB)", None, None, peak, len(summary.scores), *theirs_peak))
    first = "first frame of each process left out" if costs.warm else "first frames included, there are no others"
    return Table(
        "Times (s) and memory", ("stage", "mean", "median", "largest", "frames", *columns), tuple(rows),
        f"on {', '.join(costs.devices)}; {first}; network: encoder to mask transformer; published ones on a V100",
    )


def robustness_scores(figures: Mapping[Condition, Figures]) -> dict[str, dict[Condition, float]]:
    """The qualities robustness is measured by: name → condition → share."""
    return {
        "mIoU": {condition: one["completion"]["paper"]["miou"] for condition, one in figures.items()},
        "PQ†": {condition: one["panoptic"]["paper"]["all"]["pq_dagger"] for condition, one in figures.items()},
    }


def robustness_table(figures: Mapping[Condition, Figures], method: str) -> Table:
    """mIoU, PQ† and calibration of one method under every condition."""
    rows = [
        (
            condition.corruption or "clean", condition.level or "", percent(one["completion"]["paper"]["iou"]),
            percent(one["completion"]["paper"]["miou"]), percent(one["panoptic"]["paper"]["all"]["pq_dagger"]),
            percent(one["panoptic"]["paper"]["all"]["pq"]), Number(one["calibration"]["segments"]["ece"], 4),
            Number(one["calibration"]["voxels"]["ece"], 4),
            Number(one["error_detection"]["voxels_nonempty"]["auroc"], 4),
        )
        for condition, one in figures.items()
    ]
    header = ("corruption", "level", "IoU", "mIoU", "PQ†", "PQ", "ins ECE", "voxel ECE", "AUROC")
    return Table(f"Under corruptions: {method}", header, tuple(rows), "the truth stays that of the clean scan", 0)


def resilience_table(
    scores: Mapping[str, Mapping[Condition, float]], baseline: Mapping[str, Mapping[Condition, float]]
) -> Table:
    """What is kept of each quality: per corruption, and as a mean (mRR), and the error relative to a baseline (mCE)."""
    results: dict[str, Robustness] = {n: robustness(s, baseline.get(n)) for n, s in scores.items() if CLEAN in s}
    names = [c.corruption for c in next(iter(results.values())).corruptions]
    rows = []
    for i, name in enumerate([*names, "mean"]):
        cells: list[object] = [name]
        for result in results.values():
            one = result.corruptions[i] if i < len(names) else None
            cells.append(percent(one.resilience if one else result.mean_resilience))
            if baseline:
                cells.append(percent(one.error if one else result.mean_error))
        rows.append(tuple(cells))
    header = ["corruption"]
    for quality in results:
        header += [f"resilience {quality}", *([f"error {quality}"] if baseline else [])]
    note = "resilience: mean over the levels divided by the clean quality"
    if baseline:
        note += "; error: shortfall from 100 % relative to the baseline's, below 100 is better"
    return Table("Robustness (%), as Robo3D's RR and CE", tuple(header), tuple(rows), note, len(rows) - 1)
