"""Frame after frame into one scene: labels by Bayes' rule around the vehicle, things with lasting numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import LabelSet
from pasco_core.errors import DataError
from pasco_core.fusion.config import FusionConfig
from pasco_core.fusion.evidence import Belief, Evidence, Measured
from pasco_core.fusion.observation import Observation
from pasco_core.fusion.rolling_window import Overlap, RollingWindow
from pasco_core.fusion.tracks import Detection, Track, TrackStore
from pasco_core.geometry import VoxelGrid
from pasco_core.geometry.voxel_boxes import voxel_boxes


@dataclass(frozen=True)
class FusedScene:
    """What is believed at one moment; arrays have ``grid.shape``.

    Args:
        grid: where the voxels are, in the frame that was asked for.
        labels: the classes.
        semantics: uint8, 0 = empty, 255 = unknown: never seen, or too long ago.
        occupancy: float32, probability of not being empty; 0.5 where nothing is known.
        uncertainty: float32, 1 - probability of the class; 1 where nothing is known.
        tracks_of_voxels: int32, number of the track in each voxel, 0 = none.
        tracks: the things that are followed and confirmed, by number, in the fixed frame.
    """

    grid: VoxelGrid
    labels: LabelSet
    semantics: np.ndarray
    occupancy: np.ndarray
    uncertainty: np.ndarray
    tracks_of_voxels: np.ndarray
    tracks: dict[int, Track]


class SceneFusion:
    """Accumulates observations of one drive.

    Args:
        labels: the classes of all observations.
        config: how much and how long a frame counts.

    Example::

        fusion = SceneFusion(SEMANTIC_KITTI)
        for time, pose, scene in drive:     # seconds, (4, 4) sensor in the odometry frame, ScenePrediction
            fusion.add(Observation.of_scene(scene), pose, time)
        fused = fusion.window()             # around the vehicle, in the odometry frame
        seen = fusion.seen_from(KITTI_GRID, pose)  # or in the grid of the last frame
    """

    def __init__(self, labels: LabelSet, config: FusionConfig | None = None):
        self.labels, self.config = labels, config or FusionConfig()
        self.reset()

    def reset(self) -> None:
        """Forget everything; numbers of tracks begin anew."""
        self._window = RollingWindow(self.config.shape, self.config.voxel_size)
        self._evidence = Evidence(self.labels, self.config)
        self._store = TrackStore(self.labels.n_classes, self.config)
        self._start: float | None = None
        self._now = 0.0

    def add(self, observation: Observation, pose: np.ndarray, time: float) -> None:
        """Take one frame.

        Args:
            observation: what it says.
            pose: (4, 4) of its frame of reference in the fixed frame.
            time: seconds, not before the last frame's.

        Raises:
            DataError: another label set, a pose that is no rigid transform, or a time that runs backwards.
        """
        overlap, track_of = self._meet(observation, pose, time)
        self._evidence.measure(_measured(observation, overlap.slots, overlap.sources, track_of), self._now)

    def add_and_see(self, observation: Observation, pose: np.ndarray, time: float) -> FusedScene:
        """Take one frame; returns what is believed of its own voxels, all frames before it considered.

        The frame itself is not resampled for the result, only what came before. Arguments and errors as for ``add``.
        """
        overlap, track_of = self._meet(observation, pose, time)
        own = self._own_belief(observation, pose, track_of)
        self._evidence.measure(_measured(observation, overlap.slots, overlap.sources, track_of), self._now)
        return self._scene(observation.grid, own)

    def _meet(self, observation: Observation, pose: np.ndarray, time: float) -> tuple[Overlap, np.ndarray]:
        """Where a frame lies in the window, and the track of each of its things; what moved away is forgotten."""
        self._check(observation, pose, time)
        self._start = time if self._start is None else self._start
        self._now = time - self._start
        middle = np.asarray(observation.grid.origin) + np.asarray(observation.grid.upper)
        for index in self._window.move_to(pose[:3, :3] @ (middle / 2) + pose[:3, 3]):
            self._evidence.clear(index)
        overlap = self._window.overlap(observation.grid, pose)
        track_of = self._follow(observation, pose, overlap)
        self._evidence.forget_moved(overlap.slots[overlap.sources >= 0], track_of[track_of > 0])
        return overlap, track_of

    def window(self) -> FusedScene:
        """Everything that is remembered, in the fixed frame."""
        places = np.arange(int(np.prod(self.config.shape))).reshape(self.config.shape)
        slots = self._window.in_order(places).reshape(-1)
        return self._scene(self._window.grid, self._evidence.read(slots, self._now))

    def seen_from(self, grid: VoxelGrid, pose: np.ndarray) -> FusedScene:
        """The same in a grid that stands at a pose (4, 4) of the fixed frame; what lies outside is unknown."""
        belief = self._evidence.read(self._window.slots_of(grid, pose), self._now)
        return self._scene(grid, belief)

    def _follow(self, observation: Observation, pose: np.ndarray, overlap: Overlap) -> np.ndarray:
        """Number of the track of every thing of the frame, by the thing's id."""
        seen = [thing for thing in observation.things if thing.id > 0]
        boxes = _boxes(observation, pose)
        seen = [thing for thing in seen if thing.id in boxes]
        shared = self._shared(observation, overlap)
        detections = [
            Detection(t.category, t.confidence, *boxes[t.id], shared=shared.get(t.id, {})) for t in seen
        ]
        numbers = self._store.follow(detections, self._now)
        track_of = np.zeros(int(observation.instances.max(initial=0)) + 1, np.int32)
        for thing, number in zip(seen, numbers, strict=True):
            track_of[thing.id] = number
        return track_of

    def _own_belief(self, observation: Observation, pose: np.ndarray, track_of: np.ndarray) -> Belief:
        """Of every voxel of the frame's grid; of those that the frame does not know, what was known before."""
        slots = self._window.slots_of(observation.grid, pose)
        is_known = observation.semantics.reshape(-1) != UNKNOWN
        known, rest = np.flatnonzero(is_known), np.flatnonzero(~is_known)
        own = self._evidence.believe(_measured(observation, slots[known], known, track_of), self._now)
        before = self._evidence.read(slots[rest], self._now)
        merged = {}
        for name, values in vars(own).items():
            merged[name] = np.empty(len(slots), values.dtype)
            merged[name][known], merged[name][rest] = values, getattr(before, name)
        return Belief(**merged)

    def _shared(self, observation: Observation, overlap: Overlap) -> dict[int, dict[int, float]]:
        """Thing → track → share of the thing's voxels in which this track was before."""
        things = _look_up(observation.instances, overlap.sources, 0)
        inside = things > 0
        things, tracks = things[inside], self._evidence.tracks_at(overlap.slots[inside])
        pairs, counts = np.unique(np.column_stack([things, tracks]), axis=0, return_counts=True)
        totals = np.bincount(things)
        result: dict[int, dict[int, float]] = {}
        for (thing, track), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            if track:
                result.setdefault(thing, {})[track] = count / int(totals[thing])
        return result

    def _scene(self, grid: VoxelGrid, belief: Belief) -> FusedScene:
        tracks = {n: t for n, t in self._store.tracks.items() if t.n_frames >= self.config.confirm_after}
        numbers = np.where(np.isin(belief.track, list(tracks)), belief.track, 0).astype(np.int32)
        arrays = (belief.semantics, belief.occupancy, 1 - belief.confidence, numbers)
        semantics, occupancy, uncertainty, numbers = (array.reshape(grid.shape) for array in arrays)
        return FusedScene(grid, self.labels, semantics, occupancy, uncertainty, numbers, tracks)

    def _check(self, observation: Observation, pose: np.ndarray, time: float) -> None:
        if observation.labels.class_names != self.labels.class_names:
            raise DataError(f"Expected the observation's classes to be {self.labels.name}'s, got "
                            f"{observation.labels.name}'s")
        pose = np.asarray(pose)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise DataError(f"Expected the pose to be a finite 4×4 matrix, got {pose.tolist()}")
        if not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-3):
            raise DataError(f"Expected the pose to be rigid, got {pose.tolist()}")
        if self._start is not None and time - self._start < self._now:
            raise DataError(f"Expected the frames to come in order of time, got {time:.3f} s after "
                            f"{self._start + self._now:.3f} s")


def _measured(
    observation: Observation, slots: np.ndarray, sources: np.ndarray, track_of: np.ndarray
) -> Measured:
    """The measurement of the voxels ``sources`` of the frame, -1 for none, for those ``slots`` of the window."""
    semantics = _look_up(observation.semantics, sources, UNKNOWN)
    known = semantics != UNKNOWN
    sources = sources[known]
    return Measured(
        slots[known], semantics[known], observation.occupancy.reshape(-1)[sources],
        observation.confidence.reshape(-1)[sources], track_of[observation.instances.reshape(-1)[sources]],
    )


def _look_up(array: np.ndarray, sources: np.ndarray, outside: int) -> np.ndarray:
    values = array.reshape(-1)[sources]
    values[sources < 0] = outside
    return values


def _boxes(observation: Observation, pose: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Thing → middle (3,) in the fixed frame and extent (3,) of its voxels, in metres."""
    boxes = {}
    for number, (lower, upper) in voxel_boxes(observation.instances).items():
        middle = pose[:3, :3] @ observation.grid.centre_of((lower + upper) / 2) + pose[:3, 3]
        boxes[number] = middle, (upper - lower + 1) * observation.grid.voxel_size
    return boxes
