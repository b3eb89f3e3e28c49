"""Frames of a hand-made world put together: what is remembered, what is forgotten, and what was never known."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.errors import ConfigError, DataError
from pasco_core.fusion import FusionConfig, Observation, SceneFusion
from pasco_core.fusion.evidence import Evidence, Measured

CAR, ROAD, BUILDING = 1, 9, 13
SMALL = {"shape": (96, 96, 24)}
WALL = ((4.0, -2.0, -0.8), (4.4, 2.0, 0.8), BUILDING, (0, 0, 0), False)


def fused(config: FusionConfig, observations) -> SceneFusion:
    fusion = SceneFusion(SEMANTIC_KITTI, config)
    for observation, pose, time in observations:
        fusion.add(observation, pose, time)
    return fusion


def test_one_frame_comes_back_as_it_went_in(world, pose, grid):
    seen = world([WALL]).observe(pose(0))
    scene = fused(FusionConfig(**SMALL), [(seen, pose(0), 0.0)]).seen_from(grid, pose(0))
    assert np.array_equal(scene.semantics, seen.semantics)
    assert (scene.semantics == BUILDING).sum() == 2 * 20 * 8


def test_what_was_passed_is_remembered_behind_the_sensor(world, pose, grid, unknown):
    scenery = world([WALL])
    drive = [(scenery.observe(pose(x)), pose(x), x / 10) for x in np.arange(0, 7, 0.5)]
    fusion = fused(FusionConfig(**SMALL), drive)
    behind = fusion.seen_from(grid, pose(0))
    assert np.array_equal(behind.semantics == BUILDING, scenery.observe(pose(0)).semantics == BUILDING)
    assert fusion.seen_from(grid, pose(-12)).semantics.min() == unknown  # never seen: unknown, not free


def test_unknown_voxels_of_a_frame_say_nothing(world, pose, grid, unknown):
    first = world([WALL]).observe(pose(0))
    zeros = np.zeros(grid.shape, np.float32)
    everywhere = np.full(grid.shape, unknown, np.uint8)
    nothing = Observation(grid, SEMANTIC_KITTI, everywhere, zeros, zeros, np.zeros(grid.shape, np.int32))
    config = FusionConfig(**SMALL)
    with_it = fused(config, [(first, pose(0), 0.0), (nothing, pose(0), 0.1)]).seen_from(grid, pose(0))
    assert np.array_equal(with_it.semantics, first.semantics)
    only = fused(config, [(nothing, pose(0), 0.0)]).seen_from(grid, pose(0))
    assert (only.semantics == unknown).all() and (only.uncertainty == 1).all()


def test_log_odds_add_up_as_bayes_says_and_fade_with_time():
    config = FusionConfig(shape=(8, 8, 8), trust=1.0, trust_in_free=1.0, most_evidence=50.0, memory=2.0)
    evidence = Evidence(SEMANTIC_KITTI, config)
    slot = np.array([3])
    odds = 0.0
    for time, (category, occupancy) in enumerate([(ROAD, 0.8), (ROAD, 0.6), (0, 0.4)]):
        evidence.measure(Measured(slot, np.array([category], np.uint8), np.array([occupancy], np.float32),
                                  np.array([0.5], np.float32), np.zeros(1, np.int32)), float(time))
        odds = odds * np.exp(-0.5 * (time > 0)) + np.log(occupancy / (1 - occupancy))
    belief = evidence.read(slot, 2.0)
    assert belief.occupancy[0] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)
    assert belief.semantics[0] == ROAD
    late = evidence.read(slot, 1000.0)
    assert late.semantics[0] == 255 and late.occupancy[0] == 0.5


def test_frames_that_err_at_random_about_what_stands_are_put_right_together(world, pose, grid):
    truth = world([WALL, ((0.0, -3.2, -0.8), (6.4, 3.2, -0.6), ROAD, (0, 0, 0), False)]).observe(pose(0))
    rng = np.random.default_rng(3)
    fusion = SceneFusion(SEMANTIC_KITTI, FusionConfig(**SMALL, trust_in_free=0.5, most_evidence=4.0))
    for k in range(9):
        wrong = rng.random(grid.shape) < 0.3
        semantics = np.where(wrong, rng.choice([0, ROAD, BUILDING], grid.shape), truth.semantics).astype(np.uint8)
        sure = np.where(semantics > 0, 0.7, 0.3).astype(np.float32)
        confidence = np.full(grid.shape, 0.7, np.float32)
        fusion.add(Observation(grid, SEMANTIC_KITTI, semantics, sure, confidence, truth.instances), pose(0), k / 10)
    single = (semantics == truth.semantics).mean()
    together = (fusion.seen_from(grid, pose(0)).semantics == truth.semantics).mean()
    assert single < 0.82 and together > 0.97


def test_a_driving_car_keeps_its_number_and_speed_and_leaves_no_trail(world, pose, grid):
    scenery = world([((0.4, -1.0, -0.8), (2.4, 0.0, 0.4), CAR, (5.0, 0, 0), True), WALL])
    fusion = fused(FusionConfig(**SMALL), [(scenery.observe(pose(0), t), pose(0), t) for t in np.arange(0, 0.9, 0.1)])
    scene = fusion.seen_from(grid, pose(0))
    assert list(scene.tracks) == [1]
    track = scene.tracks[1]
    assert track.category == CAR and track.velocity[0] == pytest.approx(5.0, abs=0.5)
    assert np.array_equal(scene.tracks_of_voxels > 0, scenery.observe(pose(0), 0.8).semantics == CAR)
    assert np.array_equal(scene.semantics == CAR, scenery.observe(pose(0), 0.8).semantics == CAR)


def test_two_cars_that_pass_each_other_keep_their_numbers(world, pose, grid):
    scenery = world([((0.0, -2.4, -0.8), (1.6, -1.4, 0.4), CAR, (4, 0, 0), True),
                     ((4.8, 0.4, -0.8), (6.4, 1.4, 0.4), CAR, (-4, 0, 0), True)])
    fusion = SceneFusion(SEMANTIC_KITTI, FusionConfig(**SMALL))
    sides = []
    for time in np.arange(0, 1.2, 0.1):
        fusion.add(scenery.observe(pose(0), time), pose(0), time)
        voxels = fusion.seen_from(grid, pose(0)).tracks_of_voxels
        sides.append((set(np.unique(voxels[:, :14])) - {0}, set(np.unique(voxels[:, 16:])) - {0}))
    assert sides[0] == (set(), set())  # told from the second frame on
    assert all(right == {1} and left == {2} for right, left in sides[1:])


def test_a_thing_that_is_gone_for_long_gets_a_new_number(world, pose, grid):
    car = world([((2.0, -1.0, -0.8), (4.0, 0.0, 0.4), CAR, (0, 0, 0), True)])
    empty = world([])
    times = [0.0, 0.1, 1.0, 2.0, 3.0, 3.1]
    seen = [(car if t < 0.5 or t > 2.5 else empty).observe(pose(0), t) for t in times]
    scene = fused(FusionConfig(**SMALL), [(s, pose(0), t) for s, t in zip(seen, times, strict=True)])
    assert list(scene.seen_from(grid, pose(0)).tracks) == [2]


def test_the_window_and_the_view_of_a_frame_show_the_same(world, pose, grid):
    fusion = fused(FusionConfig(**SMALL), [(world([WALL]).observe(pose(0)), pose(0), 0.0)])
    window = fusion.window()
    walls = window.grid.centre_of(np.argwhere(window.semantics == BUILDING))
    assert len(walls) == (fusion.seen_from(grid, pose(0)).semantics == BUILDING).sum()
    assert walls.min(0) == pytest.approx([4.1, -1.9, -0.7], abs=1e-6)


def test_reset_forgets_everything(world, pose, grid, unknown):
    fusion = fused(FusionConfig(**SMALL), [(world([WALL]).observe(pose(0)), pose(0), 5.0)])
    fusion.reset()
    fusion.add(world([]).observe(pose(20)), pose(20), 1.0)
    assert (fusion.seen_from(grid, pose(0)).semantics == unknown).all()


def test_frames_that_cannot_be_fused_are_refused(world, pose, grid):
    fusion = fused(FusionConfig(**SMALL), [(world([]).observe(pose(0)), pose(0), 1.0)])
    seen = world([]).observe(pose(0))
    with pytest.raises(DataError, match=r"in order of time, got 0\.500 s after 1\.000 s"):
        fusion.add(seen, pose(0), 0.5)
    with pytest.raises(DataError, match="finite 4×4 matrix"):
        fusion.add(seen, np.full((4, 4), np.nan), 2.0)
    with pytest.raises(DataError, match="to be rigid"):
        fusion.add(seen, np.diag([2.0, 1, 1, 1]), 2.0)
    other = Observation(grid, KITTI_360, seen.semantics, seen.occupancy, seen.confidence, seen.instances)
    with pytest.raises(DataError, match="classes to be SemanticKITTI's, got"):
        fusion.add(other, pose(0), 2.0)
    with pytest.raises(ConfigError, match="memory to be above 0, got -1"):
        FusionConfig(memory=-1)
