"""What a dataset's frames hold, counted in whole numbers, so that any split of the work adds up to the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.datasets.target_scales import STRIDES, scaled_targets
from pasco_core.data.frame import UNKNOWN, Frame
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI, LabelSet
from pasco_core.errors import DataError

_LABEL_SETS = {labels.name: labels for labels in (SEMANTIC_KITTI, KITTI_360)}


@dataclass(frozen=True)
class Statistics:
    """Counts over frames; add them with ``+``.

    Args:
        labels: classes.
        frames: number of frames.
        voxels: stride 1, 2, 4 → (256,) int64, blocks per class of the truth; entry 255 = unknown.
        instances: (256,) int64, thing instances per class.
        points: (256,) int64, labelled points per class; entry 255 = unlabelled. All 0 where there are no point labels.
        labelled_scans: frames whose points have labels.
    """

    labels: LabelSet
    frames: int
    voxels: dict[int, np.ndarray]
    instances: np.ndarray
    points: np.ndarray
    labelled_scans: int

    @classmethod
    def none(cls, labels: LabelSet) -> Statistics:
        """Counts of no frame."""
        empty = np.zeros(256, np.int64)
        return cls(labels, 0, dict.fromkeys(STRIDES, empty), empty, empty, 0)

    def __add__(self, other: Statistics) -> Statistics:
        if self.labels.name != other.labels.name:
            names = f"{self.labels.name} and {other.labels.name}"
            raise DataError(f"Expected statistics of one dataset to be added, got {names}")
        return Statistics(
            self.labels, self.frames + other.frames, {s: self.voxels[s] + other.voxels[s] for s in STRIDES},
            self.instances + other.instances, self.points + other.points, self.labelled_scans + other.labelled_scans,
        )

    @property
    def unknown_share(self) -> float | None:
        """Share of the voxels that are unknown; None without frames."""
        return _share(self.voxels[1][UNKNOWN], self.voxels[1].sum())

    @property
    def occupied_share(self) -> float | None:
        """Share of the known voxels that are occupied; None where none is known."""
        known = self.voxels[1].sum() - self.voxels[1][UNKNOWN]
        return _share(known - self.voxels[1][0], known)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which ``from_dict`` turns back into the same counts."""

        def per_class(counts: np.ndarray) -> dict[str, int]:
            classes = {name: int(counts[i]) for i, name in enumerate(self.labels.class_names)}
            return {**classes, "unknown": int(counts[UNKNOWN])}

        return {
            "dataset": self.labels.name,
            "frames": self.frames,
            "labelled_scans": self.labelled_scans,
            "occupied_share_of_known": self.occupied_share,
            "unknown_share": self.unknown_share,
            "voxels": {str(stride): per_class(self.voxels[stride]) for stride in STRIDES},
            "instances": per_class(self.instances),
            "points": per_class(self.points),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Statistics:
        """The counts that ``to_dict`` wrote.

        Raises:
            DataError: something else.
        """
        try:
            labels = _LABEL_SETS[values["dataset"]]
            names = (*labels.class_names, "unknown")

            def counts(table: Mapping[str, int]) -> np.ndarray:
                result = np.zeros(256, np.int64)
                result[[*range(labels.n_classes), UNKNOWN]] = [int(table[name]) for name in names]
                return result

            voxels = {stride: counts(values["voxels"][str(stride)]) for stride in STRIDES}
            instances, points = counts(values["instances"]), counts(values["points"])
            return cls(labels, int(values["frames"]), voxels, instances, points, int(values["labelled_scans"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"Expected the output of `pasco data stats --json`, got {error!r}") from error


def frame_statistics(dataset: Dataset, frame: Frame, *, swap_empty_and_unknown: bool = False) -> Statistics:
    """Counts of one frame: its truth at strides 1, 2 and 4, its instances, and its point labels where there are some.

    Args:
        dataset: where the frame is.
        frame: one with voxel truth.
        swap_empty_and_unknown: count strides 2 and 4 as the published frequencies were, see ``scaled_targets``.

    Raises:
        DataError: a file of the frame is missing or damaged.
    """
    truth = dataset.truth(frame)
    scaled, _ = scaled_targets(
        truth.semantics, dataset.labels.n_classes, swap_empty_and_unknown=swap_empty_and_unknown
    )
    ids, first = np.unique(truth.instances, return_index=True)
    points, labelled = np.zeros(256, np.int64), False
    path = getattr(dataset, "point_label_path", lambda frame: None)(frame)
    if path is not None and path.is_file():
        points, labelled = _counts(dataset.point_labels(frame)[0]), True  # type: ignore[attr-defined]
    return Statistics(
        dataset.labels, 1, {stride: _counts(classes) for stride, classes in scaled.items()},
        _counts(truth.semantics.reshape(-1)[first[ids > 0]]), points, int(labelled),
    )


def add_all(labels: LabelSet, parts: Iterable[Statistics]) -> Statistics:
    """The sum of all parts."""
    total = Statistics.none(labels)
    for part in parts:
        total = total + part
    return total


@dataclass(frozen=True)
class FrameCounter:
    """``frame_statistics`` as a function that can be sent to another process.

    Args:
        root, truth_root: as for ``open_dataset``.
        swap_empty_and_unknown: as for ``frame_statistics``.
    """

    root: Path
    truth_root: Path | None
    swap_empty_and_unknown: bool

    def __call__(self, frame: Frame) -> Statistics:
        dataset = _opened(self.root, self.truth_root)
        return frame_statistics(dataset, frame, swap_empty_and_unknown=self.swap_empty_and_unknown)


@lru_cache(maxsize=1)
def _opened(root: Path, truth_root: Path | None) -> Dataset:
    from pasco_core.data.datasets.open_dataset import open_dataset

    return open_dataset(root, truth_root)


def _counts(values: np.ndarray) -> np.ndarray:
    return np.bincount(values.reshape(-1), minlength=256).astype(np.int64)


def _share(part: int, whole: int) -> float | None:
    return float(part) / float(whole) if whole else None
