"""What each command reads of a dataset, and whether enough of it is there."""

from __future__ import annotations

from collections.abc import Sequence

from pasco_core.data.datasets.check_report import Need, SequenceReport


def semantic_kitti_needs(sequences: Sequence[SequenceReport]) -> list[Need]:
    """The commands on a dataset in SemanticKITTI's layout."""
    labelled = [s for s in sequences if s.counts["point labels"]]
    posed = sum(min(s.counts["scans"], s.counts["point labels"]) for s in labelled if s.posed)
    hint = "no calib.txt, or no poses.txt that reaches the last scan" if labelled else "no labels/*.label"
    voxels = Need("data voxels", "scans, point labels, calib.txt, poses.txt", posed, "" if posed else hint)
    make = "make them with `pasco data voxels`" if posed else "get voxels/ from the SSC download of SemanticKITTI"
    truth = "voxels/*.label and *.invalid, or instance labels"
    classes = sum(s.counts["voxels .label"] for s in sequences)
    missing = f"no voxels/*.label: {make}"
    return [
        *_common(sequences, truth, missing),
        Need("data instances", "voxels/*.label and *.invalid", classes, "" if classes else missing),
        voxels,
    ]


def kitti_360_needs(sequences: Sequence[SequenceReport]) -> list[Need]:
    """The commands on a dataset in SSCBench-KITTI-360's layout."""
    classes = sum(s.counts["voxel labels"] for s in sequences)
    missing = "no labels/<sequence>/*_1_1.npy: they are part of SSCBench-KITTI-360"
    return [
        *_common(sequences, "labels/*/*_1_1.npy or instance labels, kitti_360_match.txt", missing),
        Need("data instances", "labels/*/*_1_1.npy", classes, "" if classes else missing),
        Need("data voxels", "point labels, which this layout has not", 0, "only for the SemanticKITTI layout"),
    ]


def _common(sequences: Sequence[SequenceReport], truth: str, missing_truth: str) -> list[Need]:
    scans = sum(s.counts.get("matched frames", s.counts["scans"]) for s in sequences)
    splits = ("train", "val", "test", "")
    usable = {split: sum(len(s.usable) for s in sequences if s.split == split) for split in splits}
    no_scan = "" if scans else "no scans"
    with_truth = sum(usable.values())
    if any(s.truth for s in sequences):
        missing_truth = "no scan for any frame with voxel truth"
    no_truth = no_scan or missing_truth
    no_training = "no such frame in a training sequence" if with_truth else no_truth
    return [
        Need("infer", "scans", scans, no_scan),
        Need("replay", "scans", scans, no_scan),
        Need("eval", f"scans and {truth}", with_truth, "" if with_truth else no_truth),
        Need("train", f"the same in training sequences{_validation(usable)}", usable["train"],
             "" if usable["train"] else no_training),
    ]


def _validation(usable: dict[str, int]) -> str:
    return "" if usable["val"] or not usable["train"] else " (none for validation)"
