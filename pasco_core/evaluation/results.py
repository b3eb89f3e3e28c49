"""A summary as tables and files: ``metrics.json``, the same bits however the work was split, and ``timings.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from pasco_core.atomic_write import write_text_whole
from pasco_core.errors import DataError
from pasco_core.evaluation.condition import CLEAN, Condition
from pasco_core.evaluation.notes import note_lines
from pasco_core.evaluation.published import SOURCE, published_rows
from pasco_core.evaluation.summary import Summary
from pasco_core.evaluation.table import Table
from pasco_core.evaluation.tables import (
    Figures,
    class_table,
    cost_table,
    overall_table,
    resilience_table,
    robustness_scores,
    robustness_table,
    standard_table,
    uncertainty_table,
)

FORMAT_VERSION = 1
METRICS_FILE, TIMINGS_FILE, REPORT_FILE = "metrics.json", "timings.json", "report.html"
Baseline = dict[str, dict[Condition, float]]
"""Quality → condition → share, of another method."""


class Results:
    """What a summary says.

    Args:
        summary: of the records.
        baseline: qualities under corruptions that errors are relative to.
    """

    def __init__(self, summary: Summary, baseline: Baseline | None = None):
        self.summary = summary
        self.baseline = baseline or {}
        self.figures: dict[Condition, dict[str, Figures]] = {
            condition: {method: metrics.compute() for method, metrics in methods.items()}
            for condition, methods in summary.metrics.items()
        }

    @property
    def lead(self) -> str:
        """The method a report leads with: the ensemble."""
        return self.summary.methods[-1]

    @property
    def lead_figures(self) -> Figures:
        """Its figures on clean scans."""
        return self.figures[CLEAN][self.lead]

    @cached_property
    def robustness(self) -> dict[Condition, Figures]:
        """Its figures under every condition; empty without corruptions."""
        if len(self.figures) < 2:
            return {}
        return {condition: methods[self.lead] for condition, methods in self.figures.items()}

    def tables(self) -> list[Table]:
        """Overall by both protocols, per class, uncertainty, costs; and robustness where there are corruptions."""
        published = published_rows(self.summary.labels.name)
        clean = self.figures[CLEAN]
        tables = [
            overall_table(clean, published),
            standard_table(clean),
            class_table(self.lead, clean[self.lead], self.summary.labels),
            uncertainty_table(clean, published),
            cost_table(self.summary, published),
        ]
        return tables + self.robustness_tables()

    def robustness_tables(self) -> list[Table]:
        """Figures per condition and what is kept of them; empty without corruptions."""
        if not self.robustness:
            return []
        scores = robustness_scores(self.robustness)
        return [robustness_table(self.robustness, self.lead), resilience_table(scores, self.baseline)]

    def remarks(self) -> list[str]:
        """What a reader must not miss: notes of the predictions, and classes that are absent, which lower the mIoU."""
        summary = self.summary
        lines = list(note_lines(summary.notes, len(summary.frames) * len(summary.metrics)))
        ious = self.lead_figures["completion"]["standard"]["class_iou"]
        absent = [name for name in summary.labels.class_names[1:] if math.isnan(ious[name])]
        if absent:
            lines.append(
                f"{len(absent)} of {len(ious) - 1} classes occur neither in the truth nor in the prediction of these "
                f"frames ({', '.join(absent)}): the paper protocol counts them as 0 in mIoU, the standard protocol "
                "leaves them out"
            )
        return lines

    def metrics(self) -> dict[str, Any]:
        """Everything but what depends on the machine, JSON-able; null: not defined."""
        summary = self.summary
        return _without_nan({
            "format": FORMAT_VERSION,
            "settings": summary.run.settings,
            "frames": [str(frame) for frame in summary.frames],
            "results": {str(condition): methods for condition, methods in self.figures.items()},
            "frame_scores": {str(frame): summary.scores[frame] for frame in summary.frames},
            "notes": dict(sorted(summary.notes.items())),
            "published": {
                "source": SOURCE,
                "rows": [asdict(row) for row in published_rows(summary.labels.name)],
            },
        })

    def timings(self) -> dict[str, Any]:
        """What depends on the machine."""
        costs = self.summary.costs
        return {
            "format": FORMAT_VERSION,
            "devices": list(costs.devices),
            "first_frames_left_out": costs.warm,
            "peak_bytes": costs.peak_bytes,
            "stages": {name: asdict(stage) for name, stage in costs.stages.items()},
        }

    def write(self, out: Path) -> list[Path]:
        """Write both files into ``out`` and return their paths."""
        paths = []
        for name, values in ((METRICS_FILE, self.metrics()), (TIMINGS_FILE, self.timings())):
            write_text_whole(out / name, json.dumps(values, indent=1, allow_nan=False) + "\n")
            paths.append(out / name)
        return paths


def read_baseline(folder: Path) -> Baseline:
    """The qualities of another method's results, from its ``metrics.json``.

    Raises:
        DataError: not there, not such a file, or without corruptions.
    """
    path = folder / METRICS_FILE if folder.is_dir() else folder
    try:
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        leads = {Condition.parse(text): list(methods.values())[-1] for text, methods in results.items()}
        scores = robustness_scores(leads)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"Expected {path} to be a {METRICS_FILE} of `pasco eval`, got {error!r}") from error
    if len(leads) < 2:
        raise DataError(f"Expected {path} to hold results under corruptions, got clean scans only")
    return scores


def _without_nan(value: Any) -> Any:
    """The same with None for every nan, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
