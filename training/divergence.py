"""A training that diverges stops, and leaves what is needed to see why: the batch, the weights, the losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pasco_core.atomic_write import atomic_write
from pasco_core.errors import InferenceError
from training.batch import TrainingBatch, load_batch, save_batch


class TrainingDiverged(InferenceError):
    """A loss, a logit or a gradient that is not finite."""


def save_for_replay(
    folder: Path, step: int, rank: int, batch: TrainingBatch, network: nn.Module, notes: Mapping[str, Any]
) -> Path:
    """Writes ``step_<step>_rank_<rank>.npz`` with the batch and ``….safetensors`` with the weights before the step."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{step:06d}_rank_{rank}.npz"
    save_batch(path, batch, {"step": step, **notes})
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in network.state_dict().items()}
    with atomic_write(path.with_suffix(".safetensors")) as temporary:
        save_file(weights, temporary)
    return path


def load_replay(path: str | Path) -> tuple[TrainingBatch, dict[str, Tensor], dict[str, Any]]:
    """The batch, the network's weights and the notes that ``save_for_replay`` wrote.

    Raises:
        DataError: not such a file.
    """
    batch, notes = load_batch(path)
    return batch, load_file(Path(path).with_suffix(".safetensors")), notes


def not_finite(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """The losses that are NaN or infinite."""
    values = {name: float(value.detach()) for name, value in losses.items()}
    return {name: value for name, value in values.items() if not math.isfinite(value)}
