"""Which frames are learnt from, in which order they come, and how much more often those with rare classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.frame import Frame, VoxelTruth
from training.config import Experiment


class EpochSampler(Sampler[tuple[int, int]]):
    """(epoch, index) of this device's items, in an order drawn anew for each epoch; can begin in the middle of one.

    Every device gets the same number of items: what is missing to a multiple is filled up from the beginning, because
    devices that train together must take the same number of steps.

    Args:
        n_items: in the data.
        share: of them in one epoch.
        seed: of the order.
        rank, world: this device, and how many there are.
        repeats: (n_items,) how often each comes for once of an item with 1, on average; None: each comes once.
    """

    def __init__(
        self, n_items: int, share: float, seed: int, rank: int = 0, world: int = 1, repeats: np.ndarray | None = None
    ):
        self._n_items, self._seed, self._rank, self._world = n_items, seed, rank, world
        self._shares = None if repeats is None else repeats / repeats.sum()
        self._n_epoch = max(1, round(n_items * share))
        self.epoch = 0
        self._done = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        if epoch != self.epoch:
            self._done = 0
        self.epoch = epoch

    def continue_from(self, epoch: int, done: int) -> None:
        """The next iteration leaves out the first ``done`` items of ``epoch``, which were trained on already."""
        self.epoch, self._done = epoch, done

    def __len__(self) -> int:
        return -(-self._n_epoch // self._world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng([self._seed, self.epoch])
        if self._shares is None:
            order = rng.permutation(self._n_items)[: self._n_epoch]
        else:
            order = rng.choice(self._n_items, self._n_epoch, p=self._shares)
        padded = np.resize(order, len(self) * self._world)
        mine = padded[self._rank :: self._world][self._done :]
        self._done = 0
        yield from ((self.epoch, int(index)) for index in mine)


def chosen_frames(dataset: Dataset, split: str, sequences: Sequence[str]) -> list[Frame]:
    """The frames of some sequences; without any, those of a split, "" for all."""
    if sequences:
        return dataset.frames(sequences=list(sequences))
    return dataset.frames(split or None)


def epoch_sampler(
    experiment: Experiment, dataset: Dataset, frames: Sequence[Frame], rank: int = 0, world: int = 1
) -> EpochSampler:
    """The order in which an experiment's training frames come on one device; reads their truth if rare ones count."""
    data, repeats = experiment.data, None
    if data.rare_class_share > 0:
        repeats = repeat_factors(class_presence(dataset, frames), data.rare_class_share)
    return EpochSampler(len(frames), data.train_share, experiment.seed, rank, world, repeats)


def classes_in(truth: VoxelTruth, n_classes: int) -> np.ndarray:
    """(n_classes,) bool: which classes have a voxel; unknown is none of them."""
    return np.bincount(truth.semantics.ravel(), minlength=n_classes)[:n_classes] > 0


def class_presence(dataset: Dataset, frames: Sequence[Frame]) -> np.ndarray:
    """(frames, classes) bool: which classes each frame has a voxel of; the truth of all frames is read."""
    n_classes = dataset.labels.n_classes
    return np.stack([classes_in(dataset.truth(frame), n_classes) for frame in frames])


def repeat_factors(presence: np.ndarray, rare_share: float) -> np.ndarray:
    """How often each frame is to come for once of one without a rare class (Gupta et al., LVIS, CVPR 2019, section 4).

    Args:
        presence: (frames, classes) bool.
        rare_share: a class in a smaller share of the frames is rare; its frames come the square root of
            ``rare_share / share`` times. The factor of a frame is that of its rarest class.

    Returns:
        (frames,) float64, at least 1.

    >>> repeat_factors(np.array([[True, True], [True, False], [True, False], [True, False]]), 1.0)
    array([2., 1., 1., 1.])
    """
    share = np.maximum(presence.mean(axis=0), 1 / len(presence))
    factors = np.maximum(1.0, np.sqrt(rare_share / share))
    return np.where(presence, factors, 1.0).max(axis=1)
