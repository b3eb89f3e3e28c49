"""Checks one SemanticKITTI sequence: sizes, partners, counts; no content but the small text files."""

from __future__ import annotations

import os
from pathlib import Path

from pasco_core.data.datasets.calibration import read_times
from pasco_core.data.datasets.check_report import ERROR, NOTE, WARNING, SequenceReport, numbers
from pasco_core.data.datasets.check_rules import (
    Files,
    check_age,
    check_names,
    check_not_empty,
    check_orphans,
    check_rows,
    check_size,
    read_if_there,
    require,
)
from pasco_core.data.datasets.instance_files import FOLDER as INSTANCES
from pasco_core.data.datasets.listing import Listing
from pasco_core.data.datasets.scans import SCAN_ROW, SCAN_RULE
from pasco_core.data.datasets.semantic_kitti import FRAME_STEP, SemanticKitti
from pasco_core.data.datasets.voxel_files import BIT_ENDINGS, bits_size, labels_size
from pasco_core.data.frame import Frame
from pasco_core.data.voxel_labels.first_release import is_first_release
from pasco_core.errors import DataError

_VOXEL_ENDINGS = (*BIT_ENDINGS, ".label")


def check_semantic_kitti(dataset: SemanticKitti, name: str) -> SequenceReport:
    """What there is of a sequence, and what is wrong with it.

    Args:
        dataset: opened.
        name: sequence on disk.
    """
    report = SequenceReport(name, next((split for split, names in dataset.splits.items() if name in names), ""))
    folder = dataset.root / "sequences" / name
    velodyne = Listing.of(folder / "velodyne")
    check_names(report, velodyne, (".bin",))
    scans = velodyne.numbered(".bin")
    for file in scans.values():
        check_rows(report, "scan", file, SCAN_ROW, SCAN_RULE)
    report.counts["scans"] = len(scans)
    report.files["scan"] = {index: (str(file.path),) for index, file in scans.items()}
    _check_point_labels(report, folder, scans)
    _check_voxels(report, dataset, scans)
    _check_images(report, folder, scans)
    report.posed = _check_motion(report, dataset, scans)
    return report


def _check_point_labels(report: SequenceReport, folder: Path, scans: Files) -> None:
    listing = Listing.of(folder / "labels")
    check_names(report, listing, (".label",))
    labels = listing.numbered(".label")
    report.counts["point labels"] = len(labels)
    report.files["point labels"] = {index: (str(file.path),) for index, file in labels.items()}
    for index in labels.keys() & scans.keys():
        points, rest = divmod(scans[index].size, SCAN_ROW)
        if rest == 0:
            check_size(report, "point labels", labels[index], 4 * points, f"uint32 for each of {points} points")
    for index in sorted(scans.keys() - labels.keys()) if labels else ():
        require(report, "point labels", listing.folder / f"{index:06d}.label", "scan, as other scans have them")
    check_orphans(report, "point labels", labels, scans, "scan")


def _check_voxels(report: SequenceReport, dataset: SemanticKitti, scans: Files) -> None:
    found: dict[str, dict] = {ending: {} for ending in _VOXEL_ENDINGS}
    instances: dict = {}
    first: dict[int, Path] = {}  # frame → the file with its truth
    for root in dict.fromkeys((dataset.root, dataset.truth_root)):  # what is in the truth folder counts
        listing = Listing.of(root / "sequences" / report.name / "voxels")
        check_names(report, listing, _VOXEL_ENDINGS)
        for ending in _VOXEL_ENDINGS:
            found[ending].update(listing.numbered(ending))
        own = Listing.of(root / INSTANCES / report.name).numbered(".npz")
        instances.update(own)
        for files in (listing.numbered(".label"), own):
            first.update({index: file.path for index, file in files.items()})
    for ending, files in found.items():
        report.counts[f"voxels {ending}"] = len(files)
        size = labels_size() if ending == ".label" else bits_size()
        rule = "two bytes per voxel of 256×256×32" if ending == ".label" else "one bit per voxel of 256×256×32"
        for file in files.values():
            check_size(report, "voxel file", file, size, rule)
        check_orphans(report, "voxel file", files, scans, "scan")
    for file in instances.values():
        check_not_empty(report, "instance labels", file)
    check_orphans(report, "instance labels", instances, scans, "scan")
    check_age(report, {i: file for i, file in instances.items() if first[i] == file.path}, found[".label"])
    report.counts["instance labels"] = len(instances)
    _check_release(report, dataset, sorted(found[".bin"].keys() & scans.keys()))
    report.files["classes"] = {index: _with_invalid(file.path) for index, file in found[".label"].items()}
    report.files["truth"] = {
        index: _with_invalid(path) if path.suffix == ".label" else (str(path),) for index, path in first.items()
    }
    _note_truth(report, first, scans)


def _with_invalid(label: Path) -> tuple[str, str]:
    return str(label), str(label.with_suffix(".invalid"))


def _check_release(report: SequenceReport, dataset: SemanticKitti, indices: list[int]) -> None:
    """Whether the sequence's voxel files lie where its scans are: those of the first release are one value late."""
    if not indices:
        return
    frame = Frame(report.name, indices[0])
    path = dataset.voxel_path(frame, ".bin")
    try:
        late = is_first_release(dataset.voxel_mask(frame, ".bin"), dataset.points(frame)[:, :3], dataset.grid)
    except DataError:  # damaged, which --deep names, or made in another way
        return
    if late:
        message = (
            f"Expected the voxels of {path} to lie on the scan, got all of them one value late, as in SemanticKITTI's "
            "first release: download the voxel files again (mended in August 2020)"
        )
        report.add(WARNING, "first release", path, message)


def _note_truth(report: SequenceReport, first: dict[int, Path], scans: Files) -> None:
    """Which frames have voxel truth, by the rules of ``SemanticKitti.truth``.

    Args:
        report: gets it.
        first: frame → the file that its truth comes from.
        scans: frame → scan.
    """
    for path in (first[index] for index in sorted(first)):
        invalid = path.with_suffix(".invalid")
        if path.suffix == ".label" and not os.path.lexists(invalid):  # a broken link is named already
            require(report, "voxel file", invalid, ".label file")
    between = [index for index in first if index % FRAME_STEP]
    if between:
        folder = first[between[0]].parent
        message = f"Expected voxel truth for every {FRAME_STEP}th scan, got it for {numbers(between)} too: not used"
        report.add(NOTE, "unused", folder, message)
    report.truth = frozenset(first.keys() - set(between))
    report.usable = report.truth & scans.keys()
    if scans:
        folder = next(iter(scans.values())).path.parent
        for index in sorted(report.truth - report.usable):
            require(report, "scan", folder / f"{index:06d}.bin", "voxel truth")


def _check_images(report: SequenceReport, folder: Path, scans: Files) -> None:
    listing = Listing.of(folder / "image_2")
    check_names(report, listing, (".png",))
    images = listing.numbered(".png")
    report.counts["images"] = len(images)
    for file in images.values():
        check_not_empty(report, "image", file)
    missing = scans.keys() - images.keys()
    if images and missing:
        message = f"Expected an image for every scan in {listing.folder}, got none for {numbers(missing)}"
        report.add(NOTE, "missing", listing.folder, message)


def _check_motion(report: SequenceReport, dataset: SemanticKitti, scans: Files) -> bool:
    """Whether calibration and poses are there, whole, and reach to the last scan."""
    folder = dataset.root / "sequences" / report.name
    last = max(scans, default=-1)
    calibration = read_if_there(report, folder / "calib.txt", lambda: dataset.calibration(report.name))
    poses_path = dataset.poses_path(report.name)
    poses = read_if_there(report, poses_path, lambda: dataset.poses(report.name)) if calibration else None
    times = read_if_there(report, folder / "times.txt", lambda: read_times(folder / "times.txt"))
    for path, lines in ((poses_path, poses), (folder / "times.txt", times)):
        if lines is not None and len(lines) <= last:
            message = f"Expected {path} to have a line for scan {last:06d}, got {len(lines)} lines"
            report.add(ERROR, "content", path, message)
    report.counts["poses"] = 0 if poses is None else len(poses)
    report.counts["times"] = 0 if times is None else len(times)
    return poses is not None and len(poses) > last
