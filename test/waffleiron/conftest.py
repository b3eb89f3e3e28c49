"""Golden vectors, the weights that belong to them, and a second implementation to compare with."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pasco_core.systems import waffleiron

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "waffleiron"


def key_seeded_tensor(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor of a key in the golden vectors: drawn from a seed that is the key's CRC-32."""
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


def seeded_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {key: key_seeded_tensor(key, tuple(shape)) for key, shape in shapes.items()}


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "waffleiron_small.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="session")
def published_shapes() -> dict[str, tuple[int, ...]]:
    return {key: tuple(shape) for key, shape in json.loads((GOLDEN / "state_dict_published.json").read_text()).items()}


@pytest.fixture(scope="session")
def small_shapes() -> dict[str, tuple[int, ...]]:
    return {key: tuple(shape) for key, shape in json.loads((GOLDEN / "state_dict_small.json").read_text()).items()}


@pytest.fixture
def small_state(small_shapes) -> dict[str, torch.Tensor]:
    return seeded_state(small_shapes)


@pytest.fixture
def small_net(small_state) -> waffleiron.WaffleIron:
    return waffleiron.load_network(small_state)


@pytest.fixture
def make_net():
    """A function from a config to a network in evaluation mode with key-seeded weights."""

    def make(config: waffleiron.WaffleIronConfig) -> waffleiron.WaffleIron:
        return waffleiron.load_network(seeded_state(waffleiron.expected_shapes(config)), config)

    return make


@pytest.fixture
def random_cloud():
    """A function from a seed and a number to points (N, 4) around the sensor, some outside the field of view."""

    def make(seed: int, n: int) -> np.ndarray:
        source = np.random.default_rng(seed)
        low, high = [-55.0, -55.0, -4.0, 0.0], [55.0, 55.0, 3.0, 1.0]
        return source.uniform(low, high, (n, 4)).astype(np.float32)

    return make


class ChannelFirstReference:
    """The network once more in another layout: tensors [channels, points], matrices for scattering, plain formulas.

    Nothing here is shared with the package: normalisation is written out, the mean per cell is a dense matrix.
    """

    def __init__(self, state: dict[str, torch.Tensor], config: waffleiron.WaffleIronConfig, training: bool):
        self.state, self.config, self.training = state, config, training

    def norm(self, x: torch.Tensor, key: str) -> torch.Tensor:
        axes = tuple(range(1, x.ndim))
        one_per_channel = (-1, *(1,) * (x.ndim - 1))
        if self.training:
            mean, variance = x.mean(axes), x.var(axes, unbiased=False)
        else:
            mean, variance = self.state[f"{key}.running_mean"], self.state[f"{key}.running_var"]
        x = (x - mean.view(one_per_channel)) / torch.sqrt(variance.view(one_per_channel) + 1e-5)
        return x * self.state[f"{key}.weight"].view(one_per_channel) + self.state[f"{key}.bias"].view(one_per_channel)

    def conv(self, x: torch.Tensor, key: str) -> torch.Tensor:
        weight = self.state[f"{key}.weight"].flatten(1)
        y = torch.einsum("oi,i...->o...", weight, x)
        bias = self.state.get(f"{key}.bias")
        return y if bias is None else y + bias.view(-1, *(1,) * (x.ndim - 1))

    def __call__(self, features: torch.Tensor, neighbours: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """Logits [classes, M] of features [5, M], neighbours [M, K], cells [planes, M]."""
        x = self.norm(features, "embed.norm")
        differences = x[:, neighbours] - x[:, :, None]
        hidden = self.conv(self.norm(differences, "embed.conv2.0"), "embed.conv2.1")
        response = self.conv(F.relu(self.norm(hidden, "embed.conv2.2")), "embed.conv2.4")
        x = self.conv(torch.cat([self.conv(x, "embed.conv1"), response.max(dim=2).values]), "embed.final")
        for i in range(self.config.depth):
            plane = i % len(self.config.planes)
            x = x + self.token_update(x, f"waffleiron.spatial_mix.{i}", cells[plane], self.config.grids[plane])
            x = x + self.channel_update(x, f"waffleiron.channel_mix.{i}")
        return self.conv(x, "classif")

    def token_update(self, x: torch.Tensor, key: str, cells: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        member = F.one_hot(cells, grid[0] * grid[1]).to(x.dtype)
        image = self.norm(x, f"{key}.norm") @ (member / (member.sum(0) + 1e-6))
        image = image.view(1, -1, *grid)
        for layer in ("ffn.0", "ffn.2"):
            weight, bias = self.state[f"{key}.{layer}.weight"], self.state[f"{key}.{layer}.bias"]
            image = F.conv2d(image, weight, bias, padding=1, groups=len(weight))
            image = F.relu(image) if layer == "ffn.0" else image
        return image.flatten(2)[0][:, cells] * self.state[f"{key}.scale.weight"].view(-1, 1)

    def channel_update(self, x: torch.Tensor, key: str) -> torch.Tensor:
        hidden = F.relu(self.conv(self.norm(x, f"{key}.norm"), f"{key}.mlp.0"))
        return self.conv(hidden, f"{key}.mlp.2") * self.state[f"{key}.scale.weight"].view(-1, 1)


@pytest.fixture
def reference():
    return ChannelFirstReference
