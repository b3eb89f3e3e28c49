"""Checks one sequence of SSCBench-KITTI-360: sizes, partners, counts; of the labels only the headers are read."""

from __future__ import annotations

from pathlib import Path

from pasco_core.data.datasets.check_report import ERROR, NOTE, WARNING, Finding, SequenceReport, numbers
from pasco_core.data.datasets.check_rules import (
    check_age,
    check_names,
    check_not_empty,
    check_orphans,
    check_rows,
    read_if_there,
)
from pasco_core.data.datasets.instance_files import FOLDER as INSTANCES
from pasco_core.data.datasets.kitti_360 import LABEL_ENDING, Kitti360, same_sequence
from pasco_core.data.datasets.kitti_360_match import Match
from pasco_core.data.datasets.listing import Listing
from pasco_core.data.datasets.scans import SCAN_ROW, SCAN_RULE
from pasco_core.errors import DataError


def check_match(dataset: Kitti360) -> tuple[Match, list[Finding]]:
    """The match file's table, empty where it cannot be read, and what is wrong with it."""
    path = str(dataset.match_path)
    try:
        match = dataset.match
    except DataError as error:
        return Match({}), [Finding(ERROR, "", "missing", path, str(error))]
    findings = []
    if match.junk:
        lines = ", ".join(map(str, match.junk[:8])) + (" …" if len(match.junk) > 8 else "")
        got = f"{len(match.junk)} that are not (line {lines}): skipped"
        message = f"Expected every line of {path} to be a match, got {got}"
        findings.append(Finding(NOTE, "", "unused", path, message))
    if match.conflicts:
        message = f"Expected {path} to name one scan per frame, got another one in line {match.conflicts[0]}: it counts"
        findings.append(Finding(WARNING, "", "content", path, message))
    return match, findings


def check_calibration(dataset: Kitti360) -> list[Finding]:
    """What is wrong with the files of ``calibration/``, where there are any: only poses and cameras need them."""
    path = dataset.calibration_path
    try:
        if path.is_file():
            _ = dataset.calibration
    except DataError as error:
        return [Finding(ERROR, "", "content", str(path.parent), str(error))]
    return []


def check_kitti_360(dataset: Kitti360, name: str, match: Match, calibrated: bool = True) -> SequenceReport:
    """What there is of a sequence, and what is wrong with it.

    Args:
        dataset: opened.
        name: sequence on disk.
        match: the match file's table.
        calibrated: whether ``check_calibration`` found nothing wrong; poses cannot be read otherwise.
    """
    splits = dataset.splits.items()
    report = SequenceReport(name, next((s for s, names in splits if any(same_sequence(name, n) for n in names)), ""))
    velodyne = Listing.of(dataset.scan_folder(name))
    check_names(report, velodyne, (".bin",), digits=10)
    scans = velodyne.numbered(".bin", digits=10)
    for file in scans.values():
        check_rows(report, "scan", file, SCAN_ROW, SCAN_RULE)
    raw_scans = match.raw_scans.get(name, {})
    frames = {frame for frame, raw in raw_scans.items() if raw in scans}
    report.files["scan"] = {frame: (str(scans[raw_scans[frame]].path),) for frame in sorted(frames)}
    report.counts.update({"scans": len(scans), "matched frames": len(frames)})
    _check_labels(report, dataset, raw_scans, frames)
    known = calibrated and dataset.calibration_path.is_file()
    poses = read_if_there(report, dataset.poses_path(name), lambda: dataset.poses(name)) if known else None
    report.counts["poses"] = 0 if poses is None else len(poses[0])
    return report


def _check_labels(report: SequenceReport, dataset: Kitti360, raw_scans: dict[int, int], frames: set[int]) -> None:
    labels: dict = {}
    instances: dict = {}
    first: dict[int, Path] = {}  # frame → the file with its truth
    for root in dict.fromkeys((dataset.root, dataset.truth_root)):  # what is in the truth folder counts
        own = Listing.of(root / INSTANCES / report.name).numbered(".npz")
        for folder in reversed(dataset.label_folders(root)):
            found = Listing.of(folder / report.name).numbered(LABEL_ENDING)
            labels.update(found)
            first.update({index: file.path for index, file in found.items()})
        instances.update(own)
        first.update({index: file.path for index, file in own.items()})
    check_age(report, {i: file for i, file in instances.items() if first[i] == file.path}, labels)
    report.files["classes"] = {index: (str(file.path),) for index, file in labels.items()}
    report.files["truth"] = {index: (str(path),) for index, path in first.items()}
    report.counts.update({"voxel labels": len(labels), "instance labels": len(instances)})
    for file in labels.values():
        try:
            dataset.check_label_header(file.path)
        except DataError as error:
            report.add(ERROR, "content", file.path, str(error))
    for file in instances.values():
        check_not_empty(report, "instance labels", file)
    report.truth = frozenset(labels.keys() | instances.keys())
    report.usable = report.truth & frames
    if raw_scans:
        _check_truth_has_scans(report, dataset, raw_scans)
        check_orphans(report, "voxel labels", labels, raw_scans, "line in the match file")


def _check_truth_has_scans(report: SequenceReport, dataset: Kitti360, raw_scans: dict[int, int]) -> None:
    """One finding for all frames whose scan is missing: they come by the thousand where a download is not whole."""
    missing = sorted(index for index in report.truth - report.usable if index in raw_scans)
    if missing:
        folder = dataset.scan_folder(report.name)
        message = (
            f"Expected {folder} to hold the scan of every frame with voxel truth, got none for {len(missing)}: "
            f"{numbers(missing)} (first: {raw_scans[missing[0]]:010d}.bin)"
        )
        report.add(ERROR, "missing", folder, message)
