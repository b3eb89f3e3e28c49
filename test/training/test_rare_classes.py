"""Rare classes are learnt from more often: which frames come, and where the crops lie."""

from __future__ import annotations

import numpy as np
import pytest
from toy_scenes import ToyScenes, tiny_experiment

from pasco_core.data.datasets.training_item import Crop
from training.items import TrainingItems
from training.sampling import EpochSampler, class_presence, epoch_sampler, repeat_factors

PERSON = 6


def test_a_frame_comes_by_the_square_root_of_how_rare_its_rarest_class_is():
    presence = np.zeros((100, 3), bool)
    presence[:, 0] = True
    presence[:25, 1] = True
    presence[:4, 2] = True
    factors = repeat_factors(presence, 0.5)
    assert factors[:4] == pytest.approx(np.sqrt(0.5 / 0.04))
    assert factors[4:25] == pytest.approx(np.sqrt(0.5 / 0.25))
    assert np.all(factors[25:] == 1)


def test_without_rare_classes_every_frame_counts_once():
    assert np.all(repeat_factors(np.ones((5, 2), bool), 0.5) == 1)


def test_a_class_that_never_occurs_makes_no_frame_rarer():
    presence = np.array([[True, False], [True, False]])
    assert np.all(repeat_factors(presence, 1.0) == 1)


def test_the_sampler_draws_each_frame_in_proportion_to_its_repeats():
    repeats = np.array([1.0, 3.0, 1.0, 5.0])
    sampler = EpochSampler(4, 1.0, seed=1, repeats=repeats)
    counts = np.zeros(4)
    for epoch in range(3000):
        sampler.set_epoch(epoch)
        drawn = [index for _, index in sampler]
        assert len(drawn) == len(sampler) == 4
        counts += np.bincount(drawn, minlength=4)
    assert counts / counts.sum() == pytest.approx(repeats / repeats.sum(), abs=0.015)


def test_an_epoch_with_repeats_goes_on_where_it_stopped():
    whole = EpochSampler(8, 1.0, seed=3, repeats=np.arange(1.0, 9.0))
    whole.set_epoch(2)
    resumed = EpochSampler(8, 1.0, seed=3, repeats=np.arange(1.0, 9.0))
    resumed.continue_from(2, 5)
    assert list(resumed) == list(whole)[5:]


@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
def test_a_crop_around_a_voxel_holds_it_wherever_it_lies(share):
    rng = np.random.default_rng(0)
    low, high = np.array([8, 0, 0]), np.array([207, 255, 31])
    for _ in range(300):
        voxel = rng.integers(low, high + 1)
        crop = Crop.random(low, high, rng, share, around=voxel[:2])
        assert np.all(crop.lower >= low[:2]) and np.all(crop.upper <= high[:2] + 1)
        if np.all(voxel[:2] < high[:2]):  # the last layer lies on the half-open border of every crop, as without focus
            assert crop.contains(voxel[None])[0]


def test_crops_around_a_voxel_lie_evenly_among_those_that_hold_it():
    rng = np.random.default_rng(1)
    low, high = np.array([0, 0, 0]), np.array([200, 200, 31])
    lower = np.array([Crop.random(low, high, rng, 0.25, around=np.array([100, 3])).lower for _ in range(4000)])
    assert lower[:, 0].min() == pytest.approx(51, abs=0.5) and lower[:, 0].max() == pytest.approx(100, abs=0.5)
    assert lower[:, 0].mean() == pytest.approx(75.5, abs=1)
    assert lower[:, 1].min() >= 0 and lower[:, 1].max() <= 3


class OnePerson(ToyScenes):
    """Every scene has one voxel of a person; every second one none at all."""

    def truth(self, frame):
        truth = super().truth(frame)
        if frame.index % 2 == 0:
            truth.semantics[9, 113, 5] = PERSON
            truth.instances[9, 113, 5] = 100
        return truth


def test_with_focus_every_crop_holds_a_class_drawn_evenly_from_those_in_the_frame():
    def share(focus: float) -> float:
        experiment = tiny_experiment(augmentation={"crop": 0.25, "focus": focus, "fixed_views": True})
        scenes = OnePerson(1)
        items = TrainingItems(scenes, scenes.frames("train"), experiment)
        held = [
            np.any(np.asarray(target.semantics[1]) == PERSON) for epoch in range(30)
            for target in items[epoch, 0].targets
        ]
        return float(np.mean(held))

    assert share(0.0) < 0.1  # it stands in a corner that few crops hold
    assert 0.1 < share(1.0) < 0.5  # one class of four


def test_frames_with_a_rare_class_are_drawn_more_often():
    scenes = OnePerson(6)
    frames = scenes.frames("train")
    presence = class_presence(scenes, frames)
    assert presence[:, PERSON].tolist() == [True, False] * 3
    sampler = epoch_sampler(tiny_experiment(data={"rare_class_share": 1.0}), scenes, frames)
    drawn = []
    for epoch in range(400):
        sampler.set_epoch(epoch)
        drawn += [index for _, index in sampler]
    assert len(drawn) == 2400
    even = np.mean(np.array(drawn) % 2 == 0)
    assert even == pytest.approx(np.sqrt(2) / (1 + np.sqrt(2)), abs=0.03)
    assert sorted(index for _, index in epoch_sampler(tiny_experiment(), scenes, frames)) == list(range(6))
