"""Files as the authors' training scripts leave them, with small random weights."""

from __future__ import annotations

import sys
import types
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch

from pasco_core.systems import waffleiron
from pasco_core.systems.pasco import PaSCoConfig
from pasco_core.systems.pasco.weights import expected_shapes

SMALL = {"width": 4, "query_channels": 48, "ffn_channels": 16, "n_queries": 6, "point_channels": (8, 8, 8)}
VARIANTS = {
    "semkitti_n1": {"in_channels": 283}, "semkitti_n3": {"in_channels": 283, "n_subnets": 3},
    "kitti360_n1": {"n_classes": 19}, "kitti360_n2": {"n_classes": 19, "n_subnets": 2},
    "semkitti_n1_heavy": {"in_channels": 283, "heavy": True},
    "semkitti_n3_heavy": {"in_channels": 283, "n_subnets": 3, "heavy": True},
}
ALIASES = ("unet3d.transformer_predictor.", "unet3d.decoder_generative.transformer_predictor.")


def random_weights(shapes, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.tensor(7) if key.endswith("num_batches_tracked") else torch.randn(shape, generator=generator)
        for key, shape in shapes.items()
    }


def authors_state(config: PaSCoConfig) -> OrderedDict[str, torch.Tensor]:
    """Every weight under the authors' names: the transformer three times, the losses' buffers too."""
    state = OrderedDict(random_weights(expected_shapes(config)))
    for alias in ALIASES:
        state.update({alias + key.split(".", 1)[1]: value for key, value in list(state.items())
                      if key.startswith("transformer_predictor.")})
    state["criterion.empty_weight"] = torch.ones(config.n_classes + 1)
    state["criterion.compl_labelweights"] = torch.rand(config.n_classes)
    return state


def lightning_file(state, **settings) -> dict:
    """What Lightning 1.9 stores beside the weights."""
    weight = next(iter(state.values()))
    return {
        "epoch": 29, "global_step": 114_000, "pytorch-lightning_version": "1.9.0", "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 30, "completed": 29}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val/pq'}": {
            "monitor": "val/pq", "best_model_score": torch.tensor(0.26),
            "best_k_models": {"a.ckpt": torch.tensor(0.26)},
            "kth_value": torch.tensor(0.1), "dirpath": "runs/1",
        }},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros_like(weight)}},
                              "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0]}]}],
        "lr_schedulers": [{"milestones": Counter({20: 1}), "gamma": 0.1, "_last_lr": [1e-5]}],
        "hparams_name": "kwargs",
        "hyper_parameters": {
            "n_classes": 20, "class_frequencies": np.array([5.4e9, 1.5e7, 3.0e5]), "sample_query_class": True,
            "class_weights": [torch.rand(3), torch.rand(3)], "compl_labelweights": torch.rand(3),
            "lr": np.float64(1e-4),
            "class_frequencies_by_scale": {"1_1": np.arange(6, dtype=np.int64).reshape(2, 3)}, **settings,
        },
    }


@pytest.fixture
def small_config():
    """PaSCoConfig of a variant by its name, at a width that takes milliseconds."""
    return lambda name: PaSCoConfig(**SMALL, **VARIANTS[name])


@pytest.fixture(params=VARIANTS)
def variant(request) -> str:
    return request.param


@pytest.fixture
def make_state():
    return authors_state


@pytest.fixture
def make_lightning_file():
    return lightning_file


@pytest.fixture
def waffleiron_state() -> dict[str, torch.Tensor]:
    return random_weights(waffleiron.expected_shapes(waffleiron.WaffleIronConfig(channels=8, depth=3)))


@pytest.fixture
def lightning_types(monkeypatch):
    """A function that makes Lightning's AttributeDict under a module name for saving, and forgets it afterwards."""

    def make(module_name: str, name: str = "AttributeDict") -> type:
        parts = module_name.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
        kind = type(name, (dict,), {"__module__": module_name, "__qualname__": name})
        setattr(sys.modules[module_name], name, kind)
        return kind

    return make
