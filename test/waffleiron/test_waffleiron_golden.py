"""The published network's numbers, through the public interface."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pasco_core.systems import waffleiron

TOLERANCE = 1e-4


def test_the_default_geometry_is_that_of_the_golden_cloud(golden):
    said = json.loads(str(golden["config"]))
    config = waffleiron.WaffleIronConfig()
    assert [list(grid) for grid in config.grids] == said["grids"]
    assert list(config.planes) == said["dim_proj"]
    assert [list(corner) for corner in config.field_of_view] == said["fov"]
    assert (config.voxel_size, config.neighbours) == (said["voxel_size"], said["neighbors"])


def test_width_depth_and_classes_are_read_off_the_keys(golden, small_net):
    said = json.loads(str(golden["config"]))
    assert (small_net.config.channels, small_net.config.depth) == (said["channels"], said["depth"])
    assert small_net.config.n_classes == 19


def test_preprocessing_agrees_exactly(golden, small_net):
    cloud = waffleiron.prepare(golden["points"], small_net.config)
    np.testing.assert_array_equal(golden["points"][cloud.kept, :3], golden["down_xyz"])
    np.testing.assert_array_equal(cloud.features.T, golden["feat"])
    np.testing.assert_array_equal(cloud.cells, golden["cell_ind"])
    np.testing.assert_array_equal(cloud.neighbours.T, golden["neighbors"][1:])
    np.testing.assert_array_equal(cloud.nearest, golden["upsample"])


@pytest.mark.parametrize("path", ["forward", "infer"])
def test_both_paths_through_the_network_agree(golden, small_net, path):
    inputs = small_net.network_input(waffleiron.prepare(golden["points"], small_net.config))
    output = getattr(small_net, path)(inputs)
    for name in ("embedding", "tokens", "logits"):
        np.testing.assert_allclose(getattr(output, name).detach().numpy().T, golden[name], rtol=0, atol=TOLERANCE)


def test_point_features_of_every_point_agree(golden, small_net):
    probabilities, embedding = small_net.point_features(golden["points"])
    np.testing.assert_allclose(probabilities.numpy(), golden["point_softmax"], rtol=0, atol=TOLERANCE)
    expected = golden["embedding"][:, golden["upsample"]].T
    np.testing.assert_allclose(embedding.numpy(), expected, rtol=0, atol=TOLERANCE)


def test_the_published_key_set_loads_and_runs(published_shapes, random_cloud, make_net):
    config = waffleiron.WaffleIronConfig()
    assert waffleiron.expected_shapes(config) == published_shapes
    net = make_net(config)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(6.84e6, rel=1e-3)
    probabilities, embedding = net.point_features(random_cloud(0, 300))
    assert probabilities.shape == (300, 19) and embedding.shape == (300, 256)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(300))
