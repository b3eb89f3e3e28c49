"""Every metric of whole scenes at once: one update per frame, exact merging, and one nested dict of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.errors import ConfigError, DataError
from pasco_core.metrics.calibration import Calibration, CalibrationScores
from pasco_core.metrics.checks import PROTOCOLS, checked_grid
from pasco_core.metrics.completion import CompletionMetrics
from pasco_core.metrics.error_detection import SegmentErrorDetection, VoxelErrorDetection
from pasco_core.metrics.overlaps import segment_overlaps
from pasco_core.metrics.panoptic_quality import PanopticQuality
from pasco_core.metrics.segment_calibration import InstanceCalibration, MaskCalibration
from pasco_core.metrics.tally import Metric
from pasco_core.prediction import ScenePrediction

_FORMAT = 1


class SceneMetrics:
    """Completion, panoptic quality, calibration and error detection of predicted scenes.

    Counts are integers and sums are exact, so that ``merge`` gives the same bits however frames were split over
    processes and machines, and in whatever order they came. A scene of which nothing is known counts as its
    probabilities say: every voxel empty with probability 1; as its uncertainty says, none of that is certain.

    Args:
        labels: classes of predictions and truth.

    >>> from pasco_core.data.label_set import SEMANTIC_KITTI
    >>> metrics = SceneMetrics(SEMANTIC_KITTI)
    >>> metrics.compute()["frames"]
    0
    """

    def __init__(self, labels: LabelSet):
        names, things = labels.class_names, labels.thing_ids
        self.labels = labels
        self.frames = 0
        self.completion = CompletionMetrics(names)
        self.panoptic = PanopticQuality(names, things)
        self.voxels = Calibration(names)
        self.segments = InstanceCalibration(names, things)
        self.masks = MaskCalibration(names, things)
        self.voxel_errors = VoxelErrorDetection()
        self.segment_errors = SegmentErrorDetection()

    def update(self, scene: ScenePrediction, truth: VoxelTruth) -> None:
        """Counts one frame.

        Args:
            scene: what was predicted.
            truth: classes and instances of the same grid; 255 = unknown.

        Raises:
            ConfigError: the scene is of another label set.
            DataError: shapes, dtypes or values do not fit. Nothing is counted after an error.
        """
        if scene.labels.class_names != self.labels.class_names:
            raise ConfigError(
                f"Expected the scene to be of the label set {self.labels.name}, got {scene.labels.name} "
                f"with {scene.labels.n_classes} classes"
            )
        frame = SceneMetrics(self.labels)  # counted apart, so that an error leaves no half of a frame behind
        frame.frames = 1
        frame._count(scene, truth)
        self.merge(frame)

    def merge(self, other: SceneMetrics) -> None:
        """Adds what ``other`` has seen.

        Raises:
            ConfigError: other classes.
        """
        metrics = other._metrics()
        for name, metric in self._metrics().items():
            metric.merge(metrics[name])
        self.frames += other.frames

    def to_dict(self) -> dict[str, Any]:
        """Everything counted so far, JSON-able and exact; some ten thousand numbers at most."""
        state = {name: metric.to_dict() for name, metric in self._metrics().items()}
        return {"format": _FORMAT, "labels": self.labels.name, "frames": self.frames, "metrics": state}

    @classmethod
    def from_dict(cls, labels: LabelSet, state: Mapping[str, Any]) -> SceneMetrics:
        """What ``to_dict`` wrote.

        Raises:
            DataError: ``state`` is of other classes, or not what ``to_dict`` writes.
        """
        metrics = cls(labels)
        if not isinstance(state, Mapping) or state.get("format") != _FORMAT:
            found = state.get("format") if isinstance(state, Mapping) else type(state).__name__
            raise DataError(f"Expected the state of scene metrics to have format {_FORMAT}, got {found}")
        frames = state.get("frames")
        if type(frames) is not int or frames < 0:
            raise DataError(f"Expected the number of frames in a metric's state to be 0 or more, got {frames!r}")
        states = state.get("metrics")
        for name, metric in metrics._metrics().items():
            if not isinstance(states, Mapping) or name not in states:
                raise DataError(f"Expected the state of scene metrics to have an entry {name}, got none")
            metric.load_dict(states[name])
        metrics.frames = frames
        return metrics

    def compute(self) -> dict[str, Any]:
        """All figures, as plain ints, floats, lists and dicts; shares are from 0 to 1, nan is a share of nothing.

        - ``frames``: number of frames; ``known_voxels``: voxels of known truth in them.
        - ``completion``: for each protocol ("standard", "paper") the fields of ``CompletionScores`` with ``class_iou``
          by class name; and ``confusion``, voxels by truth (rows) and prediction (columns).
        - ``panoptic``: for each protocol ``all``, ``things``, ``stuff`` as ``MeanQuality`` and ``per_class`` by name as
          ``ClassQuality``.
        - ``calibration``: ``voxels_empty``, ``voxels_nonempty``, ``segments`` and ``masks`` as ``CalibrationScores``,
          and ``voxels`` with the mean ``ece`` and ``nll`` of the first two.
        - ``error_detection``: ``voxels``, ``voxels_nonempty`` and ``segments`` as ``DetectionScores``.
        """
        confusion = self.completion.compute().confusion
        voxels = self.voxels.compute()
        all_voxels, nonempty = self.voxel_errors.compute()
        return {
            "frames": self.frames,
            "known_voxels": int(confusion.sum()),
            "completion": {
                **{protocol: self._completion(protocol) for protocol in PROTOCOLS},
                "confusion": confusion.tolist(),
            },
            "panoptic": {protocol: asdict(self.panoptic.compute(protocol)) for protocol in PROTOCOLS},
            "calibration": {
                "voxels": {"ece": voxels.ece, "nll": voxels.nll},
                "voxels_empty": _plain(voxels.empty),
                "voxels_nonempty": _plain(voxels.nonempty),
                "segments": _plain(self.segments.compute()),
                "masks": _plain(self.masks.compute()),
            },
            "error_detection": {
                "voxels": asdict(all_voxels),
                "voxels_nonempty": asdict(nonempty),
                "segments": asdict(self.segment_errors.compute()),
            },
        }

    def _count(self, scene: ScenePrediction, truth: VoxelTruth) -> None:
        self.completion.update(scene.semantics, truth.semantics)
        self.voxels.update(scene.probability_voxels, scene.probabilities, truth.semantics)
        self.voxel_errors.update(scene.semantics, scene.voxel_uncertainty, truth.semantics)
        names, things = self.labels.class_names, self.labels.thing_ids
        overlaps = segment_overlaps(scene.panoptic, scene.segments, truth, len(names), things)
        self.panoptic.update_overlaps(overlaps)
        self.segments.update_overlaps(overlaps)
        self.segment_errors.update_overlaps(overlaps)
        mask_confidence = checked_grid("mask_confidence", scene.mask_confidence, np.floating, truth.semantics.shape)
        self.masks.update_overlaps(mask_confidence, overlaps)

    def _completion(self, protocol: str) -> dict[str, Any]:
        scores = asdict(self.completion.compute(protocol))
        del scores["confusion"]
        return scores | {"class_iou": dict(zip(self.labels.class_names, scores["class_iou"], strict=True))}

    def _metrics(self) -> dict[str, Metric]:
        return {
            "completion": self.completion,
            "panoptic": self.panoptic,
            "voxel_calibration": self.voxels,
            "segment_calibration": self.segments,
            "mask_calibration": self.masks,
            "voxel_error_detection": self.voxel_errors,
            "segment_error_detection": self.segment_errors,
        }


def _plain(scores: CalibrationScores) -> dict[str, Any]:
    """The scores with lists for arrays."""
    reliability = {name: array.tolist() for name, array in asdict(scores.reliability).items()}
    return asdict(scores) | {"reliability": reliability}
