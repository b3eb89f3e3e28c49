"""Items of training and validation: which scans come together, and what each subnet sees of its own.

Whatever is random in an item is drawn from a generator seeded with (experiment's seed, epoch, index): an item does not
depend on the worker that makes it, nor on the items before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.datasets.training_item import SubnetTarget, subnet_target
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.point_cloud import checked_points
from pasco_core.errors import CloudError, DataError
from pasco_core.geometry.rigid import warp_voxels
from pasco_core.systems.pasco.point_inputs import point_inputs
from pasco_core.systems.pasco.training_targets import network_target
from pasco_core.systems.pasco.transforms import fixed_transforms, random_near_transforms, random_transforms
from training.batch import TrainingBatch
from training.config import Experiment
from training.sampling import classes_in
from training.scan_changes import changed_scan

_TRIES = 20


class PointFeatures(Protocol):
    """Where the point features of a frame come from."""

    def __call__(self, frame: Frame, n_points: int) -> tuple[Tensor, Tensor]:
        """Class probabilities (N, 19) and embedding (N, width) of all points of the frame's scan."""
        ...


@dataclass(frozen=True)
class _Scan:
    """One scan, read and changed once however many subnets see it.

    Args:
        frame: its name.
        points: (N, 4) float32.
        truth: of its voxels.
        rows: (M,) int64, the points inside the grid.
        voxels: (M, 3) int32, where these are.
    """

    frame: Frame
    points: np.ndarray
    truth: VoxelTruth
    rows: np.ndarray
    voxels: np.ndarray

    @cached_property
    def classes(self) -> np.ndarray:
        """Numbers of the classes that have a voxel, without "empty"."""
        present = classes_in(self.truth, UNKNOWN)
        return np.flatnonzero(present[1:]) + 1


@dataclass(frozen=True)
class _View:
    """One scan as one subnet sees it."""

    features: Tensor
    voxels: Tensor
    target: SubnetTarget
    frame: Frame
    scan: Tensor
    rows: Tensor


class TrainingItems(TorchDataset):
    """Item (epoch, index): the indexed scan and n - 1 other ones, in random order, each with a view of its own.

    Args:
        dataset: scans and truth.
        frames: those to learn from.
        experiment: seed, augmentation, number of subnets, kind of targets.
        features: for networks that read point features and have them on disk.
        with_scans: items carry whole scans, from which point features are made later.
    """

    def __init__(
        self,
        dataset: Dataset,
        frames: Sequence[Frame],
        experiment: Experiment,
        features: PointFeatures | None = None,
        with_scans: bool = False,
    ):
        if not frames:
            raise DataError("Expected the training data to have frames with voxel truth, got none")
        self._dataset, self._frames, self._experiment = dataset, list(frames), experiment
        self._features, self._with_scans = features, with_scans

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, place: tuple[int, int]) -> TrainingBatch:
        epoch, index = place
        rng = np.random.default_rng([self._experiment.seed, epoch, index])
        n = self._experiment.network.n_subnets
        others = rng.choice(len(self._frames) - 1, n - 1, replace=len(self) < n) if len(self) > 1 else [0] * (n - 1)
        chosen = [index, *((other + (other >= index)) % len(self) for other in others)]
        rng.shuffle(chosen)
        same_scan = self._experiment.augmentation.same_scan
        if same_scan > 0 and rng.random() < same_scan:
            chosen = [index] * n
        transforms = self._transforms(rng)
        rngs = [rng] * n
        if not self._experiment.network.mirrored_views:  # near views of the same place: the crops should meet
            chosen, seed = [index] * n, int(rng.integers(2**63))
            rngs = [np.random.default_rng(seed) for _ in range(n)]
        # Of their own generator: crops and views stay what they are whatever is changed about the scans.
        changes = np.random.default_rng([self._experiment.seed, epoch, index, 1])
        scans = {i: self._scan(self._frames[i], changes) for i in dict.fromkeys(chosen)}
        views = [self._view(scans[i], matrix, own) for i, matrix, own in zip(chosen, transforms, rngs)]
        return TrainingBatch(
            features=tuple(view.features for view in views),
            voxels=tuple(view.voxels for view in views),
            targets=tuple(network_target(view.target) for view in views),
            frames=tuple(str(view.frame) for view in views),
            seed=(epoch, index),
            scans=tuple(view.scan for view in views) if self._with_scans else (),
            rows=tuple(view.rows for view in views) if self._with_scans else (),
        )

    def _transforms(self, rng: np.random.Generator) -> list[np.ndarray]:
        augmentation, n = self._experiment.augmentation, self._experiment.network.n_subnets
        if augmentation.fixed_views:
            return fixed_transforms(n, self._experiment.network.mirrored_views)
        draw = random_transforms if self._experiment.network.mirrored_views else random_near_transforms
        return draw(n, rng, augmentation.max_angle, augmentation.max_shift)

    def _scan(self, frame: Frame, rng: np.random.Generator) -> _Scan:
        points, truth = checked_points(self._dataset.points(frame)), self._dataset.truth(frame)
        grid = self._dataset.grid
        try:
            points, truth = changed_scan(points, truth, grid, self._experiment.augmentation, rng)
        except CloudError as error:
            raise DataError(f"scan {frame}: {error}") from error
        rows = np.flatnonzero(grid.contains(points[:, :3]))
        return _Scan(frame, points, truth, rows, grid.voxel_of(points[rows, :3]))

    def _view(self, scan: _Scan, transform: np.ndarray, rng: np.random.Generator) -> _View:
        points, rows = scan.points, scan.rows
        warped = warp_voxels(scan.voxels, transform, self._dataset.grid)
        around = self._focus(scan, transform, rng)
        for _ in range(_TRIES):  # a crop may hold no point or nothing known
            target = self._target(scan.truth, transform, rng, around)
            inside = target.keeps(warped)
            kept = inside & (rng.random(len(rows)) >= self._experiment.augmentation.point_dropout)
            if kept.any() and inside.any() and (target.semantics[1] != 255).any():
                break
        else:
            raise DataError(
                f"Expected frame {scan.frame} to have points in its known area, got none in {_TRIES} crops"
            )
        rows, warped = rows[kept], warped[kept]
        return _View(
            self._inputs(scan.frame, points, rows), torch.from_numpy(warped), target, scan.frame,
            torch.from_numpy(points) if self._with_scans else torch.empty(0, 4), torch.from_numpy(rows),
        )

    def _focus(self, scan: _Scan, transform: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """(2,) where in the subnet's grid the crop is to lie: at some voxel of a class, each class alike; or None."""
        focus = self._experiment.augmentation.focus
        if focus == 0 or rng.random() >= focus or not len(scan.classes):
            return None
        semantics = scan.truth.semantics
        candidates = np.flatnonzero(semantics.ravel() == rng.choice(scan.classes))
        voxel = np.stack(np.unravel_index(rng.choice(candidates), semantics.shape))
        return warp_voxels(voxel[None].astype(np.int32), transform, self._dataset.grid)[0, :2]

    def _target(
        self, truth: VoxelTruth, transform: np.ndarray, rng: np.random.Generator, around: np.ndarray | None
    ) -> SubnetTarget:
        share = self._experiment.augmentation.crop
        return subnet_target(
            truth, transform, self._experiment.labels, self._dataset.grid, rng=rng,
            crop_share=share if share < 1 else None, crop_around=around,
            swap_empty_and_unknown=self._experiment.targets.swapped_coarse_empty,
        )

    def _inputs(self, frame: Frame, points: np.ndarray, rows: np.ndarray) -> Tensor:
        semantic = None
        if self._features is not None:
            probabilities, embedding = self._features(frame, len(points))
            index = torch.from_numpy(rows)
            semantic = probabilities[index], embedding[index]
        return point_inputs(points[rows], self._dataset.grid, semantic).features


@dataclass(frozen=True)
class ValidationItem:
    """One frame as it is.

    Args:
        frame: its name.
        points: (N, 4) float32.
        truth: of its voxels.
        number: of the frame in the validation data.
    """

    frame: Frame
    points: np.ndarray
    truth: VoxelTruth
    number: int


class ValidationItems(TorchDataset):
    """This device's frames for validation: every frame on exactly one device, so that none counts twice."""

    def __init__(self, dataset: Dataset, frames: Sequence[Frame], rank: int = 0, world: int = 1):
        self._dataset = dataset
        self._numbered = list(enumerate(frames))[rank::world]

    def __len__(self) -> int:
        return len(self._numbered)

    def __getitem__(self, index: int) -> ValidationItem:
        number, frame = self._numbered[index]
        return ValidationItem(frame, self._dataset.points(frame), self._dataset.truth(frame), number)


def one_thread(worker: int) -> None:
    """What a loader process begins with; here, because Lightning, which it does not need, takes seconds to import."""
    torch.set_num_threads(1)
