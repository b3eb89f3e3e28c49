"""Golden vectors and the weights that belong to them: each tensor is drawn from a seed that its key's name gives."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from pasco_core.systems import waffleiron

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "waffleiron"


def key_seeded_tensor(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor of a key by the rule of the golden vectors, see ``test/golden/waffleiron/README.md``."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    source = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    if key.endswith("running_var"):
        value = 0.5 + source.rand(*shape)
    elif key.endswith("running_mean"):
        value = 0.1 * source.randn(*shape)
    elif any(part in key for part in (".norm.", "conv2.0.", "conv2.2.")):
        value = 0.1 * source.randn(*shape) + (1.0 if key.endswith("weight") else 0.0)
    elif key.endswith("scale.weight"):
        value = 0.3 + 0.1 * source.randn(*shape)
    elif len(shape) >= 2:
        value = source.randn(*shape) / math.sqrt(math.prod(shape[1:]))
    else:
        value = 0.1 * source.randn(*shape)
    return torch.from_numpy(np.asarray(value, np.float32))


def _state_of(file: str) -> dict[str, torch.Tensor]:
    shapes = json.loads((GOLDEN / file).read_text())
    return {key: key_seeded_tensor(key, tuple(shape)) for key, shape in shapes.items()}


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "waffleiron_small.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="session")
def small_state() -> dict[str, torch.Tensor]:
    return _state_of("state_dict_small.json")


@pytest.fixture(scope="session")
def published_state() -> dict[str, torch.Tensor]:
    return _state_of("state_dict_published.json")


@pytest.fixture
def small_net(small_state):
    return waffleiron.load_network(small_state)
