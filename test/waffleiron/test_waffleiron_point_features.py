"""What a caller meets at ``point_features``: odd clouds, votes, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pasco_core.errors import CloudError, ConfigError, PascoError
from pasco_core.systems import waffleiron

CONFIG = waffleiron.WaffleIronConfig(channels=8, depth=3)


@pytest.fixture
def net(make_net):
    return make_net(CONFIG)


def _check(net, points):
    probabilities, embedding = net.point_features(points)
    assert probabilities.shape == (len(points), 19) and embedding.shape == (len(points), 8)
    assert not probabilities.requires_grad and not embedding.requires_grad
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(points)))
    assert torch.isfinite(embedding).all()
    return probabilities, embedding


@pytest.mark.parametrize("n", [0, 1, 2, 16, 17, 18, 500])
def test_clouds_of_any_size_give_a_row_per_point(net, random_cloud, n):
    points = random_cloud(n, n) * np.float32([0.5, 0.5, 0.3, 1])
    _check(net, points)


def test_a_point_outside_the_field_of_view_takes_its_nearest_visible_neighbours_values(net):
    points = np.float32([[10, 0, 0, 0.1], [49, 0, 0, 0.9], [80, 0, 0, 0.5], [10, 0, 3.9, 0.3]])
    probabilities, embedding = _check(net, points)
    assert torch.equal(probabilities[2], probabilities[1]) and torch.equal(embedding[2], embedding[1])
    assert torch.equal(probabilities[3], probabilities[0])
    assert not torch.equal(probabilities[0], probabilities[1])


def test_repeated_points_change_nothing(net, random_cloud):
    points = random_cloud(1, 100)
    once, _ = _check(net, points)
    twice, _ = _check(net, np.vstack([points, points]))
    assert torch.equal(twice[:100], once) and torch.equal(twice[100:], once)


def test_a_cloud_of_one_point_many_times_is_a_lone_point(net):
    point = np.float32([[5, 1, 0, 0.4]])
    alone, _ = _check(net, point)
    many, _ = _check(net, np.repeat(point, 1000, axis=0))
    assert torch.equal(many, alone.expand(1000, -1))


def test_float64_and_big_endian_points_are_taken(net, random_cloud):
    points = random_cloud(2, 50)
    expected, _ = net.point_features(points)
    for kind in (np.float64, ">f4"):
        assert torch.equal(net.point_features(points.astype(kind))[0], expected)


@pytest.mark.parametrize(
    ("points", "message", "code"),
    [
        (np.zeros((5, 3), np.float32), r"numbers \(N, 4\), x y z intensity, got float32 \(5, 3\)", "LAYOUT"),
        (np.zeros(4, np.float32), r"got float32 \(4,\)", "LAYOUT"),
        (np.zeros((2, 4), complex), "got complex128", "LAYOUT"),
        (np.full((2, 4), "x"), "got <U1", "LAYOUT"),
        ([[1, 2, 3, 4], [1, 2]], r"numbers \(N, 4\), .*got a list", "LAYOUT"),
        (np.float32([[0, 0, 0, 0], [0, np.nan, 0, 0]]), "finite in float32, got 1 of 2 .* row 1", "NOT_FINITE"),
        (np.float32([[0, 0, 0, np.inf]]), "finite in float32, got 1 of 1", "NOT_FINITE"),
        (np.array([[0, 0, 0, 0], [1e300, 0, 0, 0]]), "finite in float32, got 1 of 2", "NOT_FINITE"),
        (np.full((3, 4), 1e30, np.float32), "inside the field of view .* got none of 3", "OUT_OF_VIEW"),
        (np.float32([[50, 0, 0, 1], [0, -50, 0, 1], [0, 0, 2, 1]]), "got none of 3", "OUT_OF_VIEW"),
    ],
)
def test_a_cloud_that_breaks_a_rule_is_refused_by_name(net, points, message, code):
    with pytest.raises(CloudError, match=message) as error:
        net.point_features(points)
    assert error.value.code == code


def test_an_intensity_that_overflows_the_network_is_reported_not_returned(net):
    points = np.float32([[1, 1, 0, 3e38], [2, 1, 0, 0.1], [3, 1, 0, -3e38]])
    with pytest.raises(PascoError, match="class probabilities to be finite, got 3 of 3 kept points"):
        net.point_features(points)


def test_votes_are_the_mean_of_single_augmented_passes(net, random_cloud):
    points = random_cloud(3, 300)
    probabilities, embedding = net.point_features(points, votes=4, generator=np.random.default_rng(5))

    source = np.random.default_rng(5)
    chosen = int(source.integers(4))
    passes = []
    for _ in range(4):
        cloud = waffleiron.prepare(points, net.config, waffleiron.draw_augmentation(source).apply(points[:, :3]))
        output = net.infer(net.network_input(cloud))
        passes.append((output.logits.softmax(1)[cloud.nearest], output.embedding[cloud.nearest]))
    torch.testing.assert_close(probabilities, torch.stack([p for p, _ in passes]).mean(0))
    assert torch.equal(embedding, passes[chosen][1])
    assert not torch.equal(passes[0][0], passes[1][0])


def test_equal_generators_give_equal_votes_and_others_do_not(net, random_cloud):
    points = random_cloud(4, 200)
    first, second, other = (
        net.point_features(points, votes=2, generator=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_every_vote_can_give_the_embedding(net, random_cloud):
    points = random_cloud(5, 40)
    chosen = {int(np.random.default_rng(seed).integers(3)) for seed in range(20)}
    assert chosen == {0, 1, 2}
    seen = {net.point_features(points, 3, np.random.default_rng(seed))[1].sum().item() for seed in range(6)}
    assert len(seen) > 1


def test_the_global_random_state_is_neither_read_nor_moved(net, random_cloud):
    points = random_cloud(6, 40)
    np.random.seed(0)
    torch.manual_seed(0)
    first = net.point_features(points, 2, np.random.default_rng(0))
    after = np.random.rand(), torch.rand(1)
    np.random.seed(0)
    torch.manual_seed(0)
    assert (np.random.rand(), torch.rand(1)) == after
    assert torch.equal(net.point_features(points, 2, np.random.default_rng(0))[0], first[0])


@pytest.mark.parametrize(
    ("votes", "generator", "message"),
    [
        (-1, None, "votes to be an integer of at least 0, got -1"),
        (2.5, np.random.default_rng(0), "votes to be an integer of at least 0, got 2.5"),
        (True, np.random.default_rng(0), "votes to be an integer of at least 0, got True"),
        (3, None, "generator of 3 votes to be a numpy.random.Generator, got None"),
        (3, 42, "generator of 3 votes to be a numpy.random.Generator, got 42"),
    ],
)
def test_votes_that_break_a_rule_are_refused(net, random_cloud, votes, generator, message):
    with pytest.raises(ConfigError, match=message):
        net.point_features(random_cloud(7, 20), votes, generator)


def test_an_augmentation_rotates_about_z_mirrors_one_axis_and_scales():
    quarter = waffleiron.Augmentation(angle=np.pi / 2, scale=1.1)
    moved = quarter.apply(np.float32([[1, 0, 2]]))
    np.testing.assert_allclose(moved, [[0, 1.1, 2.2]], atol=1e-6)
    then_mirrored = waffleiron.Augmentation(angle=np.pi / 2, mirror=1, scale=1.1)
    np.testing.assert_allclose(then_mirrored.apply(np.float32([[1, 0, 2]])), [[0, -1.1, 2.2]], atol=1e-6)
    np.testing.assert_array_equal(waffleiron.Augmentation(mirror=0).apply(np.float32([[1, 2, 3]])), [[-1, 2, 3]])
    np.testing.assert_array_equal(waffleiron.Augmentation(mirror=1).apply(np.float32([[1, 2, 3]])), [[1, -2, 3]])
    np.testing.assert_array_equal(waffleiron.Augmentation().apply(np.float32([[1, 2, 3]])), [[1, 2, 3]])


def test_drawn_augmentations_cover_their_ranges_evenly():
    source = np.random.default_rng(0)
    draws = [waffleiron.draw_augmentation(source) for _ in range(6000)]
    angles, scales = np.array([d.angle for d in draws]), np.array([d.scale for d in draws])
    assert abs(angles).max() <= np.pi and abs(angles.mean()) < 0.1
    assert angles.std() == pytest.approx(np.pi / 3**0.5, rel=0.03)
    assert 0.9 <= scales.min() < 0.905 and 1.095 < scales.max() <= 1.1
    for mirror in (None, 0, 1):
        assert sum(d.mirror == mirror for d in draws) / 6000 == pytest.approx(1 / 3, abs=0.03)
