"""The network against the original's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_weights import CASES, golden_case, golden_state_dict, raster_order

from pasco_core.errors import CheckpointError
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco import PaSCoConfig, load_network
from pasco_core.systems.pasco.weights import expected_shapes

LOGIT_TOLERANCE, MASK_TOLERANCE = 1e-4, 1e-2


@pytest.fixture(scope="module", params=list(CASES))
def case(request):
    return request.param, *golden_case(request.param)


def assert_same_voxels_and_values(ours: SparseTensor, coords: np.ndarray, values: np.ndarray, tolerance: float):
    mine = ours.coords[:, 1:].numpy()
    order, golden_order = raster_order(mine), raster_order(coords)
    np.testing.assert_array_equal(mine[order], coords[golden_order])
    np.testing.assert_allclose(ours.feats.numpy()[order], values[golden_order], rtol=0, atol=tolerance)


def test_the_variant_is_read_off_the_weights(case):
    name, _, network, _ = case
    assert network.config == CASES[name]


def test_merged_voxels_equal_the_golden_ones(case):
    _, data, network, _ = case
    n = network.config.n_subnets
    coords = [torch.from_numpy(np.ascontiguousarray(data[f"in_coords_{i}"])) for i in range(n)]
    with torch.inference_mode():
        merged = network.feat([torch.from_numpy(data["point_feats"])] * n, coords)
    assert_same_voxels_and_values(merged, data["merged_coords"], data["merged_feats"], LOGIT_TOLERANCE)


@pytest.mark.parametrize("stride", [4, 2, 1])
def test_semantic_logits_equal_the_golden_ones_at_every_stride(case, stride):
    _, data, network, output = case
    for i in range(network.config.n_subnets):
        golden = data[f"sem_coords_s{stride}"], data[f"sem_logits_s{stride}_{i}"]
        assert_same_voxels_and_values(output.semantic_logits[stride][i], *golden, LOGIT_TOLERANCE)


def test_query_logits_equal_the_golden_ones_after_every_layer(case):
    _, data, network, output = case
    for i in range(network.config.n_subnets):
        layers = [(f"aux{k}_query_logits_{i}", output.auxiliary[i][k].query_logits) for k in range(3)]
        for key, logits in [*layers, (f"query_logits_{i}", output.query_logits[i])]:
            np.testing.assert_allclose(logits.numpy(), data[key], rtol=0, atol=LOGIT_TOLERANCE, err_msg=key)


def test_mask_logits_equal_the_golden_ones(case):
    _, data, network, output = case
    for i in range(network.config.n_subnets):
        every_tenth = output.mask_logits[i].with_feats(output.mask_logits[i].feats[:, ::10])
        golden = data[f"mask_coords_{i}"], data[f"mask_logits_every10th_query_{i}"]
        assert_same_voxels_and_values(every_tenth, *golden, MASK_TOLERANCE)


def test_the_golden_numbers_need_the_padding_of_several_subnets():
    data, network, _ = golden_case("semkitti_n3_f8")
    network.pad_leak = False
    features, n = torch.from_numpy(data["point_feats"]), 3
    coords = [torch.from_numpy(np.ascontiguousarray(data[f"in_coords_{i}"])) for i in range(n)]
    with torch.inference_mode():
        output = network([features] * n, coords, torch.from_numpy(data["min_C"]), torch.from_numpy(data["max_C"]))
    differences = [np.abs(output.query_logits[i].numpy() - data[f"query_logits_{i}"]).max() for i in range(n)]
    assert max(differences) > 10 * LOGIT_TOLERANCE


@pytest.mark.parametrize(
    ("config", "n_parameters"),
    [
        (PaSCoConfig(1, 20, 283), 117_023_641),
        (PaSCoConfig(3, 20, 283), 126_495_889),
        (PaSCoConfig(1, 20, 283, heavy=True), 111_050_393),
        (PaSCoConfig(3, 20, 283, heavy=True), 120_522_641),
        (PaSCoConfig(1, 19, 8), 117_004_655),
        (PaSCoConfig(2, 19, 8), 121_740_328),
    ],
)
def test_published_variants_have_the_published_number_of_parameters(config, n_parameters):
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    shapes = {key: shape for key, shape in expected_shapes(config).items() if not key.endswith(buffers)}
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == n_parameters


def test_four_subnets_load_and_run():
    config = PaSCoConfig(n_subnets=4, in_channels=8, width=8)
    network = load_network(golden_state_dict(config))
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(50, 8, generator=generator)] * 4
    coords = [torch.randint(0, 16, (50, 3), generator=generator, dtype=torch.int32) for _ in range(4)]
    bounds = torch.zeros(4, 3, dtype=torch.int32)
    output = network(features, coords, bounds, bounds + 15)
    assert len(output.query_logits) == len(output.mask_logits) == len(output.semantic_logits[1]) == 4


def test_aliases_and_loss_buffers_of_the_authors_files_are_accepted():
    state = golden_state_dict(CASES["kitti360_n2_f8"])
    aliases = {
        f"{prefix}{key}": value.clone()
        for key, value in state.items()
        for prefix in ("unet3d.", "unet3d.decoder_generative.")
        if key.startswith("transformer_predictor.")
    }
    assert load_network({**state, **aliases, "criterion.empty_weight": torch.ones(20)}).config.n_subnets == 2
    key = "unet3d.transformer_predictor.class_embed.bias"
    with pytest.raises(CheckpointError, match=f"Expected {key} to be equal to transformer_predictor.class_embed.bias"):
        load_network({**state, **aliases, key: aliases[key] + 1})


def test_missing_unexpected_and_misshapen_keys_are_all_named():
    state = golden_state_dict(CASES["kitti360_n2_f8"])
    del state["unet3d.encoder.s1.1.net.2.kernel"]
    state["unet3d.encoder.s1.9.extra"] = torch.zeros(1)
    state["unet3d.dense3d.0.bn_1.weight"] = torch.zeros(31)
    with pytest.raises(CheckpointError) as error:
        load_network(state)
    assert "1 missing: unet3d.encoder.s1.1.net.2.kernel" in str(error.value)
    assert "1 unexpected: unet3d.encoder.s1.9.extra" in str(error.value)
    assert "unet3d.dense3d.0.bn_1.weight (31,) instead of (32,)" in str(error.value)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"conv.weight": torch.zeros(3)}, "PaSCo network's, got none called"),
        ({}, "to be a dictionary of tensors"),
        (None, "to be a dictionary of tensors, got NoneType"),
    ],
)
def test_weights_of_another_network_are_refused(state, message):
    with pytest.raises(CheckpointError, match=message):
        load_network(state)
