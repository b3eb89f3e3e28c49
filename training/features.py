"""WaffleIron's point features for networks that read them: kept on disk in half precision, or made in each step."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pasco_core.atomic_write import atomic_write
from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.frame import Frame
from pasco_core.errors import DataError
from pasco_core.systems import waffleiron
from pasco_core.systems.pasco.feature_network import feature_network
from training.batch import TrainingBatch

_OWN = 2  # geometric channels (intensity, radius) that stand between probabilities and embedding


@dataclass(frozen=True)
class CachedFeatures:
    """Point features of a dataset's frames in a folder: ``<sequence>/<index>.npz``.

    Args:
        folder: that ``fill_cache`` filled.
    """

    folder: Path

    def __call__(self, frame: Frame, n_points: int) -> tuple[Tensor, Tensor]:
        """Class probabilities (N, 19) and embedding (N, width), float32.

        Raises:
            DataError: no such file, a damaged one, or one of another scan.
        """
        path = self.path(frame)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                parts = [torch.from_numpy(arrays[name].astype(np.float32)) for name in ("probabilities", "embedding")]
        except FileNotFoundError as error:
            raise DataError(f"Expected point features of frame {frame} at {path}, got nothing there") from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"Expected {path} to hold point features (.npz), got {error}") from error
        if any(len(part) != n_points for part in parts):
            raise DataError(f"Expected {path} to have features of {n_points} points, got {len(parts[0])}")
        return parts[0], parts[1]

    def path(self, frame: Frame) -> Path:
        return self.folder / frame.sequence / f"{frame.index:06d}.npz"


def cached_features(folder: str | os.PathLike[str]) -> CachedFeatures:
    """Features from a folder.

    Raises:
        DataError: no such folder.
    """
    path = Path(folder)
    if not path.is_dir():
        raise DataError(f"Expected data.feature_cache {path} to be a folder of point features, got nothing there")
    return CachedFeatures(path)


def fill_cache(
    dataset: Dataset, frames: Sequence[Frame], network: waffleiron.WaffleIron, folder: Path
) -> Iterator[tuple[Frame, bool]]:
    """Makes the features of the frames that have none yet; each frame and whether it was made, one by one."""
    cache = CachedFeatures(folder)
    for frame in frames:
        path = cache.path(frame)
        if path.exists():
            yield frame, False
            continue
        probabilities, embedding = network.point_features(dataset.points(frame))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            np.savez(  # type: ignore[arg-type]
                temporary, probabilities=probabilities.cpu().numpy().astype(np.float16),
                embedding=embedding.cpu().numpy().astype(np.float16),
            )
        yield frame, True


def load_feature_network(path: str | os.PathLike[str], in_channels: int) -> waffleiron.WaffleIron:
    """The WaffleIron of a checkpoint, frozen.

    Raises:
        CheckpointError: not a WaffleIron, or its features do not make up the network's input.
    """
    return feature_network(path, in_channels).requires_grad_(False)


def with_features(batch: TrainingBatch, network: waffleiron.WaffleIron) -> TrainingBatch:
    """The batch with the points' features put in place, in the order of ``point_inputs``."""
    completed = []
    for own, scan, rows in zip(batch.features, batch.scans, batch.rows):
        probabilities, embedding = (t[rows.to(t.device)].to(own) for t in network.point_features(scan.cpu().numpy()))
        completed.append(torch.cat([probabilities, own[:, :_OWN], embedding, own[:, _OWN:]], 1))
    return replace(batch, features=tuple(completed), scans=(), rows=())
