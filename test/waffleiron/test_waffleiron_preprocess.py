"""Down-sampling, crop, cells and neighbours against brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.errors import CloudError
from pasco_core.systems.waffleiron import WaffleIronConfig, prepare
from pasco_core.systems.waffleiron.preprocess import first_per_voxel, inside, plane_cells

CONFIG = WaffleIronConfig(voxel_size=0.5, neighbours=4)
SCAN = Path(__file__).resolve().parents[3] / "shared/data/semantickitti/dataset/sequences/08/velodyne/000000.bin"


def _cloud(seed: int, n: int, spread: float = 60.0) -> np.ndarray:
    source = np.random.default_rng(seed)
    xyz = source.uniform(-spread, spread, (n, 3)) * [1, 1, 0.06]
    return np.column_stack([xyz, source.uniform(0, 1, n)]).astype(np.float32)


def test_the_first_point_of_each_voxel_is_kept_in_the_order_of_the_voxels():
    xyz = np.array([[1.30, 0, 0], [0.0, 0, 0], [1.10, 0, 0], [0.2, 0, 0.7], [0.3, 0.2, 0.1], [0.1, 0.6, 0]], np.float32)
    # Voxels along x of size 0.5: 2, 0, 2, 0 (higher), 0, 0 (further left).
    assert first_per_voxel(xyz, 0.5).tolist() == [1, 3, 5, 0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 120), spread=st.sampled_from([0.3, 3.0, 60.0]))
def test_down_sampling_equals_a_dictionary_of_voxels(seed, n, spread):
    xyz = _cloud(seed, n, spread)[:, :3]
    voxels = ((xyz - xyz.min(0)) / np.float32(0.5)).astype(int)
    first: dict[tuple, int] = {}
    for i, voxel in enumerate(map(tuple, voxels)):
        first.setdefault(voxel, i)
    assert first_per_voxel(xyz, 0.5).tolist() == [first[voxel] for voxel in sorted(first)]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 80), spread=st.sampled_from([3.0, 60.0]))
def test_neighbours_and_nearest_points_equal_a_full_distance_matrix(seed, n, spread):
    points = np.vstack([_cloud(seed, n, spread), np.float32([[0, 0, 0, 0.5]])])
    cloud = prepare(points, CONFIG)
    xyz = points[:, :3].astype(np.float64)
    kept = xyz[cloud.kept]
    to_kept = np.linalg.norm(xyz[:, None] - kept[None], axis=2)
    np.testing.assert_array_equal(cloud.nearest, to_kept.argmin(1))
    between = to_kept[cloud.kept]
    np.fill_diagonal(between, np.inf)
    found = min(CONFIG.neighbours, len(kept) - 1)
    np.testing.assert_array_equal(cloud.neighbours[:, :found], between.argsort(1, kind="stable")[:, :found])


def test_cells_are_row_major_with_the_lower_axis_as_the_row():
    xyz = np.array([[-49.9, -49.9, -2.99], [0.1, -0.1, -0.4], [49.9, 49.9, 1.99]], np.float32)
    cells = plane_cells(xyz, WaffleIronConfig())
    assert cells.tolist() == [
        [0, 125 * 250 + 124, 249 * 250 + 249],
        [0, 125 * 12 + 6, 249 * 12 + 11],
        [0, 124 * 12 + 6, 249 * 12 + 11],
    ]


@pytest.mark.parametrize("corner", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_point_on_the_border_is_outside_and_one_a_millimetre_inside_has_a_cell(corner, axis):
    config = WaffleIronConfig()
    border = np.zeros((1, 3), np.float32)
    border[0, axis] = config.field_of_view[corner][axis]
    assert not inside(border, config).any()
    border[0, axis] += (0.001, -0.001)[corner]
    assert inside(border, config).all()
    assert all(0 <= cell < count for cell, count in zip(plane_cells(border, config)[:, 0], config.cell_counts))


def test_fewer_points_than_neighbours_repeat_the_farthest_one():
    points = np.float32([[0, 0, 0, 0.1], [1, 0, 0, 0.2], [3, 0, 0, 0.3]])
    assert prepare(points, CONFIG).neighbours.tolist() == [[1, 2, 2, 2], [0, 2, 2, 2], [1, 0, 0, 0]]


def test_a_lone_point_is_its_own_neighbour():
    assert prepare(np.float32([[1, 2, 0, 0.5]]), CONFIG).neighbours.tolist() == [[0, 0, 0, 0]]


def test_a_wild_return_does_not_merge_all_other_points_into_one_voxel():
    points = _cloud(3, 200, 40.0)
    wild = np.vstack([points, np.float32([[1e30, -3e38, 5, 0.1]])])
    with np.errstate(all="raise"):
        cloud = prepare(wild, CONFIG)
    np.testing.assert_array_equal(cloud.kept, prepare(points, CONFIG).kept)
    assert np.isfinite(cloud.features).all()


def test_moved_coordinates_decide_the_graph_but_not_the_features():
    points = _cloud(4, 150, 40.0)
    moved = points[:, :3] * np.float32([-1, 1, 1])
    cloud = prepare(points, CONFIG, moved)
    np.testing.assert_array_equal(cloud.features[:, 1:4], points[cloud.kept, :3])
    at_moved_place = prepare(np.column_stack([moved, points[:, 3]]), CONFIG)
    np.testing.assert_array_equal(cloud.kept, at_moved_place.kept)
    np.testing.assert_array_equal(cloud.cells, at_moved_place.cells)
    np.testing.assert_array_equal(cloud.neighbours, at_moved_place.neighbours)


def test_features_follow_moved_coordinates_where_the_config_says_so():
    points = _cloud(4, 150, 40.0)
    moved = points[:, :3] * np.float32([1.1, 1.1, 1.1])
    cloud = prepare(points, WaffleIronConfig(augment_features=True), moved)
    np.testing.assert_array_equal(cloud.features[:, 1:4], moved[cloud.kept])
    np.testing.assert_allclose(cloud.features[:, 4], np.linalg.norm(moved[cloud.kept], axis=1), rtol=1e-6)
    np.testing.assert_array_equal(cloud.features[:, 0], points[cloud.kept, 3])


def test_no_point_in_view_is_a_named_error():
    with pytest.raises(CloudError, match=r"inside the field of view \[-50.0, -50.0, -3.0\].* got none of 2") as error:
        prepare(np.float32([[60, 0, 0, 0.5], [0, 0, 2.5, 0.5]]), CONFIG)
    assert error.value.code == "OUT_OF_VIEW"


@pytest.mark.skipif(not SCAN.is_file(), reason=f"no real scan at {SCAN.name} of ../shared/data")
def test_a_real_scan_keeps_about_half_of_its_points_and_answers_for_all():
    points = np.fromfile(SCAN, "<f4").reshape(-1, 4)
    config = WaffleIronConfig()
    cloud = prepare(points, config)
    assert 0.4 < len(cloud.kept) / len(points) < 0.8
    assert (cloud.neighbours != np.arange(len(cloud.kept))[:, None]).all()
    assert (cloud.cells >= 0).all() and (cloud.cells < np.array(config.cell_counts)[:, None]).all()
    visible = inside(points[:, :3], config)
    step = np.linalg.norm(points[:, :3] - points[cloud.kept[cloud.nearest], :3], axis=1)
    # A point in view shares its 0.1 m voxel with a kept one, unless that one lies outside.
    assert np.quantile(step[visible], 0.999) < 0.1 * np.sqrt(3)
