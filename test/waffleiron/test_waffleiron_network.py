"""The plain network against a second implementation, forward and backward; the fast path against the plain one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pasco_core.systems import waffleiron
from pasco_core.systems.waffleiron import inference, strips
from pasco_core.systems.waffleiron.network import NetworkInput

TINY = waffleiron.WaffleIronConfig(
    channels=4, depth=4, n_classes=3, grids=((6, 5), (6, 2), (5, 2)), voxel_size=0.5, neighbours=3
)


def _prepared(net, points):
    return waffleiron.prepare(points, net.config)


def _logits_of_reference(net, cloud, reference, dtype, training):
    floats = {key: value for key, value in net.state_dict().items() if value.is_floating_point()}
    state = {key: value.detach().to(dtype).requires_grad_() for key, value in floats.items()}
    run = reference(state, net.config, training)
    features = torch.from_numpy(cloud.features).to(dtype).T
    return run(features, torch.from_numpy(cloud.neighbours), torch.from_numpy(cloud.cells)).T, state


@pytest.mark.parametrize("training", [False, True])
def test_logits_equal_a_channel_first_implementation(make_net, random_cloud, reference, training):
    net = make_net(TINY).double().train(training)
    cloud = _prepared(net, random_cloud(1, 80))
    expected, _ = _logits_of_reference(net, cloud, reference, torch.float64, training)
    torch.testing.assert_close(net(net.network_input(cloud)).logits, expected)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_float32_gradients_equal_float64_ones_of_a_channel_first_implementation(
    make_net, random_cloud, reference, training, layout
):
    """Transposed features and a transposed gradient: some normalisation backwards are wrong for such views."""
    net = make_net(TINY).train(training)
    cloud = _prepared(net, random_cloud(2, 80))
    expected, state = _logits_of_reference(net, cloud, reference, torch.float64, training)
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).reshape(expected.shape)
    expected.backward(weights)

    inputs = net.network_input(cloud)
    gradient = weights.float()
    if layout == "transposed":
        inputs = NetworkInput(inputs.features.T.contiguous().T, inputs.neighbours, inputs.planes)
        gradient = gradient.T.contiguous().T
    net(inputs).logits.backward(gradient)
    for key, parameter in net.named_parameters():
        scale = float(state[key].grad.abs().max()) + 1e-2
        torch.testing.assert_close(parameter.grad.double(), state[key].grad, rtol=0, atol=2e-4 * scale, msg=key)


def test_gradients_reach_the_point_features_and_equal_finite_differences(make_net, random_cloud):
    net = make_net(waffleiron.WaffleIronConfig(channels=2, depth=3, n_classes=2, neighbours=2)).double().train()
    inputs = net.network_input(_prepared(net, random_cloud(3, 8)))
    features = inputs.features.clone().requires_grad_()
    logits = lambda x: net(NetworkInput(x, inputs.neighbours, inputs.planes)).logits  # noqa: E731
    assert torch.autograd.gradcheck(logits, features, eps=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "n"),
    [
        (TINY, 200),
        (waffleiron.WaffleIronConfig(channels=1, depth=1, n_classes=2, planes=(0,), grids=((3, 4),)), 30),
        (waffleiron.WaffleIronConfig(channels=48, depth=7, planes=(1, 2), grids=((40, 3), (90, 70))), 1500),
        (waffleiron.WaffleIronConfig(channels=5, depth=3, grids=((1, 1), (1, 9), (9, 1))), 400),
        (waffleiron.WaffleIronConfig(channels=64, depth=48), 1500),
    ],
)
def test_infer_equals_forward_in_evaluation_mode(make_net, random_cloud, config, n):
    net = make_net(config)
    inputs = net.network_input(_prepared(net, random_cloud(4, n)))
    with torch.no_grad():
        plain = net(inputs)
    fast = net.infer(inputs)
    for name in ("embedding", "tokens", "logits"):
        expected = getattr(plain, name)
        scale = float(expected.abs().max())
        torch.testing.assert_close(getattr(fast, name), expected, rtol=0, atol=2e-6 * scale, msg=name)


def test_infer_equals_forward_whatever_the_step_sizes(make_net, random_cloud, monkeypatch):
    """Steps of 7 tokens and strips of a single row, in double precision: nothing is lost at their seams."""
    monkeypatch.setattr(inference, "_CPU_ROWS", 7)
    monkeypatch.setattr(strips, "_CPU_STRIP_BYTES", 1)
    net = make_net(TINY).double()
    inputs = net.network_input(_prepared(net, random_cloud(5, 150)), _prepared(net, random_cloud(6, 90)))
    torch.testing.assert_close(net.infer(inputs).logits, net(inputs).logits)


def test_infer_leaves_the_embedding_and_the_weights_as_they_were(make_net, random_cloud):
    net = make_net(TINY)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    inputs = net.network_input(_prepared(net, random_cloud(7, 60)))
    output = net.infer(inputs)
    torch.testing.assert_close(output.embedding, net.embed(inputs.features, inputs.neighbours))
    assert not torch.equal(output.embedding, output.tokens)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_infer_uses_running_statistics_even_in_training_mode(make_net, random_cloud):
    net = make_net(TINY)
    inputs = net.network_input(_prepared(net, random_cloud(8, 60)))
    assert torch.equal(net.eval().infer(inputs).logits, net.train().infer(inputs).logits)


@pytest.mark.parametrize("path", ["forward", "infer"])
def test_a_batch_of_clouds_gives_what_each_cloud_gives_alone(make_net, random_cloud, path):
    net = make_net(TINY).double()
    lone_point = np.float32([[3, -20, 1, 0.5]])
    clouds = [_prepared(net, points) for points in (random_cloud(9, 70), lone_point, random_cloud(11, 40))]
    together = getattr(net, path)(net.network_input(*clouds)).logits
    alone = torch.cat([getattr(net, path)(net.network_input(cloud)).logits for cloud in clouds])
    torch.testing.assert_close(together, alone)


def test_the_order_of_the_points_does_not_matter_when_no_voxel_holds_two(make_net, random_cloud):
    net = make_net(TINY)
    points = random_cloud(12, 120)
    points = points[np.unique(waffleiron.prepare(points, net.config).kept)]
    order = np.random.default_rng(0).permutation(len(points))
    probabilities, _ = net.point_features(points)
    shuffled, _ = net.point_features(points[order])
    torch.testing.assert_close(shuffled, probabilities[order])


def test_a_training_step_lowers_the_loss(make_net, random_cloud):
    net = make_net(TINY).train()
    inputs = net.network_input(_prepared(net, random_cloud(13, 200)))
    target = (inputs.features[:, 1] > 0).long()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(inputs).logits, target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_same_scan_gives_the_same_bits(make_net, random_cloud):
    net, points = make_net(TINY), random_cloud(14, 3000)
    first = net.point_features(points)
    second = net.point_features(points)
    assert all(torch.equal(a, b) for a, b in zip(first, second))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_what_the_cpu_gives(golden, small_net):
    expected = small_net.point_features(golden["points"])
    found = small_net.cuda().point_features(golden["points"])
    for a, b in zip(found, expected):
        assert a.is_cuda
        torch.testing.assert_close(a.cpu(), b, rtol=0, atol=1e-3)
