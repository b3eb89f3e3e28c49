"""What each command reads of a dataset, and whether enough of it is there."""

from __future__ import annotations

from collections.abc import Sequence, Set

from pasco_core.data.datasets.check_report import Need, SequenceReport

_SCAN, _POINT_LABELS, _CLASSES, _TRUTH = "scan", "point labels", "classes", "truth"
"""Kinds of files in a sequence's report."""


def semantic_kitti_needs(sequences: Sequence[SequenceReport]) -> list[Need]:
    """The commands on a dataset in SemanticKITTI's layout."""
    labelled = [s for s in sequences if s.counts["point labels"]]
    posed = [(s, s.files[_SCAN].keys() & s.files[_POINT_LABELS].keys()) for s in labelled if s.posed]
    hint = "no calib.txt, or no poses.txt that reaches the last scan" if labelled else "no labels/*.label"
    voxels = _need("data voxels", "scans, point labels, calib.txt, poses.txt", posed, (_SCAN, _POINT_LABELS), hint)
    download = "get voxels/ from the SSC download of SemanticKITTI"
    make = "make them with `pasco data voxels`" if voxels.frames else download
    truth = "voxels/*.label and *.invalid, or instance labels"
    missing = f"no voxels/*.label: {make}"
    classes = [(s, s.truth & s.files[_CLASSES].keys()) for s in sequences]
    return [
        *_common(sequences, truth, missing),
        _need("data instances", "voxels/*.label and *.invalid", classes, (_CLASSES,), missing),
        voxels,
    ]


def kitti_360_needs(sequences: Sequence[SequenceReport]) -> list[Need]:
    """The commands on a dataset in SSCBench-KITTI-360's layout."""
    missing = "no labels/<sequence>/*_1_1.npy: they are part of SSCBench-KITTI-360"
    classes = [(s, frozenset(s.files[_CLASSES])) for s in sequences]
    return [
        *_common(sequences, "labels/*/*_1_1.npy or instance labels, kitti_360_match.txt", missing),
        _need("data instances", "labels/*/*_1_1.npy", classes, (_CLASSES,), missing),
        Need("data voxels", "point labels, which this layout has not", 0, "only for the SemanticKITTI layout"),
    ]


def _common(sequences: Sequence[SequenceReport], truth: str, missing_truth: str) -> list[Need]:
    scans = [(s, frozenset(s.files[_SCAN])) for s in sequences]
    usable = [(s, s.usable) for s in sequences]
    training = [(s, s.usable) for s in sequences if s.split == "train"]
    if any(s.truth for s in sequences):
        missing_truth = "no scan for any frame with voxel truth"
    no_truth = missing_truth if any(frames for _, frames in scans) else "no scans"
    some = any(frames for _, frames in usable)
    both = (_SCAN, _TRUTH)
    no_training = "no such frame in a training sequence" if some else no_truth
    if any(frames for _, frames in training) and not any(
        s.usable - s.damaged(s.usable, *both) for s in sequences if s.split == "val"
    ):
        training, no_training = [], "no such frame in a validation sequence; data.val_sequences may name another one"
    return [
        _need("infer", "scans", scans, (_SCAN,), "no scans"),
        _need("replay", "scans", scans, (_SCAN,), "no scans"),
        _need("eval", f"scans and {truth}", usable, both, no_truth),
        _need("train", "the same in training and validation sequences", training, both, no_training),
    ]


def _need(
    command: str, needs: str, frames: Sequence[tuple[SequenceReport, Set[int]]], kinds: tuple[str, ...], hint: str
) -> Need:
    """Counts the frames, those with a damaged file apart.

    Args:
        frames: of each sequence.
        kinds: of the files that the command reads.
        hint: what to do where there is no frame.
    """
    total = sum(len(found) for _, found in frames)
    damaged = sum(len(report.damaged(found, *kinds)) for report, found in frames)
    if total and total == damaged:
        hint = f"of all {total} frames a file is damaged or missing"
    return Need(command, needs, total - damaged, "" if total > damaged else hint, damaged)
