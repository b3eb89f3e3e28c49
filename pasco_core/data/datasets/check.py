"""Checks a dataset folder: what is there, what is missing, damaged or left over, and what each command needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pasco_core.data.datasets.check_content import ContentCheck, ContentChecker, content_checks
from pasco_core.data.datasets.check_kitti_360 import check_calibration, check_kitti_360, check_match
from pasco_core.data.datasets.check_needs import kitti_360_needs, semantic_kitti_needs
from pasco_core.data.datasets.check_report import ERROR, CheckReport, Finding
from pasco_core.data.datasets.check_semantic_kitti import check_semantic_kitti
from pasco_core.data.datasets.kitti_360 import Kitti360
from pasco_core.data.datasets.open_dataset import open_dataset
from pasco_core.data.datasets.semantic_kitti import SemanticKitti
from pasco_core.jobs import run_jobs

Progress = Callable[[Iterable, int, str], Iterator]


def check_dataset(
    root: str | os.PathLike[str],
    truth_root: str | os.PathLike[str] | None = None,
    *,
    deep: bool = False,
    jobs: int = 1,
    progress: Progress = lambda items, total, title: iter(items),
) -> CheckReport:
    """Looks at every file of a dataset: by default names and sizes, which takes seconds for tens of thousands.

    Args:
        root, truth_root: as for ``open_dataset``.
        deep: read every file to its last byte as well.
        jobs: processes for reading.
        progress: wraps the iterations over sequences and files: ``(items, number, title)``.

    Raises:
        DataError: no dataset there; the message says where one seems to be.
        ConfigError: ``jobs`` is not positive.
    """
    dataset = open_dataset(root, truth_root)
    layout = dataset.labels.name
    report = CheckReport(dataset.root, dataset.truth_root, layout, deep)  # type: ignore[attr-defined]
    names = dataset.sequences()
    if isinstance(dataset, Kitti360):
        match, report.findings = check_match(dataset)
        broken = check_calibration(dataset)
        report.findings += broken
        for name in progress(names, len(names), "sequences"):
            report.sequences.append(check_kitti_360(dataset, name, match, calibrated=not broken))
    elif isinstance(dataset, SemanticKitti):
        for name in progress(names, len(names), "sequences"):
            report.sequences.append(check_semantic_kitti(dataset, name))
    if not names:
        message = f"Expected {dataset.root} to hold sequences, got none"
        report.findings.append(Finding(ERROR, "", "missing", str(dataset.root), message))
    if deep:
        _read_everything(report, dataset, jobs, progress)
    needs = kitti_360_needs if isinstance(dataset, Kitti360) else semantic_kitti_needs
    report.needs = needs(report.sequences)
    return report


def _read_everything(report: CheckReport, dataset, jobs: int, progress: Progress) -> None:
    """Adds what only the content shows; files that are known to be broken are not read."""
    known = {finding.path for finding in report.all_findings(ERROR)}
    checks = [check for check in content_checks(dataset) if str(check.path) not in known]
    sequences = {sequence.name: sequence for sequence in report.sequences}
    found: list[tuple[ContentCheck, str]] = []
    done = run_jobs(ContentChecker(Path(dataset.root), Path(dataset.truth_root)), checks, jobs)
    for check, message in progress(done, len(checks), "reading"):
        if message is not None and not any(path in message for path in known):
            found.append((check, message))
    for check, message in sorted(found, key=lambda pair: (pair[0].frame, pair[0].kind)):
        sequences[check.frame.sequence].add(ERROR, "content", check.path, message)
