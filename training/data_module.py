"""Lightning's view of the data: loaders of training items and validation frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
from torch.utils.data import DataLoader

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.frame import Frame
from pasco_core.errors import ConfigError, DataError
from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS
from training.config import Experiment
from training.features import cached_features
from training.items import TrainingItems, ValidationItems, one_thread
from training.sampling import EpochSampler, chosen_frames, epoch_sampler


class SceneData(pl.LightningDataModule):
    """Loaders over a dataset; where a training stopped within an epoch, the next one goes on with the item after.

    Args:
        experiment: what to load and how.
        dataset: default: the one at ``experiment.data.root``.
    """

    def __init__(self, experiment: Experiment, dataset: Dataset | None = None):
        super().__init__()
        self.experiment = experiment
        self.dataset = dataset or _open(experiment)
        if self.dataset.labels.n_classes != experiment.labels.n_classes:
            raise ConfigError(
                f"Expected data.labels to be those of the dataset, {self.dataset.labels.name}, "
                f"got {experiment.labels.name}"
            )
        data = experiment.data
        self.train_frames = _frames(self.dataset, "train", data.train_split, data.train_sequences)
        self.val_frames = _spread(_frames(self.dataset, "val", data.val_split, data.val_sequences), data.val_frames)
        self._sampler: EpochSampler | None = None
        self._continue_from: tuple[int, int] | None = None

    def train_dataloader(self) -> DataLoader:
        """Items one by one."""
        items = self.training_items()
        rank, world = self._place()
        self._sampler = epoch_sampler(self.experiment, self.dataset, self.train_frames, rank, world)
        if self._continue_from is not None:
            self._sampler.continue_from(*self._continue_from)
            self._continue_from = None
        return self._loader(items, sampler=self._sampler)

    def training_items(self) -> TrainingItems:
        """What the training loader makes, item by item."""
        data, network = self.experiment.data, self.experiment.network
        reads_features = network.in_channels > GEOMETRIC_CHANNELS
        features = cached_features(data.feature_cache) if reads_features and data.feature_cache else None
        with_scans = reads_features and features is None
        return TrainingItems(self.dataset, self.train_frames, self.experiment, features, with_scans)

    def val_dataloader(self) -> DataLoader:
        """Frames one by one, each on one device only."""
        return self._loader(ValidationItems(self.dataset, self.val_frames, *self._place()))

    def state_dict(self) -> dict[str, Any]:
        """How far the epoch is."""
        trainer = self.trainer
        assert trainer is not None
        return {"epoch": trainer.current_epoch, "done": trainer.fit_loop.epoch_loop.batch_progress.current.ready}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._continue_from = (int(state_dict["epoch"]), int(state_dict["done"]))

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, items: Any, **options: Any) -> DataLoader:
        workers = self.experiment.data.workers
        return DataLoader(
            items, batch_size=None, num_workers=workers, persistent_workers=workers > 0,
            multiprocessing_context="spawn" if workers else None, prefetch_factor=4 if workers else None,
            worker_init_fn=one_thread if workers else None, **options,
        )


def _open(experiment: Experiment) -> Dataset:
    from pasco_core.data.datasets import open_dataset

    data = experiment.data
    if not data.root:
        raise ConfigError("Expected a dataset to train on, got none; give --data ROOT or data.root in the experiment")
    return open_dataset(data.root, data.truth_root or None)


def _frames(dataset: Dataset, part: str, split: str, sequences: Sequence[str]) -> list[Frame]:
    """``chosen_frames``; where there are none, the error says how to come to some."""
    try:
        return chosen_frames(dataset, split, sequences)
    except DataError as error:
        if sequences:
            raise
        other = f"--set \"data.{part}_sequences=['NAME']\" takes another one"
        raise DataError(f"{error}; {other}, and `pasco data simulate` makes those of its --sequences") from error


def _spread(frames: list[Frame], n: int) -> list[Frame]:
    """At most n of the frames, evenly spread."""
    if n == 0 or n >= len(frames):
        return frames
    return [frames[i] for i in np.linspace(0, len(frames) - 1, n).round().astype(int)]
