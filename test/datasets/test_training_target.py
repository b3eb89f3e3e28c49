"""The training target against the original's numbers, and against a slow reference written from the specification."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pasco_core.data.datasets.published_frequencies import published_frequencies
from pasco_core.data.datasets.target_scales import scaled_targets
from pasco_core.data.datasets.training_item import Crop, global_box, subnet_target
from pasco_core.data.datasets.training_masks import mask_targets
from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI, LabelSet
from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry import KITTI_GRID, VoxelGrid
from pasco_core.geometry.rigid import mirror_y, warp_voxels, yaw
from pasco_core.systems.pasco.point_inputs import point_inputs
from pasco_core.systems.pasco.transforms import random_transforms

GRID = VoxelGrid((0.0, -2.4, -1.0), 0.2, (32, 24, 16))
IDENTITY = np.eye(4, dtype=np.float32)


@pytest.fixture(scope="module")
def golden(repository) -> dict[str, np.ndarray]:
    """What the original makes of a synthetic scan, without and with a transform."""
    path = repository.parent / "shared" / "golden" / "pasco" / "dataset_semkitti.npz"
    if not path.is_file():
        pytest.skip("golden numbers not there: no ../shared/golden/pasco/dataset_semkitti.npz beside the checkout")
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def golden_target(golden, case, **options):
    truth = VoxelTruth(golden["semantic_labels"], golden["instance_labels"].astype(np.uint16))
    return subnet_target(truth, golden[f"{case}_T"], SEMANTIC_KITTI, KITTI_GRID, **options)


@pytest.mark.parametrize("case", ["noaug", "aug"])
def test_labels_at_three_strides_boxes_and_masks_equal_the_original(golden, case):
    target = golden_target(golden, case, swap_empty_and_unknown=True)
    assert np.array_equal(target.box_min, golden[f"{case}_min_Cs"])
    assert np.array_equal(target.box_max, golden[f"{case}_max_Cs"])
    for stride in (1, 2, 4):
        assert np.array_equal(target.semantics[stride], golden[f"{case}_sem_1_{stride}"])
        assert np.array_equal(target.geometry[stride], golden[f"{case}_geo_1_{stride}"])
    assert np.array_equal(target.instances, golden[f"{case}_instance_label"])
    assert np.array_equal(target.mask_labels, golden[f"{case}_mask_labels"])
    assert np.array_equal(target.masks().sum((1, 2, 3)), golden[f"{case}_mask_sizes"])
    lower, upper = global_box([target])
    assert np.array_equal(lower, golden[f"{case}_global_min_Cs"])
    assert np.array_equal(upper, golden[f"{case}_global_max_Cs"])


@pytest.mark.parametrize("case", ["noaug", "aug"])
def test_point_features_and_voxels_equal_the_original(golden, case):
    semantic = (torch.from_numpy(golden["vote"]), torch.from_numpy(golden["embedding"].T.astype(np.float32)))
    inputs = point_inputs(golden["points_xyzi"], KITTI_GRID, semantic)
    # The original rounds the voxels' centres to float32, up to 4e-6 m at 51 m.
    np.testing.assert_allclose(inputs.features.numpy(), golden[f"{case}_in_feat"], atol=4e-6)
    warped = warp_voxels(inputs.voxels, golden[f"{case}_T"], KITTI_GRID)
    assert np.array_equal(warped, golden[f"{case}_in_coord"])
    assert golden_target(golden, case).keeps(warped).all()


def test_only_empty_and_unknown_blocks_differ_by_the_parity_switch(golden):
    swapped = golden_target(golden, "aug", swap_empty_and_unknown=True)
    correct = golden_target(golden, "aug")
    assert np.array_equal(swapped.semantics[1], correct.semantics[1])
    for stride in (2, 4):
        ours, theirs, geometry = correct.semantics[stride], swapped.semantics[stride], correct.geometry[stride]
        assert np.array_equal(ours == 0, geometry == 0) and np.array_equal(ours == UNKNOWN, geometry == UNKNOWN)
        assert np.array_equal(theirs == 0, geometry == UNKNOWN) and np.array_equal(theirs == UNKNOWN, geometry == 0)
        assert np.array_equal(ours[geometry == 1], theirs[geometry == 1])


def random_truth(rng: np.random.Generator, labels: LabelSet = SEMANTIC_KITTI) -> VoxelTruth:
    """Noise, which has every kind of block and tie."""
    semantics = rng.choice(np.array([0, 0, 0, 1, 6, 9, 15, UNKNOWN], np.uint8), GRID.shape)
    semantics[:3] = semantics[:, :, 13:] = UNKNOWN
    things = np.isin(semantics, list(labels.thing_ids))
    return VoxelTruth(semantics, np.where(things, rng.integers(0, 5, GRID.shape), 0).astype(np.uint16))


def slow_warp(truth: VoxelTruth, transform: np.ndarray) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Known voxels of the target as a dictionary: every voxel of the box, one by one, in float64."""
    origin, size = np.array(GRID.origin), GRID.voxel_size

    def move(voxels, matrix):
        centres = np.asarray(voxels) * size + size / 2 + origin
        return np.rint((centres @ matrix[:3, :3].T + matrix[:3, 3] - origin - size / 2) / size).astype(int)

    matrix = transform.astype(np.float64)
    moved = move(np.argwhere(truth.semantics != UNKNOWN), matrix)
    box = np.stack(np.meshgrid(*map(np.arange, moved.min(0), moved.max(0) + 1), indexing="ij"), -1).reshape(-1, 3)
    result = {}
    for voxel, source in zip(box, move(box, np.linalg.inv(matrix))):
        inside = all(0 <= i < n for i, n in zip(source, GRID.shape))
        if inside and truth.semantics[tuple(source)] != UNKNOWN:
            result[tuple(voxel)] = (truth.semantics[tuple(source)], truth.instances[tuple(source)])
    return result


def tilted() -> np.ndarray:
    """A transform that mixes all three axes."""
    a, b = 0.2, 0.1
    pitch = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    roll = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = pitch @ roll, [0.11, -0.32, 0.07]
    return matrix.astype(np.float32)


def stretched() -> np.ndarray:
    return np.diag([1.13, 0.91, 1.21, 1]).astype(np.float32)


RANDOM = random_transforms(3, np.random.default_rng(5), max_angle=40)
TRANSFORMS = [IDENTITY, mirror_y(), yaw(23.4), yaw(-90), stretched(), tilted(), *RANDOM]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=range(len(TRANSFORMS)))
def test_the_warped_labels_equal_a_voxel_by_voxel_reference(transform):
    truth = random_truth(np.random.default_rng(1))
    target = subnet_target(truth, transform, SEMANTIC_KITTI, GRID)
    expected = slow_warp(truth, transform)
    voxels = np.array(list(expected))
    assert np.array_equal(target.box_min, voxels.min(0) // 8 * 8)
    assert np.array_equal(target.box_max, voxels.max(0))
    assert np.array_equal(target.semantics[1].shape, -(-(target.box_max - target.box_min + 1) // 8) * 8)
    known = np.argwhere(target.semantics[1] != UNKNOWN)
    found = {
        tuple(v + target.box_min): (target.semantics[1][tuple(v)], target.instances[tuple(v)]) for v in known
    }
    # Voxels that lead to within a rounding error of a border may fall to either side.
    assert len(found.keys() ^ expected.keys()) <= 2
    assert sum(found[v] != expected[v] for v in found.keys() & expected.keys()) <= 2


def test_blocks_are_what_counting_their_voxels_says():
    semantics = random_truth(np.random.default_rng(2)).semantics
    semantics[8:16, 8:16, :8] = 0
    scaled, geometry = scaled_targets(semantics, 20)
    for stride in (2, 4):
        for place in np.ndindex(*scaled[stride].shape):
            block = semantics[tuple(slice(i * stride, (i + 1) * stride) for i in place)].ravel()
            occupied = [int(c) for c in block if c not in (0, UNKNOWN)]
            most = min(set(occupied), key=lambda c: (-occupied.count(c), c)) if occupied else None
            empty = 0 if (block == 0).any() else UNKNOWN
            assert scaled[stride][place] == (most if occupied else empty)
            assert geometry[stride][place] == (1 if occupied else empty)


@pytest.mark.parametrize("value", [0, UNKNOWN])
def test_a_volume_without_a_class_has_defined_blocks(value):
    scaled, geometry = scaled_targets(np.full((8, 8, 8), value, np.uint8), 20)
    for stride in (1, 2, 4):
        assert (scaled[stride] == value).all() and (geometry[stride] == value).all()


def test_a_scan_without_any_class_gives_a_target_without_masks():
    semantics = np.zeros(GRID.shape, np.uint8)
    semantics[0] = UNKNOWN
    target = subnet_target(VoxelTruth(semantics, np.zeros(GRID.shape, np.uint16)), yaw(10), SEMANTIC_KITTI, GRID)
    assert target.mask_labels.shape == (0,) and not target.mask_ids.any()
    assert target.masks().shape == (0, *target.instances.shape)


def test_a_scan_of_which_nothing_is_known_has_the_box_of_the_whole_grid():
    truth = VoxelTruth(np.full(GRID.shape, UNKNOWN, np.uint8), np.zeros(GRID.shape, np.uint16))
    target = subnet_target(truth, IDENTITY, SEMANTIC_KITTI, GRID)
    assert target.box_min.tolist() == [0, 0, 0] and target.box_max.tolist() == [31, 23, 15]
    assert all((target.semantics[stride] == UNKNOWN).all() for stride in (1, 2, 4))
    cropped = subnet_target(truth, IDENTITY, SEMANTIC_KITTI, GRID, rng=np.random.default_rng(0), crop_share=0.5)
    assert (cropped.semantics[1] == UNKNOWN).all()


def test_masks_are_stuff_then_instances_and_leave_out_things_without_instance():
    semantics = np.zeros((4, 4, 4), np.uint8)
    instances = np.zeros((4, 4, 4), np.uint16)
    semantics[0], semantics[1] = 15, 9
    semantics[2, :2], instances[2, :2] = 6, 300
    semantics[2, 2:], instances[2, 2:] = 1, 7
    semantics[3, 0] = 2  # a thing voxel without instance
    instances[3, 1], semantics[3, 1] = 9, UNKNOWN  # unknown stays out of every mask
    labels, ids = mask_targets(semantics, instances, SEMANTIC_KITTI)
    assert labels.tolist() == [9, 15, 1, 6] and labels.dtype == np.uint8
    assert [int((ids == i).sum()) for i in range(5)] == [16, 16, 16, 8, 8]
    assert (ids[2, 2:] == 3).all() and (ids[2, :2] == 4).all()


def test_the_class_of_an_instance_is_that_of_its_first_voxel():
    semantics = np.full((2, 2, 2), 6, np.uint8)
    semantics[0, 0, 1] = 1
    instances = np.ones((2, 2, 2), np.uint16)
    instances[0, 0, 0] = 0
    assert mask_targets(semantics, instances, SEMANTIC_KITTI)[0].tolist() == [1]


def test_an_instance_on_a_road_is_refused():
    semantics = np.full((2, 2, 2), 9, np.uint8)
    with pytest.raises(DataError, match=r"thing classes.*got 8 voxels of other classes, the first of class 9"):
        mask_targets(semantics, np.ones((2, 2, 2), np.uint16), SEMANTIC_KITTI)


def test_classes_that_are_things_in_one_dataset_are_stuff_in_the_other():
    semantics = np.full((2, 2, 2), 7, np.uint8)  # bicyclist, or road
    none = np.zeros((2, 2, 2), np.uint16)
    assert mask_targets(semantics, none, SEMANTIC_KITTI)[0].tolist() == []
    assert mask_targets(semantics, none, KITTI_360)[0].tolist() == [7]


def test_the_same_seed_gives_the_same_crop_and_a_crop_is_a_part_of_the_whole():
    truth = random_truth(np.random.default_rng(4))
    whole = subnet_target(truth, yaw(15), SEMANTIC_KITTI, GRID)
    crops = [
        subnet_target(truth, yaw(15), SEMANTIC_KITTI, GRID, rng=np.random.default_rng(s), crop_share=0.8)
        for s in (1, 1, 2)
    ]
    assert np.array_equal(crops[0].semantics[1], crops[1].semantics[1])
    assert not np.array_equal(crops[0].crop.lower, crops[2].crop.lower)
    for target in crops:
        known = np.argwhere(target.semantics[1] != UNKNOWN) + target.box_min
        assert target.keeps(known).all()
        in_whole = np.argwhere(whole.semantics[1] != UNKNOWN) + whole.box_min
        kept = in_whole[target.keeps(in_whole)]
        assert {*map(tuple, kept)} == {*map(tuple, known)}
        for voxel in known[::97]:
            assert target.semantics[1][tuple(voxel - target.box_min)] == (
                whole.semantics[1][tuple(voxel - whole.box_min)]
            )


def test_crops_keep_the_share_asked_for_and_reach_every_place():
    rng = np.random.default_rng(0)
    lower, upper = np.array([10, -20, 0]), np.array([110, 30, 31])
    crops = [Crop.random(lower, upper, rng, 0.8) for _ in range(2000)]
    extents = np.array([crop.upper - crop.lower for crop in crops])
    np.testing.assert_allclose(extents, np.tile([80, 40], (2000, 1)))
    starts = np.array([crop.lower for crop in crops])
    assert (starts >= [10, -20]).all() and (starts <= [30, -10]).all()
    assert starts.min(0) == pytest.approx([10, -20], abs=0.5) and starts.max(0) == pytest.approx([30, -10], abs=0.5)


def test_a_crop_of_a_single_column_keeps_it():
    crop = Crop.random(np.array([5, 7, 0]), np.array([5, 7, 3]), np.random.default_rng(0), 0.8)
    assert crop.contains(np.array([[5, 7, 2], [6, 7, 2], [4, 7, 2]])).tolist() == [True, False, False]


def test_the_box_of_an_item_holds_the_boxes_of_its_subnets():
    truth = random_truth(np.random.default_rng(6))
    targets = [subnet_target(truth, t, SEMANTIC_KITTI, GRID) for t in TRANSFORMS]
    lower, upper = global_box(targets)
    assert (lower % 8 == 0).all() and ((upper - lower + 1) % 8 == 0).all()
    assert all((lower <= t.box_min).all() and (t.box_max <= upper).all() for t in targets)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"crop_share": 0.8}, ConfigError, "rng to be a numpy Generator"),
        ({"crop_share": 0.0, "rng": np.random.default_rng(0)}, ConfigError, "more than 0 and at most 1, got 0.0"),
        ({"transform": np.zeros((4, 4))}, ConfigError, "affine and invertible"),
        ({"truth": VoxelTruth(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint16))}, DataError, "of shape"),
        ({"truth": VoxelTruth(np.zeros(GRID.shape), np.zeros(GRID.shape, np.uint16))}, DataError, "uint8.*got float64"),
    ],
)
def test_wrong_input_is_refused_with_its_value(options, error, message):
    arguments = {"truth": random_truth(np.random.default_rng(0)), "transform": IDENTITY, **options}
    with pytest.raises(error, match=message):
        subnet_target(labels=SEMANTIC_KITTI, grid=GRID, **arguments)


def test_published_frequencies_have_one_number_per_class_and_fall_with_the_stride():
    for labels in (SEMANTIC_KITTI, KITTI_360):
        table = published_frequencies(labels)
        assert all(table[stride].shape == (labels.n_classes,) and (table[stride] > 0).all() for stride in (1, 2, 4))
    table = published_frequencies(KITTI_360)
    assert (table[1][1:] > table[2][1:]).all() and (table[2][1:] > table[4][1:]).all()
