"""What is done to a scan before a subnet sees it: truth and scan stay one, intensities alone cannot tell classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_scenes import CAR, ToyScenes, tiny_experiment

from pasco_core.errors import ConfigError, DataError
from training.items import TrainingItems
from training.scan_changes import LOST_SHARE, changed_scan, mirrored, with_other_intensities

SCENES = ToyScenes(3)
FRAME = SCENES.frames("train")[0]


def scan():
    return SCENES.points(FRAME), SCENES.truth(FRAME)


def classes_at(points, truth):
    x, y, z = SCENES.grid.voxel_of(points[:, :3]).T
    return truth.semantics[x, y, z]


def changed(seed=0, **shares):
    experiment = tiny_experiment(augmentation=shares)
    return changed_scan(*scan(), SCENES.grid, experiment.augmentation, np.random.default_rng(seed))


def test_in_a_mirrored_scene_every_point_lies_in_a_voxel_of_its_class_on_the_other_side():
    points, truth = scan()
    turned, turned_truth = mirrored(points, truth)
    assert np.array_equal(turned[:, 1], -points[:, 1])
    assert np.array_equal(classes_at(turned, turned_truth), classes_at(points, truth))
    assert not np.array_equal(turned_truth.semantics, truth.semantics)
    assert np.bincount(turned_truth.instances.ravel()).tolist() == np.bincount(truth.instances.ravel()).tolist()


def test_a_scene_mirrored_twice_is_the_scene():
    points, truth = scan()
    again, truth_again = mirrored(*mirrored(points, truth))
    assert np.array_equal(again, points)
    assert np.array_equal(truth_again.semantics, truth.semantics)
    assert np.array_equal(truth_again.instances, truth.instances)


def test_other_intensities_leave_the_geometry_and_stay_those_a_sensor_reports():
    points, truth = scan()
    for seed in range(20):
        other = with_other_intensities(points, truth, SCENES.grid, np.random.default_rng(seed))
        assert np.array_equal(other[:, :3], points[:, :3])
        assert other.dtype == np.float32 and other[:, 3].min() >= 0 and other[:, 3].max() <= 0.99


def test_over_many_scans_the_intensities_of_a_class_spread_and_some_of_its_returns_are_lost():
    points, truth = scan()
    cars = classes_at(points, truth) == CAR
    points[:, 3] = 0.4
    medians, lost = [], []
    for seed in range(400):
        own = with_other_intensities(points, truth, SCENES.grid, np.random.default_rng(seed))[cars, 3]
        lost.append(np.mean(own == 0))
        medians.append(np.median(own[own > 0]))
    assert np.median(medians) == pytest.approx(0.4, abs=0.02)
    # Of 0.4 a factor of exp(N(0, 0.2)) and a shift of N(0, 0.06).
    assert np.std(medians) == pytest.approx(np.hypot(0.4 * 0.2, 0.06), rel=0.15)
    assert np.mean(np.array(lost) == 0) == pytest.approx(0.5, abs=0.08)
    assert max(lost) <= LOST_SHARE + 0.1


def test_hidden_intensities_are_all_zero():
    points, _ = changed(intensity_hidden=1.0)
    assert np.all(points[:, 3] == 0)
    assert np.array_equal(points[:, :3], scan()[0][:, :3])


def test_corrupted_scans_differ_from_time_to_time_and_keep_their_truth():
    points, truth = scan()
    results = [changed(seed, corruptions=1.0) for seed in range(12)]
    assert len({result[0].tobytes() for result in results}) > 8
    assert any(len(result[0]) < len(points) for result in results)
    assert all(np.array_equal(result[1].semantics, truth.semantics) for result in results)
    assert all(len(result[0]) and np.isfinite(result[0]).all() for result in results)


def test_without_changes_nothing_is_drawn_and_nothing_copied():
    points, truth = scan()
    rng = np.random.default_rng(3)
    same, same_truth = changed_scan(points, truth, SCENES.grid, tiny_experiment().augmentation, rng)
    assert same is points and same_truth is truth
    assert rng.random() == np.random.default_rng(3).random()


def test_the_scan_on_disk_stays_as_it_is():
    points, truth = scan()
    before = points.copy(), truth.semantics.copy()
    shares = {"mirror": 1.0, "intensity_changes": 1.0, "intensity_hidden": 1.0, "corruptions": 1.0}
    config = tiny_experiment(augmentation=shares).augmentation
    changed_scan(points, truth, SCENES.grid, config, np.random.default_rng(1))
    assert np.array_equal(points, before[0]) and np.array_equal(truth.semantics, before[1])


def test_items_of_changed_scans_are_the_same_whenever_they_are_made_and_each_subnet_sees_the_same_change():
    shares = {"mirror": 0.5, "intensity_changes": 0.5, "corruptions": 0.5, "fixed_views": True}
    experiment = tiny_experiment(network={"mirrored_views": False}, augmentation=shares)
    items = TrainingItems(SCENES, SCENES.frames("train"), experiment)
    seen = set()
    for epoch in range(6):
        first, again = items[(epoch, 1)], items[(epoch, 1)]
        assert all(torch.equal(a, b) for a, b in zip(first.features, again.features, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(first.voxels, again.voxels, strict=True))
        intensities = [own[:, 0].sort().values for own in first.features]
        assert torch.equal(*intensities) and len(intensities[0].unique()) > 1
        seen.add(first.features[0].numpy().tobytes())
    assert len(seen) > 3


@pytest.mark.parametrize("name", ["mirror", "intensity_changes", "intensity_hidden", "corruptions"])
def test_stored_point_features_do_not_go_with_changed_scans(name):
    with pytest.raises(ConfigError, match=f"unchanged with stored features .* {name} 0.1"):
        tiny_experiment(network={"in_channels": 283}, data={"feature_cache": "features"}, augmentation={name: 0.1})


@pytest.mark.parametrize("name", ["mirror", "intensity_changes", "intensity_hidden", "corruptions"])
def test_shares_beyond_one_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=f"{name} to be from 0 to 1, got 1.5"):
        tiny_experiment(augmentation={name: 1.5})


@pytest.mark.parametrize("name", ["intensity_changes", "corruptions"])
def test_scans_whose_intensities_are_not_shares_are_refused_by_name_whatever_is_drawn(name):
    class Bytes(ToyScenes):
        def points(self, frame):
            return super().points(frame) * np.array([1, 1, 1, 255], np.float32)

    scenes = Bytes(3)
    items = TrainingItems(scenes, scenes.frames("train"), tiny_experiment(augmentation={name: 1e-9}))
    with pytest.raises(DataError, match=r"scan 00/00000\d: Expected the intensities to be 0 to 1, got .* to 165"):
        items[(0, 0)]


def test_crops_and_views_stay_what_they_are_when_scans_are_changed():
    def boxes(**shares):
        experiment = tiny_experiment(augmentation={"crop": 0.5, **shares})
        batch = TrainingItems(SCENES, SCENES.frames("train"), experiment)[(2, 1)]
        return [target.origin.tolist() for target in batch.targets]

    assert boxes() == boxes(intensity_changes=1.0, intensity_hidden=0.5)
