"""Checkpoints and configs: what is read off the keys, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from pasco_core.errors import CheckpointError, ConfigError
from pasco_core.systems import waffleiron
from pasco_core.systems.waffleiron import WaffleIronConfig, expected_shapes, load_network


def test_expected_shapes_are_those_of_the_small_checkpoint(small_shapes):
    assert expected_shapes(WaffleIronConfig(channels=32, depth=6)) == small_shapes


def test_expected_shapes_allocate_nothing():
    shapes = expected_shapes(WaffleIronConfig(channels=100_000, depth=2))
    assert shapes["waffleiron.channel_mix.1.mlp.0.weight"] == (100_000, 100_000, 1)


def test_keys_prefixed_by_distributed_training_load_the_same(small_state, golden):
    plain = load_network(small_state)
    prefixed = load_network({f"module.{key}": value for key, value in small_state.items()})
    points = golden["points"][:200]
    assert torch.equal(plain.point_features(points)[0], prefixed.point_features(points)[0])


def test_a_loaded_network_evaluates_and_shares_no_memory_with_the_checkpoint(small_state):
    net = load_network(small_state)
    assert not net.training
    assert all(not module.training for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())
    small_state["classif.bias"].fill_(7)
    assert not (net.classif.bias == 7).any()


def test_half_precision_checkpoints_become_float32(small_state):
    net = load_network({k: v.half() if v.is_floating_point() else v for k, v in small_state.items()})
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}


def test_loading_leaves_the_global_random_state_alone(small_state):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_network(small_state)
    assert torch.equal(torch.rand(1), expected)


def test_every_wrong_entry_is_named(small_state):
    del small_state["embed.conv1.weight"], small_state["waffleiron.spatial_mix.2.ffn.0.bias"]
    small_state["extra.weight"] = torch.zeros(1)
    small_state["waffleiron.channel_mix.0.mlp.0.weight"] = torch.zeros(32, 31, 1)
    small_state["embed.norm.bias"] = [0.0] * 5
    small_state["classif.bias"] = torch.zeros(19, dtype=torch.int32)
    small_state["embed.final.bias"][3] = torch.nan
    with pytest.raises(CheckpointError) as error:
        load_network(small_state)
    message = str(error.value)
    for part in (
        "6 blocks, 32 channels, 19 classes",
        "2 missing: embed.conv1.weight, waffleiron.spatial_mix.2.ffn.0.bias",
        "1 unexpected: extra.weight",
        "1 not a tensor: embed.norm.bias",
        "1 misshapen: waffleiron.channel_mix.0.mlp.0.weight (32, 31, 1) instead of (32, 32, 1)",
        "1 of another type: classif.bias torch.int32",
        "1 with NaN or infinity: embed.final.bias",
    ):
        assert part in message


def test_a_missing_block_is_named_entry_by_entry(small_state):
    state = {key: value for key, value in small_state.items() if "_mix.3." not in key}
    with pytest.raises(CheckpointError, match=r"5 blocks.*missing: .*mix\.3\.norm\.weight.*unexpected: .*mix\.5"):
        load_network(state)


def test_a_hostile_block_index_does_not_ask_for_a_billion_blocks(small_state):
    small_state["waffleiron.channel_mix.999999999.norm.weight"] = torch.zeros(32)
    with pytest.raises(CheckpointError, match=r"1 unexpected: waffleiron\.channel_mix\.999999999\.norm\.weight"):
        load_network(small_state)


@pytest.mark.parametrize("state", [{}, {"conv.weight": torch.zeros(3)}, {"classif.weight": "not a tensor"}])
def test_another_networks_checkpoint_is_refused(state):
    with pytest.raises(CheckpointError, match=r"to be a WaffleIron network.*tell .*depth, got"):
        load_network(state)


def test_a_partly_prefixed_checkpoint_is_refused(small_state):
    small_state["module.classif.bias"] = small_state.pop("classif.bias")
    with pytest.raises(CheckpointError, match=r"1 missing: classif\.bias; 1 unexpected: module\.classif\.bias"):
        load_network(small_state)


def test_the_geometry_of_another_sensor_is_kept_while_sizes_come_from_the_keys(small_state):
    geometry = WaffleIronConfig(channels=1, depth=1, voxel_size=0.2, field_of_view=((-80, -80, -5), (80, 80, 5)))
    config = load_network(small_state, geometry).config
    assert config == dataclasses.replace(geometry, channels=32, depth=6, n_classes=19)


def test_a_config_survives_json():
    config = WaffleIronConfig(channels=8, planes=(1, 0), grids=((3, 4), (5, 6)))
    again = WaffleIronConfig(**json.loads(json.dumps(dataclasses.asdict(config))))
    assert again == config and hash(again) == hash(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 0}, "channels to be a positive integer, got 0"),
        ({"depth": 2.0}, "depth to be a positive integer, got 2.0"),
        ({"neighbours": True}, "neighbours to be a positive integer, got True"),
        ({"voxel_size": float("nan")}, "voxel_size to be at least 0.01 m, got nan"),
        ({"voxel_size": 1e-9}, "voxel_size to be at least 0.01 m, got 1e-09"),
        ({"voxel_size": "0.1"}, "voxel_size to be at least 0.01 m, got '0.1'"),
        ({"planes": (2, 3, 0)}, r"planes to be axes out of 0, 1 and 2, got \(2, 3, 0\)"),
        ({"planes": ()}, r"planes to be axes out of 0, 1 and 2, got \(\)"),
        ({"planes": 2}, "planes to be axes out of 0, 1 and 2, got 2"),
        ({"planes": (2, 1)}, r"grids to be 2 pairs .* one per plane, got \(\(250, 250\)"),
        ({"grids": ((250, 250), (250,), (250, 12))}, "grids to be 3 pairs"),
        ({"grids": ((250, 250), (250, -1), (250, 12))}, "grids to be 3 pairs"),
        ({"field_of_view": ((0, 0, 0), (1, 1, 0))}, "field_of_view to be a lower and a higher corner"),
        ({"field_of_view": ((0, 0, 0), (1, 1, float("inf")))}, "field_of_view to be a lower and a higher corner"),
        ({"field_of_view": None}, "field_of_view to be a lower and a higher corner .* got None"),
        ({"augment_features": 1}, "augment_features to be true or false, got 1"),
    ],
)
def test_a_config_value_that_breaks_its_rule_is_refused_by_name(change, message):
    with pytest.raises(ConfigError, match=message):
        WaffleIronConfig(**change)


def test_the_public_names_exist():
    assert all(hasattr(waffleiron, name) for name in waffleiron.__all__)
