"""Lines of sight and beams through a grid, beside slab tests of every voxel with every line."""

from __future__ import annotations

import numpy as np
import pytest
from voxel_references import SMALL_GRID, all_voxels, boxes_on_segment

from pasco_core.data.voxel_labels.beams import passed_by_beams
from pasco_core.data.voxel_labels.sight_lines import SightLines
from pasco_core.geometry import VoxelGrid

# Inside, on a voxel's border, in a corner, outside ahead, outside above and behind.
POSITIONS = [(1.13, 0.27, 1.31), (0.0, 0.0, 0.0), (-0.93, -1.91, 3.4), (9.7, 0.61, 1.1), (-3.3, 1.7, 5.2)]


def scattered(grid: VoxelGrid, share: float, seed: int) -> np.ndarray:
    """Random occupied voxels."""
    return np.random.default_rng(seed).random(grid.shape) < share


def hidden_by_slab_tests(position: np.ndarray, occupied: np.ndarray, grid: VoxelGrid, grow: float) -> np.ndarray:
    """For each voxel: an occupied voxel, neither itself nor the position's own, meets the segment to its centre."""
    walls = np.argwhere(occupied)
    own = np.floor((position - np.asarray(grid.origin)) / grid.voxel_size)
    walls = walls[(walls != own).any(axis=1)]
    hidden = []
    for voxel, centre in zip(all_voxels(grid), grid.centre_of(all_voxels(grid))):
        others = walls[(walls != voxel).any(axis=1)]
        hidden.append(boxes_on_segment(position, centre, others, grid, grow).any())
    return np.array(hidden)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("share", [0.01, 0.08])
def test_what_hides_a_voxel_is_what_slab_tests_find(position: tuple[float, float, float], share: float):
    occupied = scattered(SMALL_GRID, share, seed=int(share * 100))
    hidden = SightLines(occupied, SMALL_GRID).hidden(np.array(position), np.arange(SMALL_GRID.n_voxels))
    # Lines exactly along faces and through corners may go either way, all others may not.
    at_least = hidden_by_slab_tests(np.array(position), occupied, SMALL_GRID, grow=-1e-9)
    at_most = hidden_by_slab_tests(np.array(position), occupied, SMALL_GRID, grow=1e-9)
    assert not (at_least & ~hidden).any() and not (hidden & ~at_most).any()
    assert (at_least != at_most).mean() < 0.08
    assert 0.01 < at_least.mean() < 0.9


def test_the_quick_answer_for_a_whole_grid_is_the_exact_one_but_for_a_few_in_a_thousand():
    grid = VoxelGrid((0.0, -6.4, -2.0), 0.2, (64, 64, 32))
    occupied = np.zeros(grid.shape, bool)
    occupied[:, :, 1] = scattered(grid, 0.6, 1)[:, :, 0]  # ground with gaps
    occupied[20:40, 50, 2:15] = occupied[30, 10:30, 2:9] = occupied[12, 33, 2:12] = True  # walls and a pole
    occupied |= scattered(grid, 0.002, 2)
    lines = SightLines(occupied, grid)
    for position in ((0.03, 0.07, 0.01), (7.11, -1.3, 0.2), (20.2, 0.4, 0.33)):
        exact = ~lines.hidden(np.array(position), np.arange(grid.n_voxels)).reshape(grid.shape)
        quick = lines.seen_from(np.array(position))
        assert 0.3 < exact.mean() < 0.95
        assert (quick != exact).mean() < 0.003


def test_only_the_voxels_asked_for_are_answered():
    occupied = scattered(SMALL_GRID, 0.05, 4)
    among = scattered(SMALL_GRID, 0.5, 5)
    lines, position = SightLines(occupied, SMALL_GRID), np.array(POSITIONS[0])
    np.testing.assert_array_equal(lines.seen_from(position, among), lines.seen_from(position) & among)


def test_a_wall_hides_what_is_behind_it_and_not_itself():
    grid = VoxelGrid((0.0, 0.0, 0.0), 1.0, (9, 5, 5))
    occupied = np.zeros(grid.shape, bool)
    occupied[4] = True
    seen = SightLines(occupied, grid).seen_from(np.array([0.5, 2.5, 2.5]))
    assert seen[:5].all() and not seen[5:].any()


def test_an_empty_grid_hides_nothing_and_the_sensors_own_voxel_neither():
    occupied = np.zeros(SMALL_GRID.shape, bool)
    position = np.array(POSITIONS[0])
    assert SightLines(occupied, SMALL_GRID).seen_from(position).all()
    occupied[tuple(SMALL_GRID.voxel_of(position[None])[0])] = True
    assert SightLines(occupied, SMALL_GRID).seen_from(position).all()


@pytest.mark.parametrize("position", POSITIONS)
def test_beams_pass_the_voxels_that_slab_tests_find(position: tuple[float, float, float]):
    rng = np.random.default_rng(8)
    start, ends = np.array(position), rng.uniform((-3, -4, -2), (9, 6, 5), (40, 3))
    voxels = all_voxels(SMALL_GRID)
    expected = np.zeros(SMALL_GRID.shape, bool)
    for end in ends:
        met = voxels[boxes_on_segment(start, end, voxels, SMALL_GRID)]
        own = np.floor((end - np.asarray(SMALL_GRID.origin)) / SMALL_GRID.voxel_size)
        expected[tuple(met[(met != own).any(axis=1)].T)] = True
    passed = passed_by_beams(start, ends, SMALL_GRID)
    assert expected.any()
    np.testing.assert_array_equal(passed, expected)


def test_a_beam_that_ends_inside_does_not_pass_the_voxel_it_hits():
    grid = VoxelGrid((0.0, 0.0, 0.0), 1.0, (6, 3, 3))
    passed = passed_by_beams(np.array([0.5, 1.5, 1.5]), np.array([[3.2, 1.5, 1.5]]), grid)
    assert np.argwhere(passed).tolist() == [[0, 1, 1], [1, 1, 1], [2, 1, 1]]


def test_beams_beside_the_grid_and_no_beams_pass_nothing():
    assert not passed_by_beams(np.zeros(3), np.zeros((0, 3)), SMALL_GRID).any()
    assert not passed_by_beams(np.array([50.0, 0, 0]), np.array([[60.0, 0, 0], [50, 9, 0]]), SMALL_GRID).any()
