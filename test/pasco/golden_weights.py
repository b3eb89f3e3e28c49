"""The weights behind the golden vectors: each tensor is drawn from a generator seeded by its key."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pasco_core.systems.pasco import PaSCo, PaSCoConfig, PaSCoOutput, load_network
from pasco_core.systems.pasco.weights import expected_shapes

FOLDER = Path(__file__).parent.parent / "golden" / "pasco"
EMPTY_BIAS = 1.2  # added to class 0 of every completion head, so that pruning really prunes
CASES = {
    "semkitti_n1_f8": PaSCoConfig(n_subnets=1, n_classes=20, in_channels=283, width=8),
    "semkitti_n1_f8_heavy": PaSCoConfig(n_subnets=1, n_classes=20, in_channels=283, width=8, heavy=True),
    "semkitti_n3_f8": PaSCoConfig(n_subnets=3, n_classes=20, in_channels=283, width=8),
    "kitti360_n2_f8": PaSCoConfig(n_subnets=2, n_classes=19, in_channels=8, width=8),
}


def golden_state_dict(config: PaSCoConfig) -> dict[str, Tensor]:
    """Every key of the network with the golden values."""
    state = {key: torch.from_numpy(_values(key, shape)) for key, shape in expected_shapes(config).items()}
    for key in state:
        if ".completion_heads." in key and key.endswith(".bias"):
            state[key][:, 0] += EMPTY_BIAS
    return state


def _values(key: str, shape: tuple[int, ...]) -> np.ndarray:
    leaf = key.split(".")[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    rng = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    norm = any(part in key for part in (".bn.", "norm", ".bn_"))
    norm = norm or ("PPmodel" in key and leaf == "weight" and len(shape) == 1)
    if leaf == "running_var":
        values = 0.5 + rng.rand(*shape)
    elif leaf == "running_mean" or (norm and leaf != "weight"):
        values = 0.1 * rng.randn(*shape)
    elif norm:
        values = 1 + 0.1 * rng.randn(*shape)
    elif leaf == "kernel":
        values = rng.randn(*shape) / np.sqrt(np.prod(shape[:-1]))
    elif len(shape) >= 2:
        values = rng.randn(*shape) / np.sqrt(np.prod(shape[1:]))
    else:
        values = 0.1 * rng.randn(*shape)
    return values.astype(np.float32)


def golden_case(name: str) -> tuple[np.lib.npyio.NpzFile, PaSCo, PaSCoOutput]:
    """The golden numbers of a case, our network with its weights, and what it says of its inputs."""
    data, config = np.load(FOLDER / f"net_{name}.npz"), CASES[name]
    network = load_network(golden_state_dict(config))
    features = torch.from_numpy(data["point_feats"])
    coords = [torch.from_numpy(np.ascontiguousarray(data[f"in_coords_{i}"])) for i in range(config.n_subnets)]
    boxes = (torch.from_numpy(data["min_C"]), torch.from_numpy(data["max_C"]))
    with torch.inference_mode():
        output = network([features] * config.n_subnets, coords, *boxes)
    return data, network, output


def raster_order(coords: np.ndarray) -> np.ndarray:
    """Order that sorts (N, 3) coordinates by x, then y, then z."""
    return np.lexsort(coords.T[::-1])
