"""Points in, scene out: determinism, odd scans, options, and a real scan."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from pasco_core.checkpoints import CheckpointHeader, save_checkpoint
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.data.simulation import street_scan
from pasco_core.errors import CheckpointError, CloudError, ConfigError, InferenceError
from pasco_core.geometry import KITTI_GRID
from pasco_core.systems import waffleiron
from pasco_core.systems.pasco import PaSCo, PaSCoConfig, Predictor, load_network
from pasco_core.systems.pasco.point_inputs import point_inputs
from pasco_core.systems.pasco.predictor import UNTRAINED_NOTE
from pasco_core.systems.pasco.transforms import fixed_transforms
from pasco_core.systems.pasco.untrained import KEPT_SHARE, untrained_network

TINY = {"width": 8, "query_channels": 48, "ffn_channels": 32, "n_queries": 20, "point_channels": (16, 16, 16)}


@pytest.fixture(scope="module")
def network(two_subnets):
    return two_subnets


@pytest.fixture(scope="module")
def one_subnet():
    """Nobody changes it."""
    return Predictor.untrained(PaSCoConfig(**TINY))


@pytest.fixture(scope="module")
def predictor(network):
    return Predictor(network)


@pytest.fixture(scope="module")
def points():
    return street_scan(frame=3)


@pytest.fixture(scope="module")
def scene(predictor, points):
    return predictor(points)


def same_scene(a, b) -> bool:
    arrays = ("semantics", "panoptic", "voxel_uncertainty", "mask_confidence", "probability_voxels", "probabilities")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays)


def test_the_scene_has_the_documented_types_and_shapes(scene):
    assert scene.grid == KITTI_GRID and scene.labels is SEMANTIC_KITTI
    for array, dtype in (
        (scene.semantics, np.uint8),
        (scene.panoptic, np.int32),
        (scene.voxel_uncertainty, np.float32),
        (scene.mask_confidence, np.float32),
    ):
        assert array.shape == (256, 256, 32) and array.dtype == dtype


def test_classes_and_uncertainty_follow_from_the_probabilities(scene):
    at = np.unravel_index(scene.probability_voxels, KITTI_GRID.shape)
    np.testing.assert_allclose(scene.probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(scene.semantics[at], scene.probabilities.argmax(1))
    np.testing.assert_allclose(scene.voxel_uncertainty[at], 1 - scene.probabilities.max(1), atol=1e-6)
    elsewhere = np.ones(KITTI_GRID.shape, bool)
    elsewhere[at] = False
    assert not scene.semantics[elsewhere].any() and not scene.voxel_uncertainty[elsewhere].any()
    np.testing.assert_allclose(scene.occupancy_probability()[at], 1 - scene.probabilities[:, 0], atol=1e-6)


def test_segments_and_panoptic_ids_belong_together(scene):
    ids, counts = np.unique(scene.panoptic[scene.panoptic > 0], return_counts=True)
    assert {s.id: s.n_voxels for s in scene.segments if s.n_voxels} == dict(zip(ids.tolist(), counts.tolist()))
    for segment in scene.segments:
        assert segment.class_probabilities.shape == (21,)
        assert segment.confidence == pytest.approx(segment.class_probabilities[segment.category])
        assert segment.is_thing == (segment.category in SEMANTIC_KITTI.thing_ids)
    assert not scene.semantics[scene.panoptic > 0].__eq__(0).any()


def test_the_same_scan_gives_the_same_bits(predictor, points, scene):
    assert same_scene(predictor(points), scene)


@pytest.mark.soak
def test_the_order_of_the_points_hardly_matters(predictor, points, scene):
    shuffled = predictor(points[np.random.default_rng(0).permutation(len(points))])
    assert (shuffled.semantics == scene.semantics).mean() > 0.999


def test_every_subnet_and_the_ensemble_are_returned_on_request(predictor, points, scene):
    scenes = predictor.predict_all(points)
    assert len(scenes) == 3 and same_scene(scenes[-1], scene)
    assert not same_scene(scenes[0], scenes[1])
    mean = np.zeros((KITTI_GRID.n_voxels, 20), np.float32)
    mean[:, 0] = 1
    for subnet in scenes[:2]:
        mean[subnet.probability_voxels] += subnet.probabilities / 2
        mean[subnet.probability_voxels, 0] -= 0.5
    np.testing.assert_allclose(mean[scene.probability_voxels], scene.probabilities, atol=1e-5)


def test_stage_times_come_from_the_given_clock_and_do_not_exceed_the_total(one_subnet, points):
    ticks = itertools.count()
    scene = Predictor(one_subnet.network, clock=lambda: float(next(ticks)))(points)
    stages = {name: seconds for name, seconds in scene.timings.items() if name != "total"}
    assert list(stages) == [
        "point features", "point encoder", "encoder", "bottleneck", "decoder", "mask transformer", "ensemble",
        "panoptic inference",
    ]  # fmt: skip
    assert all(seconds == 1.0 for seconds in stages.values())
    assert scene.timings["total"] == 2 * len(stages) + 1


def test_untrained_weights_say_so_in_every_scene(one_subnet):
    assert UNTRAINED_NOTE in one_subnet(np.zeros((0, 4), np.float32)).notes


@pytest.mark.soak
def test_untrained_weights_keep_about_the_share_of_voxels_they_promise(points):
    network = untrained_network(PaSCoConfig(**TINY))
    counts = {}
    hook = network.unet3d.decoder_generative.register_forward_hook(
        lambda module, inputs, scales: counts.update({s: scales[s].features.n_voxels for s in scales})
    )
    Predictor(network)(points)
    hook.remove()
    candidates = 32 * 32 * 4 * 8
    for stride in (4, 2, 1):
        assert 0.7 * KEPT_SHARE[stride] < counts[stride] / candidates < 1.4 * KEPT_SHARE[stride]
        candidates = 8 * counts[stride]


@pytest.mark.soak
def test_untrained_weights_follow_the_seed():
    config = PaSCoConfig(**TINY)
    first, again, other = (untrained_network(config, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["feat.PPmodel.1.weight"], other["feat.PPmodel.1.weight"])


@pytest.mark.parametrize(
    ("scan", "n_voxels"),
    [
        (np.zeros((0, 4)), 0),
        (np.full((5, 4), 1e5), 0),
        (np.array([[-10.0, 0, 0, 0.5]]), 0),
    ],
    ids=["no points", "far away", "behind"],
)
def test_a_scan_without_a_point_in_the_grid_says_that_nothing_is_known(predictor, scan, n_voxels):
    scene = predictor(scan.astype(np.float32))
    assert np.count_nonzero(scene.semantics) == n_voxels and scene.segments == []
    assert (scene.voxel_uncertainty == 1).all()
    assert scene.nothing_known and [note[:25] for note in scene.notes] == ["nothing is known: none of"]


@pytest.mark.parametrize("n_points", [1, 1000])
def test_a_scan_of_one_voxel_gives_a_valid_scene(predictor, n_points):
    scene = predictor(np.tile(np.array([10.05, 0.05, -1.5, 0.3], np.float32), (n_points, 1)))
    assert scene.semantics.shape == KITTI_GRID.shape and np.isfinite(scene.voxel_uncertainty).all()


def test_points_on_the_borders_of_the_grid_are_handled(predictor):
    low, high = np.array(KITTI_GRID.origin), np.nextafter(np.float32(KITTI_GRID.upper), np.float32(-100))
    corners = np.array(list(itertools.product(*zip(low, high))), np.float32)
    scene = predictor(np.pad(corners, ((0, 0), (0, 1))))
    assert scene.semantics.shape == KITTI_GRID.shape


@pytest.mark.parametrize(
    ("scan", "message"),
    [
        (np.zeros((5, 3), np.float32), r"numbers \(N, 4\), x y z intensity, got float32 \(5, 3\)"),
        (np.zeros(4, np.float32), r"got float32 \(4,\)"),
        (np.array([["a"] * 4]), r"to be numbers \(N, 4\)"),
        (np.array([[1, 2, np.nan, 0], [1, 2, 3, 4]], np.float32), "finite in float32, got 1 of 2 points .* at row 0"),
    ],
)
def test_malformed_points_are_refused(predictor, scan, message):
    with pytest.raises(CloudError, match=message):
        predictor(scan)


def copied(network: PaSCo) -> PaSCo:
    return load_network({key: value.clone() for key, value in network.state_dict().items()}, pad_leak=False)


def test_logits_that_are_not_finite_are_an_error_and_not_free_space(one_subnet, points):
    network = copied(one_subnet.network)
    network.unet3d.decoder_generative.dec_blocks[1].completion_heads[0][0].bias[0, 3] = float("nan")
    with pytest.raises(InferenceError, match="logits of subnet 0 at stride 2 to be finite"):
        Predictor(network)(points)


def test_a_network_that_calls_everything_empty_gives_an_empty_scene(one_subnet, points):
    network = copied(one_subnet.network)
    for block in network.unet3d.decoder_generative.dec_blocks:
        block.completion_heads[0][0].bias[0, 0] = 1e4
    scene = Predictor(network)(points)
    assert not scene.semantics.any() and scene.segments == [] and not scene.voxel_uncertainty.any()
    assert not scene.nothing_known


@pytest.mark.soak
def test_random_transforms_follow_the_generator(network, points):
    def scene(seed: int):
        return Predictor(network, transforms="random", rng=np.random.default_rng(seed))(points)

    first = scene(0)
    assert same_scene(first, scene(0)) and not same_scene(first, scene(1))


@pytest.mark.soak
def test_given_transforms_replace_the_fixed_ones(network, points, scene):
    assert same_scene(Predictor(network, transforms=fixed_transforms(2))(points), scene)
    twice = Predictor(network, transforms=[np.eye(4), np.eye(4)])(points)
    assert not same_scene(twice, scene)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transforms": [np.eye(4)]}, "Expected 2 transforms, one per subnet, got 1"),
        ({"transforms": "mirror"}, "matrices or 'random', got 'mirror'"),
        ({"transforms": 5}, "Expected 2 transforms, one per subnet, got 5"),
        ({"votes": -1}, "votes to be an integer of at least 0, got -1"),
        ({"uncertainty": "variance"}, "one of max_probability, entropy, agreement, got 'variance'"),
        ({"iou_threshold": 1.5}, r"iou_threshold to be in \[0, 1\), got 1.5"),
        ({"device": "tpu"}, "'cpu', 'cuda' or 'cuda:<index>', got 'tpu'"),
        ({"device": "cuda:99"}, "'cuda:99' to be there, got a torch that sees"),
    ],
)
def test_unusable_options_are_named(network, options, message):
    with pytest.raises(ConfigError, match=message):
        Predictor(network, **options)


def header_of(config: PaSCoConfig, **extra) -> CheckpointHeader:
    names = SEMANTIC_KITTI.class_names if config.n_classes == 20 else KITTI_360.class_names
    return CheckpointHeader("pasco", config.to_dict(), names, **extra)


def test_a_saved_checkpoint_gives_the_same_scene(network, points, scene, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, network.state_dict(), header_of(network.config))
    assert same_scene(Predictor(path)(points), scene)


def test_converted_checkpoints_keep_the_originals_padding_and_new_ones_do_not(network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, network.state_dict(), header_of(network.config))
    assert not Predictor(path).network.pad_leak
    save_checkpoint(path, network.state_dict(), header_of(network.config, source="pasco.ckpt", source_sha256="0" * 64))
    assert Predictor(path).network.pad_leak


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        Predictor(tmp_path / "none.safetensors")


WITH_FEATURES = PaSCoConfig(in_channels=8 + 19 + 12, **TINY)


@pytest.fixture(scope="module")
def backbone():
    config = waffleiron.WaffleIronConfig(channels=12, depth=2)
    generator = torch.Generator().manual_seed(0)
    state = {
        key: torch.rand(shape, generator=generator) + 0.5
        if "norm" in key or "conv2.0" in key or "conv2.2" in key
        else torch.randn(shape, generator=generator) * 0.1
        for key, shape in waffleiron.expected_shapes(config).items()
    }
    return waffleiron.load_network(state)


def test_a_network_that_reads_point_features_asks_for_waffleiron():
    with pytest.raises(ConfigError, match="reads 39 features per point, got none"):
        Predictor(PaSCo(WITH_FEATURES))


def test_point_features_are_computed_on_the_scan_itself(backbone, points):
    scene = Predictor.untrained(WITH_FEATURES, features=backbone)(points)
    assert scene.semantics.any()


def test_the_number_of_point_features_must_fit(backbone):
    with pytest.raises(CheckpointError, match="provide 40 features per point, got 31"):
        Predictor(PaSCo(PaSCoConfig(in_channels=48, **TINY)), features=backbone)


def test_point_features_have_the_documented_order(points):
    semantic = torch.arange(len(points))[:, None] + torch.zeros(1, 19), -torch.ones(len(points), 12)
    inputs = point_inputs(points, KITTI_GRID, semantic)
    kept, features = points[inputs.inside], inputs.features.numpy()
    np.testing.assert_array_equal(features[:, 0], np.flatnonzero(inputs.inside))
    np.testing.assert_array_equal(features[:, 19], kept[:, 3])
    np.testing.assert_allclose(features[:, 20], np.linalg.norm(kept[:, :3], axis=1), rtol=1e-6)
    assert (features[:, 21:33] == -1).all()
    np.testing.assert_allclose(features[:, 33:36], kept[:, :3] - KITTI_GRID.centre_of(inputs.voxels), atol=1e-5)
    np.testing.assert_array_equal(features[:, 36:], kept[:, :3])
    assert np.abs(features[:, 33:36]).max() <= 0.1 + 1e-4


def test_a_real_scan_completes(predictor, kitti_velodyne):
    path = sorted(kitti_velodyne.glob("*.bin"))[0]
    scene = predictor(np.fromfile(path, np.float32).reshape(-1, 4))
    assert 10_000 < np.count_nonzero(scene.semantics) < 500_000
    assert any("points out of range" in note for note in scene.notes)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["entropy", "agreement"])
def test_other_uncertainties_change_the_uncertainty_and_nothing_else(network, points, scene, kind):
    other = Predictor(network, uncertainty=kind)(points)
    np.testing.assert_array_equal(other.semantics, scene.semantics)
    at = np.unravel_index(scene.probability_voxels, KITTI_GRID.shape)
    assert other.voxel_uncertainty.min() >= 0 and other.voxel_uncertainty.max() <= 1
    assert not np.array_equal(other.voxel_uncertainty[at], scene.voxel_uncertainty[at])
    if kind == "entropy":
        p = scene.probabilities.astype(np.float64)
        entropy = -(p * np.log2(np.maximum(p, 1e-300))).sum(1) / np.log2(20)
        np.testing.assert_allclose(other.voxel_uncertainty[at], entropy, atol=1e-4)
