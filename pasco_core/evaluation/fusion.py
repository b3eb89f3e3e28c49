"""Is the fused scene better than each frame alone: both against the truth, frame by frame along a drive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.datasets.semantic_kitti import SemanticKitti
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.simulation.drive import FRAME_RATE, SimulatedDrive
from pasco_core.errors import ConfigError, DataError
from pasco_core.fusion import Observation, SceneFusion
from pasco_core.metrics.completion import CompletionMetrics
from pasco_core.metrics.identity import IdentityMetrics
from pasco_core.prediction import ScenePrediction


@dataclass(frozen=True)
class PosedFrame:
    """One frame of a drive.

    Args:
        points: (N, 4) float32 x y z intensity in the sensor frame.
        pose: (4, 4) of the sensor in the fixed frame.
        time: seconds.
        truth: what is in every voxel, or None.
        things: (X, Y, Z) int32, number of the thing in each voxel, the same in every frame; None where the data set's
            numbers hold for one frame only.
    """

    points: np.ndarray
    pose: np.ndarray
    time: float
    truth: VoxelTruth | None
    things: np.ndarray | None = None


def frames_of_town(seed: int, first: int, step: int) -> Iterator[PosedFrame]:
    """An endless drive through a simulated town, from frame ``first`` on, every ``step``-th."""
    drive = SimulatedDrive(seed)
    number = first
    while True:
        points = drive.scan(number).points
        voxels = drive.voxels(number)
        things = np.where(voxels.unknown, 0, voxels.instances)
        yield PosedFrame(points, drive.pose(number), number / FRAME_RATE, voxels.truth(), things)
        number += step


def frames_of_sequence(dataset: Dataset, sequence: str, first: int, step: int) -> Iterator[PosedFrame]:
    """The scans of a sequence with poses; voxel truth where there is some.

    Raises:
        DataError: the layout has no poses, or none for the sequence.
    """
    if not isinstance(dataset, SemanticKitti):
        raise DataError(f"Expected {dataset.root} to be in SemanticKITTI's layout, which has poses, got another")
    poses, times = dataset.poses(sequence), dataset.times(sequence)
    with_truth = set(dataset.frames(sequences=[sequence]))
    for frame in dataset.frames(sequences=[sequence], with_truth=False)[first::step]:
        truth = dataset.truth(frame) if frame in with_truth else None
        yield PosedFrame(dataset.points(frame), *_pose_and_time(frame, poses, times), truth)


class FusionEvaluation:
    """Takes a drive's frames in order and compares each prediction, and what is fused so far, with the truth.

    Args:
        predict: points -> scene.
        clock: seconds, for the time that fusing takes.
    """

    def __init__(self, predict: Callable[[np.ndarray], ScenePrediction], clock: Callable[[], float]) -> None:
        self._predict, self._clock = predict, clock
        self._fusion: SceneFusion | None = None
        self._single: CompletionMetrics | None = None
        self._fused: CompletionMetrics | None = None
        self._identity = IdentityMetrics()
        self._has_identity = False
        self.n_frames, self.seconds = 0, 0.0

    def take(self, frame: PosedFrame) -> None:
        """One frame."""
        scene = self._predict(frame.points)
        if self._fusion is None or self._single is None or self._fused is None:
            self._fusion = SceneFusion(scene.labels)
            self._single, self._fused = (CompletionMetrics(scene.labels.class_names) for _ in range(2))
        started = self._clock()
        fused = self._fusion.add_and_see(Observation.of_scene(scene), frame.pose, frame.time)
        self.seconds += self._clock() - started
        self.n_frames += 1
        if frame.truth is None:
            return
        self._single.update(scene.semantics, frame.truth.semantics)
        self._fused.update(np.where(fused.semantics == UNKNOWN, 0, fused.semantics), frame.truth.semantics)
        if frame.things is not None:
            self._has_identity = True
            self._identity.update(fused.tracks_of_voxels, frame.things, frame.truth.semantics != UNKNOWN)

    def results(self) -> dict[str, Any]:
        """Plain numbers: ``frames``, ``fusion_seconds`` per frame, ``single`` and ``fused`` scores, ``identity``.

        Raises:
            DataError: no frame had a truth.
        """
        if self._single is None or self._fused is None or not self._single.compute().confusion.any():
            raise DataError(f"Expected frames with voxel truth, got none among {self.n_frames}")
        result: dict[str, Any] = {"frames": self.n_frames, "fusion_seconds": self.seconds / self.n_frames}
        for name, metric in (("single", self._single), ("fused", self._fused)):
            scores = metric.compute()
            result[name] = {key: 100 * getattr(scores, key) for key in ("precision", "recall", "iou", "miou")}
        if self._has_identity:
            result["identity"] = vars(self._identity.compute())
        return result


def first_frames(frames: Iterable[PosedFrame], count: int) -> Iterator[PosedFrame]:
    """At most ``count`` of them.

    Raises:
        ConfigError: a count below 1.
    """
    if count < 1:
        raise ConfigError(f"Expected the number of frames to be at least 1, got {count}")
    return islice(iter(frames), count)


def _pose_and_time(frame: Frame, poses: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, float]:
    covered = min(len(poses), len(times))
    if frame.index >= covered:
        raise DataError(f"Expected a pose and a time for {frame}, got {covered} of them for its sequence")
    return poses[frame.index], float(times[frame.index])
