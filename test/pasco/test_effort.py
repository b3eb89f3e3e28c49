"""Less effort: fewer subnets, a smaller area, no segments; each is what it says, and full effort is untouched."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.simulation import street_scan
from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID, VoxelGrid
from pasco_core.systems.pasco import Predictor
from pasco_core.systems.pasco.effort import Effort, effort_levels
from pasco_core.systems.pasco.ensemble import ensemble, restrict
from pasco_core.systems.pasco.panoptic import panoptic_inference
from pasco_core.systems.pasco.point_inputs import point_inputs, subnet_voxels
from pasco_core.systems.pasco.scene import make_scene
from pasco_core.systems.pasco.transforms import GridWarp
from pasco_core.systems.pasco.uncertainty import max_probability
from pasco_core.systems.pasco.voxel_selection import is_occupied

NEAR = 12.8
ALIKE = [np.eye(4, dtype=np.float32)] * 2
ARRAYS = ("semantics", "panoptic", "voxel_uncertainty", "mask_confidence", "probability_voxels", "probabilities")
EFFORTS = {
    "full": Effort.FULL, "fewer_subnets": Effort(1), "shorter_range": Effort(1, NEAR),
    "semantics_only": Effort(1, NEAR, instances=False),
}


def same_scene(a, b) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS)


def within_near(points: np.ndarray) -> np.ndarray:
    return (points[:, 0] < NEAR) & (np.abs(points[:, 1]) < NEAR)


@pytest.fixture(scope="module")
def network(two_subnets):
    return two_subnets


@pytest.fixture(scope="module")
def predictor(network):
    return Predictor(network, transforms=ALIKE)


@pytest.fixture(scope="module")
def points():
    # The second row's points lie on the border of the near area, where rounding decides.
    return np.concatenate([street_scan(frame=3)[::4], [[5.0, 12.9, 0.0, 0.1], [12.81, 0.0, 0.0, 0.1]]]).astype("f4")


@pytest.fixture(scope="module")
def work(network):
    """Counts, per prediction, voxels decoded at stride 1 and passes of the mask transformer."""
    counts = {"voxels": 0, "passes": 0}
    block = network.unet3d.decoder_generative.dec_blocks[2]

    def add(**done):
        counts.update({name: counts[name] + n for name, n in done.items()})

    hooks = [
        block.register_forward_hook(lambda module, inputs, out: add(voxels=out[0].n_voxels)),
        network.transformer_predictor.register_forward_hook(lambda module, inputs, out: add(passes=1)),
    ]
    yield counts
    for hook in hooks:
        hook.remove()


@pytest.fixture(scope="module")
def scenes(predictor, points, work):
    scenes, done = {}, {}
    for name, effort in EFFORTS.items():
        work.update(voxels=0, passes=0)
        scenes[name] = predictor(points, effort=effort)
        done[name] = dict(work)
    return scenes, done


def test_one_subnet_is_what_that_subnet_says_when_it_alone_decides_which_voxels_go_on(network, points, scenes):
    inputs = point_inputs(points, KITTI_GRID)
    warps = [GridWarp.of(matrix, KITTI_GRID) for matrix in ALIKE]
    box_min, box_max = (torch.from_numpy(np.stack([getattr(w, n) for w in warps])) for n in ("box_min", "box_max"))
    voxels = subnet_voxels(inputs.voxels, ALIKE, KITTI_GRID)
    with torch.inference_mode():
        features = [inputs.features] * 2
        output = network(features, voxels, box_min, box_max, select=lambda c, logits: is_occupied(logits[0]))
        result = ensemble(output, warps)
        own = result.semantics[0]
        # An ensemble's masks stand on the voxels that it calls occupied.
        masks = restrict(result.masks[0], own.voxels[own.probabilities.argmax(1) != 0])
        panoptic = panoptic_inference(masks, scenes[0]["full"].labels.thing_ids)
        expected = make_scene(own, panoptic, max_probability(own.probabilities), KITTI_GRID, scenes[0]["full"].labels)
    assert len(expected.probability_voxels) > 1000
    assert same_scene(scenes[0]["fewer_subnets"], expected)


def test_beyond_the_shorter_range_everything_is_unknown_and_nothing_else_is(scenes):
    scene = scenes[0]["shorter_range"]
    centres = KITTI_GRID.centre_of(np.stack(np.unravel_index(np.arange(KITTI_GRID.n_voxels), KITTI_GRID.shape), 1))
    near = within_near(centres).reshape(KITTI_GRID.shape)
    np.testing.assert_array_equal(scene.semantics == UNKNOWN, ~near)
    assert (scene.voxel_uncertainty[~near] == 1).all() and not scene.panoptic[~near].any()
    assert near.reshape(-1)[scene.probability_voxels].all() and len(scene.probability_voxels) > 1000
    assert not scene.nothing_known


def test_points_beyond_the_shorter_range_make_no_difference(predictor, points, scenes):
    near = predictor(points[within_near(points)], effort=EFFORTS["shorter_range"])
    assert same_scene(near, scenes[0]["shorter_range"])


def test_without_instances_the_semantics_are_the_same_and_no_voxel_has_a_segment(scenes):
    with_masks, without = scenes[0]["shorter_range"], scenes[0]["semantics_only"]
    for name in ("semantics", "voxel_uncertainty", "probability_voxels", "probabilities"):
        np.testing.assert_array_equal(getattr(with_masks, name), getattr(without, name))
    assert without.segments == [] and not without.panoptic.any() and not without.mask_confidence.any()


def test_every_level_does_less_work_than_the_one_above(scenes):
    done = scenes[1]
    assert [done[name]["passes"] for name in EFFORTS] == [2, 1, 1, 0]
    voxels = [done[name]["voxels"] for name in EFFORTS]
    assert voxels[0] > voxels[1] > 2 * voxels[2] and voxels[2] == voxels[3] > 0


def test_the_scene_says_what_was_left_out(scenes):
    notes = {name: scene.notes[-1:] for name, scene in scenes[0].items()}
    assert not any("effort" in note for note in notes["full"])
    assert notes["fewer_subnets"] == ("less effort: 1 of 2 subnets",)
    assert notes["semantics_only"] == ("less effort: 1 of 2 subnets, nothing known beyond 12.8 m, no segments",)


def test_an_effort_that_leaves_nothing_out_is_full_effort(predictor, points, scenes):
    assert same_scene(predictor(points, effort=Effort(7, 60.0)), scenes[0]["full"])


def test_the_agreement_of_one_subnet_is_not_certainty(network, points):
    one = Predictor(network, transforms=ALIKE, uncertainty="agreement")(points, effort=Effort(1, 3.2, instances=False))
    sure = one.probabilities.max(1)
    np.testing.assert_allclose(one.voxel_uncertainty.reshape(-1)[one.probability_voxels], 1 - sure, atol=1e-6)


def test_less_effort_with_other_views_at_every_scan_repeats_with_the_same_rng(network, points):
    predictor = Predictor(network, transforms="random")
    effort = Effort(1, 6.4)
    a, b = (predictor(points, rng=np.random.default_rng(4), effort=effort) for _ in range(2))
    assert same_scene(a, b) and len(a.probability_voxels) > 100


def test_a_scan_with_points_in_the_grid_but_none_within_the_range_tells_nothing(predictor):
    far = np.array([[40.0, 0.0, 0.0, 0.5]], np.float32)
    scene = predictor(far, effort=Effort(max_range=10.0))
    assert scene.nothing_known and scene.notes[-1].endswith("none of 1 points lies within 10 m")


@pytest.mark.parametrize("grid", [KITTI_GRID, VoxelGrid((-10.0, -12.0, -2.0), 0.25, (80, 96, 16))])
@pytest.mark.parametrize("max_range", [0.4, 1.6, 5.0, 7.99, 8.0, 8.01, 25.6, 99.0])
def test_the_box_holds_all_within_the_range_and_no_cell_more(grid, max_range):
    lower, upper = Effort(max_range=max_range).box(grid)
    edge = 8 * grid.voxel_size
    for axis in (0, 1):
        cells = range(grid.shape[axis] // 8)
        starts = {cell: grid.origin[axis] + edge * cell for cell in cells}
        touched = [c for c, x in starts.items() if x < max_range - 1e-6 and x + edge > 1e-6 - max_range]
        assert (lower[axis], upper[axis]) == (8 * touched[0], 8 * touched[-1] + 8)
    assert (lower[2], upper[2]) == (0, grid.shape[2])


@pytest.mark.parametrize(
    ("n_subnets", "max_range", "levels"),
    [
        (1, 25.6, {"shorter_range": Effort(None, 25.6), "semantics_only": Effort(None, 25.6, instances=False)}),
        (1, 100.0, {"semantics_only": Effort(instances=False)}),
        (2, 25.6, {"fewer_subnets": Effort(1), "shorter_range": Effort(1, 25.6),
                   "semantics_only": Effort(1, 25.6, instances=False)}),
        (3, 100.0, {"fewer_subnets": Effort(2), "semantics_only": Effort(2, None, instances=False)}),
        (4, 100.0, {"fewer_subnets": Effort(2), "semantics_only": Effort(2, None, instances=False)}),
    ],
)
def test_each_level_keeps_the_reductions_of_those_before_it(n_subnets, max_range, levels):
    assert effort_levels(n_subnets, max_range, KITTI_GRID) == {"full": None, **levels}


def test_efforts_that_mean_nothing_are_refused():
    for options in ({"n_subnets": 0}, {"max_range": 0.0}, {"max_range": float("nan")}):
        ((name, value),) = options.items()
        with pytest.raises(ConfigError, match=f"{name} of an effort to be .*, got {value}"):
            Effort(**options)
    with pytest.raises(ConfigError, match="to reach into the grid, got 3 m"):
        Effort(max_range=3.0).box(VoxelGrid((5.0, -8.0, 0.0), 0.2, (80, 80, 8)))
