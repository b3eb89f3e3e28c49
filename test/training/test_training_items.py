"""Which scans and views make up an item, and that it depends on nothing but the seed and its place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_scenes import ToyScenes, tiny_experiment

from pasco_core.data.frame import UNKNOWN, Frame
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.rigid import warp_voxels
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.training_targets import occupied_in_truth
from pasco_core.systems.pasco.transforms import fixed_transforms
from training.batch import TrainingBatch, load_batch, save_batch
from training.data_module import SceneData
from training.features import CachedFeatures, cached_features
from training.items import TrainingItems, ValidationItems
from training.sampling import EpochSampler


def items(n_frames: int = 4, experiment=None, **options) -> TrainingItems:
    scenes = ToyScenes(n_frames)
    return TrainingItems(scenes, scenes.frames("train"), experiment or tiny_experiment(), **options)


def assert_equal_batches(a: TrainingBatch, b: TrainingBatch) -> None:
    assert (a.frames, a.seed) == (b.frames, b.seed)
    for x, y in zip((*a.features, *a.voxels), (*b.features, *b.voxels), strict=True):
        assert torch.equal(x, y)
    for x, y in zip(a.targets, b.targets, strict=True):
        assert torch.equal(x.origin, y.origin) and torch.equal(x.upper, y.upper)
        assert torch.equal(x.segments, y.segments) and torch.equal(x.segment_classes, y.segment_classes)
        assert all(torch.equal(x.semantics[s], y.semantics[s]) for s in (4, 2, 1))


def test_an_item_holds_the_indexed_scan_and_others_but_none_twice():
    data = items(5, tiny_experiment(network={"n_subnets": 3}))
    seen = set()
    for index in range(5):
        frames = data[(0, index)].frames
        assert len(set(frames)) == 3
        assert f"00/{index:06d}" in frames
        seen |= {frames.index(f"00/{index:06d}")}
    assert len(seen) > 1, "the indexed scan is not always the same subnet's"


def test_one_frame_alone_goes_to_all_subnets():
    assert items(1)[(0, 0)].frames == ("00/000000", "00/000000")


def test_an_item_is_the_same_whenever_and_by_whomever_it_is_made():
    first, second = items(), items()
    second[(0, 0)]
    assert_equal_batches(first[(3, 2)], second[(3, 2)])


def test_another_epoch_or_seed_gives_another_view():
    data = items()
    for other in (data[(1, 2)], items(experiment=tiny_experiment(seed=1))[(0, 2)]):
        assert not torch.equal(data[(0, 2)].voxels[0][:5], other.voxels[0][:5])


@pytest.mark.timeout(120)
def test_loader_processes_make_the_same_items_in_the_same_order():
    def batches(workers):
        experiment = tiny_experiment(data={"workers": workers})
        return list(SceneData(experiment, ToyScenes(2)).train_dataloader())

    for a, b in zip(batches(0), batches(1), strict=True):
        assert_equal_batches(a, b)


def test_input_voxels_lie_on_what_the_target_calls_occupied():
    batch = items(experiment=tiny_experiment(augmentation={"fixed_views": True}))[(0, 1)]
    for voxels, target in zip(batch.voxels, batch.targets):
        inside = target.semantics[1][tuple((voxels - target.origin).long().T)]
        assert bool(((inside != 0) & (inside != UNKNOWN)).all())


def test_fixed_views_are_those_of_inference():
    scenes = ToyScenes(1)
    batch = items(1, tiny_experiment(augmentation={"fixed_views": True}))[(0, 0)]
    own = KITTI_GRID.voxel_of(scenes.points(Frame("00", 0))[:, :3])
    for voxels, transform in zip(batch.voxels, fixed_transforms(2)):
        assert np.array_equal(voxels.numpy(), warp_voxels(own, transform, KITTI_GRID))


def test_a_crop_leaves_its_share_of_targets_and_points():
    whole, part = items()[(0, 0)], items(experiment=tiny_experiment(augmentation={"crop": 0.5}))[(0, 0)]
    for a, b in zip(whole.targets, part.targets):
        known = [int((t.semantics[1] != UNKNOWN).any(2).sum()) for t in (a, b)]
        assert 0.15 < known[1] / known[0] < 0.4
        assert bool((b.upper - b.origin < a.upper - a.origin)[:2].all())
    for voxels, target in zip(part.voxels, part.targets):
        assert bool(((voxels >= target.origin) & (voxels <= target.upper))[:, :2].all())


def test_point_dropout_leaves_out_that_share():
    whole = items(experiment=tiny_experiment(augmentation={"fixed_views": True}))[(0, 0)]
    fewer = items(experiment=tiny_experiment(augmentation={"fixed_views": True, "point_dropout": 0.3}))[(0, 0)]
    share = sum(map(len, fewer.features)) / sum(map(len, whole.features))
    assert 0.65 < share < 0.75


def test_a_frame_without_points_in_its_known_area_is_named():
    class Blind(ToyScenes):
        def points(self, frame):
            return np.zeros((0, 4), np.float32)

    scenes = Blind(2)
    with pytest.raises(DataError, match="frame 00/00000"):
        TrainingItems(scenes, scenes.frames("train"), tiny_experiment())[(0, 0)]


def test_whole_scans_travel_along_where_features_are_made_later():
    batch = items(with_scans=True)[(0, 0)]
    for scan, rows, features in zip(batch.scans, batch.rows, batch.features):
        assert torch.equal(scan[rows][:, 3], features[:, 0])


def test_cached_features_stand_where_the_network_expects_them(tmp_path):
    scenes = ToyScenes(2)
    rng = np.random.default_rng(0)
    for frame in scenes.frames("train"):
        n = len(scenes.points(frame))
        path = CachedFeatures(tmp_path).path(frame)
        path.parent.mkdir(exist_ok=True)
        arrays = {"probabilities": rng.random((n, 19)), "embedding": rng.random((n, 6))}
        np.savez(path, **{k: v.astype(np.float16) for k, v in arrays.items()})
    experiment = tiny_experiment(augmentation={"fixed_views": True})
    batch = items(2, experiment, features=cached_features(tmp_path))[(0, 0)]
    frame = Frame.parse(batch.frames[0])
    probabilities, embedding = cached_features(tmp_path)(frame, len(scenes.points(frame)))
    assert torch.equal(batch.features[0][:, :19], probabilities)
    assert torch.equal(batch.features[0][:, 21:27], embedding)
    plain = items(2, experiment)[(0, 0)].features[0]
    assert torch.equal(batch.features[0][:, [19, 20, *range(27, 33)]], plain)


def test_missing_or_foreign_features_are_named(tmp_path):
    with pytest.raises(DataError, match=r"frame 00/000003 at .*000003.npz"):
        cached_features(tmp_path)(Frame("00", 3), 5)
    path = CachedFeatures(tmp_path).path(Frame("00", 3))
    path.parent.mkdir()
    np.savez(path, probabilities=np.zeros((4, 19)), embedding=np.zeros((4, 6)))
    with pytest.raises(DataError, match="features of 5 points, got 4"):
        cached_features(tmp_path)(Frame("00", 3), 5)
    path.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(DataError, match="to hold point features"):
        cached_features(tmp_path)(Frame("00", 3), 5)
    with pytest.raises(DataError, match="feature_cache"):
        cached_features(tmp_path / "none")


def test_devices_share_an_epoch_and_take_equally_many_steps():
    shares = [list(EpochSampler(10, 1.0, 0, rank, 3)) for rank in range(3)]
    assert [len(share) for share in shares] == [4, 4, 4]
    assert {index for share in shares for _, index in share} == set(range(10))


def test_a_share_of_the_data_is_drawn_anew_for_each_epoch():
    sampler = EpochSampler(20, 0.5, 0)
    epochs = []
    for epoch in range(6):
        sampler.set_epoch(epoch)
        epochs.append([index for _, index in sampler])
    assert all(len(set(epoch)) == 10 for epoch in epochs)
    assert {index for epoch in epochs for index in epoch} == set(range(20))
    assert epochs[0] != epochs[1]


def test_an_epoch_goes_on_where_it_stopped_and_the_next_is_whole():
    whole = EpochSampler(6, 1.0, 0)
    whole.set_epoch(2)
    expected = list(whole)
    resumed = EpochSampler(6, 1.0, 0)
    resumed.continue_from(2, 4)
    assert len(resumed) == 6
    assert list(resumed) == expected[4:]
    resumed.set_epoch(3)
    assert len(list(resumed)) == 6


def test_validation_frames_are_on_one_device_each():
    scenes = ToyScenes(5)
    parts = [ValidationItems(scenes, scenes.frames("val"), rank, 2) for rank in range(2)]
    frames = [part[i].frame.index for part in parts for i in range(len(part))]
    assert [len(part) for part in parts] == [3, 2]
    assert sorted(frames) == [0, 1, 2, 3, 4]


def test_validation_takes_frames_evenly_spread():
    data = SceneData(tiny_experiment(data={"val_frames": 3}), ToyScenes(9))
    assert [frame.index for frame in data.val_frames] == [0, 4, 8]


@pytest.mark.parametrize(("there", "part", "missing"), [("00", "val", "08"), ("08", "train", "00, 01")])
def test_a_dataset_without_a_split_says_how_to_come_to_one(tmp_path, there, part, missing):
    (tmp_path / "sequences" / there / "voxels").mkdir(parents=True)
    (tmp_path / "sequences" / there / "velodyne").mkdir()
    for path in ("voxels/000000.label", "velodyne/000000.bin"):
        (tmp_path / "sequences" / there / path).touch()
    with pytest.raises(DataError) as caught:
        SceneData(tiny_experiment(data={"root": str(tmp_path)}))
    assert f"to hold a sequence of split '{part}' ({missing}" in str(caught.value)
    assert f"got {there}; --set \"data.{part}_sequences=['NAME']\" takes another one" in str(caught.value)
    own = SceneData(tiny_experiment(data={"root": str(tmp_path), f"{part}_sequences": [there]}))
    assert [frame.sequence for frame in (*own.train_frames, *own.val_frames)] == [there, there]


def test_the_truth_of_any_subnet_wants_its_candidates():
    batch = items()[(0, 0)]
    for stride in (4, 2, 1):
        low, high = batch.box_min.amin(0) - 8, batch.box_max.amax(0) + 8
        axes = [torch.arange(int(a) // 8 * 8, int(b), stride) for a, b in zip(low, high)]
        coords = torch.nn.functional.pad(torch.cartesian_prod(*axes), (1, 0)).to(torch.int32)
        mask = occupied_in_truth(SparseTensor(coords, torch.zeros(len(coords), 1), stride), list(batch.targets))
        expected = set()
        for target in batch.targets:
            volume = target.semantics[stride]
            cells = ((volume != 0) & (volume != UNKNOWN)).nonzero()
            expected |= {tuple(c) for c in (cells * stride + target.origin).tolist()}
        assert {tuple(c) for c in coords[mask][:, 1:].tolist()} == expected


def test_a_saved_batch_comes_back_bit_by_bit(tmp_path):
    batch = items()[(1, 3)]
    save_batch(tmp_path / "batch.npz", batch, {"step": 5})
    loaded, notes = load_batch(tmp_path / "batch.npz")
    assert notes == {"step": 5}
    assert_equal_batches(batch, loaded)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 100])
def test_a_damaged_saved_batch_is_refused_by_name(tmp_path, content):
    (tmp_path / "batch.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"batch\.npz to be a saved training batch"):
        load_batch(tmp_path / "batch.npz")
