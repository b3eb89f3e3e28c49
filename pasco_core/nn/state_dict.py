"""Whether weights fit a network, with every entry accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pasco_core.errors import CheckpointError


def dtype_of(key: str) -> torch.dtype:
    """Type of an entry: float32, but int64 for the batch counters of norms."""
    return torch.int64 if key.endswith("num_batches_tracked") else torch.float32


def without_module_prefix(state: Mapping[str, Any]) -> dict[str, Any]:
    """The same entries without the ``module.`` that distributed training puts before every key.

    >>> without_module_prefix({"module.weight": 1}), without_module_prefix({"module.weight": 1, "bias": 2})
    ({'weight': 1}, {'module.weight': 1, 'bias': 2})
    """
    prefix = "module."
    if all(isinstance(key, str) and key.startswith(prefix) for key in state):
        return {key[len(prefix) :]: value for key, value in state.items()}
    return dict(state)


def check_state_dict(
    state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], network: str, most: int | None = 10
) -> None:
    """Names what is missing, unexpected, misshapen, of another type or not finite.

    Args:
        state: key → tensor.
        shapes: key → shape of every entry the network has.
        network: what the weights should be those of, for the message.
        most: entries named of each kind; None: all.

    Raises:
        CheckpointError: anything is found.
    """
    tensors = {key: value for key, value in state.items() if key in shapes and isinstance(value, Tensor)}
    floats = {key: value for key, value in tensors.items() if dtype_of(key).is_floating_point}
    found = {
        "missing": [key for key in shapes if key not in state],
        "unexpected": [str(key) for key in state if key not in shapes],
        "not a tensor": [key for key in state if key in shapes and key not in tensors],
        "misshapen": [
            f"{key} {tuple(value.shape)} instead of {shapes[key]}"
            for key, value in tensors.items()
            if tuple(value.shape) != tuple(shapes[key])
        ],
        "of another type": [f"{key} {value.dtype}" for key, value in floats.items() if not value.is_floating_point()],
        "with NaN or infinity": [key for key, value in floats.items() if not torch.isfinite(value).all()],
    }
    problems = [f"{len(keys)} {kind}: {some_of(keys, most)}" for kind, keys in found.items() if keys]
    if problems:
        raise CheckpointError(f"Expected the weights to fit {network}, got " + "; ".join(problems))


def some_of(names: list[str], most: int | None = 10) -> str:
    """The names in one line, at most ``most`` of them.

    >>> some_of(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = names if most is None else names[:most]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(shown) < len(names) else "")
