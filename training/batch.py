"""One item of training: what n subnets read, what they should say, and how it is saved for replay."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pasco_core.atomic_write import atomic_write
from pasco_core.errors import DataError
from pasco_core.systems.pasco.config import STRIDES
from pasco_core.systems.pasco.losses import SubnetTarget


@dataclass(frozen=True)
class TrainingBatch:
    """An item; a step of one device sees one.

    Args:
        features: per subnet (P_i, C) float32.
        voxels: per subnet (P_i, 3) int32, in its warped grid.
        targets: per subnet.
        frames: per subnet the name of its scan.
        seed: (epoch, index) of the item, from which everything random in it was drawn.
        scans: per subnet (N_i, 4), the whole scan, where point features are still to be made; else empty.
        rows: per subnet (P_i,) int64, which points of the scan the features belong to; empty like ``scans``.
    """

    features: tuple[Tensor, ...]
    voxels: tuple[Tensor, ...]
    targets: tuple[SubnetTarget, ...]
    frames: tuple[str, ...]
    seed: tuple[int, int]
    scans: tuple[Tensor, ...] = ()
    rows: tuple[Tensor, ...] = ()

    @property
    def box_min(self) -> Tensor:
        """(n, 3) int32."""
        return torch.stack([target.origin for target in self.targets])

    @property
    def box_max(self) -> Tensor:
        """(n, 3) int32, inclusive."""
        return torch.stack([target.upper for target in self.targets])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TrainingBatch:
        """The same on a device; the name and signature are what Lightning looks for. Scans stay where they are."""

        def move(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(tensor.to(device, non_blocking=non_blocking) for tensor in tensors)

        targets = tuple(_target_to(target, device, non_blocking) for target in self.targets)
        return replace(self, features=move(self.features), voxels=move(self.voxels), targets=targets)


def save_batch(path: str | os.PathLike[str], batch: TrainingBatch, notes: Mapping[str, Any]) -> None:
    """Write a batch as one .npz without pickle.

    Args:
        path: ends in ``.npz``.
        batch: on any device.
        notes: plain JSON values that belong to it, such as the step and the losses.
    """
    arrays: dict[str, np.ndarray] = {}
    for i, target in enumerate(batch.targets):
        arrays[f"features_{i}"] = batch.features[i].detach().cpu().numpy()
        arrays[f"voxels_{i}"] = batch.voxels[i].cpu().numpy()
        for stride in STRIDES:
            arrays[f"semantics_{i}_{stride}"] = target.semantics[stride].cpu().numpy()
        for name in ("origin", "upper", "segments", "segment_classes"):
            arrays[f"{name}_{i}"] = getattr(target, name).cpu().numpy()
    meta = {"n_subnets": len(batch.targets), "frames": batch.frames, "seed": batch.seed, "notes": dict(notes)}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def load_batch(path: str | os.PathLike[str]) -> tuple[TrainingBatch, dict[str, Any]]:
    """The batch and the notes that ``save_batch`` wrote.

    Raises:
        DataError: the file is missing, damaged or not such a batch.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            meta = json.loads(arrays["meta"].tobytes())
            subnets = range(int(meta["n_subnets"]))
            targets = tuple(_load_target(arrays, i) for i in subnets)
            batch = TrainingBatch(
                features=tuple(torch.from_numpy(arrays[f"features_{i}"]) for i in subnets),
                voxels=tuple(torch.from_numpy(arrays[f"voxels_{i}"]) for i in subnets),
                targets=targets,
                frames=tuple(meta["frames"]),
                seed=tuple(meta["seed"]),
            )
            return batch, meta["notes"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"Expected {path} to be a saved training batch (.npz), got {error}") from error


def _load_target(arrays: Mapping[str, np.ndarray], i: int) -> SubnetTarget:
    return SubnetTarget(
        origin=torch.from_numpy(arrays[f"origin_{i}"]),
        upper=torch.from_numpy(arrays[f"upper_{i}"]),
        semantics={stride: torch.from_numpy(arrays[f"semantics_{i}_{stride}"]) for stride in STRIDES},
        segments=torch.from_numpy(arrays[f"segments_{i}"]),
        segment_classes=torch.from_numpy(arrays[f"segment_classes_{i}"]),
    )


def _target_to(target: SubnetTarget, device: torch.device | str, non_blocking: bool) -> SubnetTarget:
    return SubnetTarget(
        target.origin.to(device, non_blocking=non_blocking),
        target.upper.to(device, non_blocking=non_blocking),
        {stride: volume.to(device, non_blocking=non_blocking) for stride, volume in target.semantics.items()},
        target.segments.to(device, non_blocking=non_blocking),
        target.segment_classes.to(device, non_blocking=non_blocking),
    )
