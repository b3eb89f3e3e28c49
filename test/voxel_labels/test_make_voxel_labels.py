"""Voxel labels from posed, labelled scans, on drives small enough to know the answer."""

from __future__ import annotations

import numpy as np
import pytest
from voxel_references import forward_poses

from pasco_core.data.datasets.voxel_files import read_bits, read_labels
from pasco_core.data.voxel_labels.accumulate import PosedScan, Votes
from pasco_core.data.voxel_labels.first_release import from_first_release
from pasco_core.data.voxel_labels.make_labels import LabelOptions, is_written, make_labels, write_voxel_labels
from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry import VoxelGrid

GRID = VoxelGrid((0.0, -4.0, -2.0), 0.5, (40, 16, 12))
CAR, MOVING_CAR, ROAD, BUILDING, OTHER_OBJECT = 10, 252, 40, 50, 99
NO_LIMIT = {"min_range": 0.0, "sight_spacing": 0.0}


def scan(index: int, points: list[list[float]], raw: list[int], pose: np.ndarray | None = None) -> PosedScan:
    pose = forward_poses(index + 1)[index] if pose is None else pose
    return PosedScan(index, np.array(points, np.float64).reshape(-1, 3), np.array(raw, np.uint16), pose)


def voxel(*xyz: float) -> tuple[int, ...]:
    return tuple(int(v) for v in GRID.voxel_of(np.array([xyz]))[0])


def wall(x: float, height: float = 4.0) -> np.ndarray:
    """Points in every voxel of a wall across the road."""
    y, z = np.meshgrid(np.arange(-3.75, 4, 0.5), np.arange(-1.75, -2 + height, 0.5))
    return np.stack([np.full(y.size, x), y.ravel(), z.ravel()], axis=1)


def test_points_of_all_scans_are_put_where_the_poses_say():
    turned = np.eye(4)
    turned[:2, :2] = [[0, -1], [1, 0]]  # looks to the left …
    turned[:3, 3] = (10, -2, 0.5)  # … from ten metres ahead
    scans = [scan(0, [[5.2, 0.2, 0.2]], [ROAD]), scan(1, [[3.2, 1.1, 0.1]], [BUILDING], turned)]
    labels = make_labels(scans, 0, LabelOptions(**NO_LIMIT), GRID)
    occupied = {tuple(v): int(labels.raw[tuple(v)]) for v in np.argwhere(labels.raw)}
    assert occupied == {voxel(5.2, 0.2, 0.2): ROAD, voxel(10 - 1.1, -2 + 3.2, 0.6): BUILDING}


def test_the_label_is_that_of_most_points_and_of_equals_the_smallest():
    a, b = [5.2, 0.2, 0.2], [7.2, 0.2, 0.2]
    scans = [
        scan(0, [a, a, b, b], [ROAD, BUILDING, BUILDING, ROAD]),
        scan(1, [[a[0] - 1, *a[1:]]], [BUILDING]),
    ]
    raw = make_labels(scans, 0, LabelOptions(**NO_LIMIT), GRID).raw
    assert raw[voxel(*a)] == BUILDING and raw[voxel(*b)] == ROAD


def test_votes_equal_a_count_point_by_point_in_any_order():
    rng = np.random.default_rng(0)
    points, raw = rng.uniform((-1, -5, -3), (21, 5, 5), (4000, 3)).round(1), rng.choice([10, 40, 50, 252], 4000)
    expected = np.zeros(GRID.shape, np.uint16)
    inside = GRID.contains(points)
    tally: dict[tuple[int, ...], dict[int, int]] = {}
    for place, label in zip(GRID.voxel_of(points[inside]), raw[inside]):
        label = 10 if label == 252 else int(label)
        counts = tally.setdefault(tuple(map(int, place)), {})
        counts[label] = counts.get(label, 0) + 1
    for place, counts in tally.items():
        expected[place] = max(sorted(counts), key=counts.__getitem__)
    for order in (np.arange(4000), rng.permutation(4000)):
        votes = Votes(GRID)
        for part in np.array_split(order, 7):
            votes.add(points[part], raw[part].astype(np.uint16))
        np.testing.assert_array_equal(votes.winners(), expected)
    assert not Votes(GRID).winners().any()


def test_unlabelled_points_and_the_own_car_never_vote_but_other_objects_do():
    scans = [scan(0, [[5.2, 0, 0], [1.2, 0.1, -1.0], [6.2, 0, 0]], [0, CAR, OTHER_OBJECT])]
    labels = make_labels(scans, 0, LabelOptions(min_range=2.75), GRID)
    assert np.argwhere(labels.raw).tolist() == [list(voxel(6.2, 0, 0))]
    np.testing.assert_array_equal(labels.scan, labels.raw != 0)


def drive_with_a_moving_car() -> list[PosedScan]:
    """A car two metres farther away in each of three scans, and a parked one that only the last scan shows."""
    return [
        scan(i, [[6.2 + 2 * i - i, 0.2, 0.2]] + ([[14.2 - i, 2.2, 0.2]] if i == 2 else []),
             [MOVING_CAR] + ([CAR] if i == 2 else []))
        for i in range(3)
    ]


@pytest.mark.parametrize("moving, at", [("own", [8.2]), ("all", [6.2, 8.2, 10.2]), ("none", [])])
def test_a_moving_car_is_where_it_was_leaves_a_tube_or_is_left_out(moving: str, at: list[float]):
    first = make_labels(drive_with_a_moving_car(), 1, LabelOptions(moving=moving, **NO_LIMIT), GRID)
    in_frame_1 = [x - 1 for x in at]
    lane = first.raw[:, voxel(5, 0.2, 0.2)[1], voxel(5, 0.2, 0.2)[2]]
    assert np.flatnonzero(lane).tolist() == [voxel(x, 0.2, 0.2)[0] for x in in_frame_1]
    assert (lane[lane > 0] == CAR).all()
    assert first.raw[voxel(13.2, 2.2, 0.2)] == CAR


def test_the_voxels_of_the_frames_own_scan_show_what_moves_whatever_the_labels_do():
    for moving in ("own", "all", "none"):
        labels = make_labels(drive_with_a_moving_car(), 1, LabelOptions(moving=moving, **NO_LIMIT), GRID)
        assert np.argwhere(labels.scan).tolist() == [list(voxel(7.2, 0.2, 0.2))]


@pytest.mark.parametrize("free_space", ["sight", "beams"])
def test_behind_a_wall_is_occluded_and_what_no_scan_sees_is_invalid(free_space: str):
    own = scan(0, wall(8.2).tolist(), [BUILDING] * len(wall(8.2)))
    beyond = wall(15.2) - [12, 0, 0]
    later = scan(12, beyond.tolist(), [BUILDING] * len(beyond))
    labels = make_labels([own, later], 0, LabelOptions(free_space=free_space, **NO_LIMIT), GRID)
    line = (slice(None), voxel(5, 0.2, 0.2)[1], voxel(5, 0.2, 0.2)[2])
    hit, far = voxel(8.2, 0, 0)[0], voxel(15.2, 0, 0)[0]
    assert np.flatnonzero(labels.occluded[line]).tolist() == list(range(hit + 1, GRID.shape[0]))
    unseen = [i for i in range(hit + 1, GRID.shape[0]) if i < voxel(12.0, 0, 0)[0] or i > far]
    if free_space == "sight":  # the later position has no limit to its view and looks back, too
        unseen = [i for i in unseen if i > far]
    assert np.flatnonzero(labels.invalid[line]).tolist() == unseen


def test_free_space_by_beams_reaches_no_farther_than_the_beams():
    own = scan(0, [[10.2, 0.2, 0.2]], [BUILDING])
    by_sight = make_labels([own], 0, LabelOptions(**NO_LIMIT), GRID)
    by_beams = make_labels([own], 0, LabelOptions(free_space="beams", **NO_LIMIT), GRID)
    assert by_sight.invalid.mean() < 0.05
    free = ~by_beams.invalid & (by_beams.raw == 0)
    assert 20 <= free.sum() < 30  # one ray of 10 m through voxels of 0.5 m


def test_the_blind_spot_under_the_lowest_beam_is_empty_by_sight_and_unknown_by_view():
    ring = np.arange(0, 2 * np.pi, 0.005)
    ground = np.stack([6 * np.cos(ring), 6 * np.sin(ring), np.full(len(ring), -1.9)], axis=1)
    own = scan(0, ground.tolist(), [ROAD] * len(ground))
    near, under = voxel(2.2, 0.2, -1.9), voxel(8.2, 0.2, -1.2)
    by_sight = make_labels([own], 0, LabelOptions(**NO_LIMIT), GRID)
    by_view = make_labels([own], 0, LabelOptions(free_space="view", **NO_LIMIT), GRID)
    assert not by_sight.invalid[near] and by_view.invalid[near] and by_view.occluded[near]
    assert not by_view.invalid[under]
    assert not (by_sight.invalid & ~by_view.invalid).any()


@pytest.mark.parametrize("free_space", ["sight", "view", "beams"])
def test_occupied_voxels_are_never_invalid_and_what_the_own_scan_sees_neither(free_space: str):
    rng = np.random.default_rng(3)
    scans = [
        scan(i, rng.uniform((3, -4, -2), (20, 4, 4), (300, 3)).tolist(), rng.choice([CAR, ROAD], 300).tolist())
        for i in range(4)
    ]
    labels = make_labels(scans, 1, LabelOptions(free_space=free_space, behind=1, **NO_LIMIT), GRID)
    assert not (labels.invalid & (labels.raw > 0)).any()
    assert not (labels.invalid & ~labels.occluded).any()
    assert labels.invalid.any() and labels.occluded.sum() > labels.invalid.sum()


def test_more_positions_never_make_more_voxels_invalid():
    rng = np.random.default_rng(4)
    scans = [scan(i, rng.uniform((3, -4, -2), (20, 4, 4), (200, 3)).tolist(), [ROAD] * 200) for i in range(6)]
    shares = [make_labels(scans, 0, LabelOptions(min_range=0, sight_spacing=s), GRID).invalid for s in (0, 2, 100)]
    assert not (shares[0] & ~shares[1]).any() and not (shares[1] & ~shares[2]).any()
    assert shares[0].sum() < shares[2].sum()


def test_points_on_the_voxels_borders_are_in_the_same_voxel_in_all_files():
    """However the poses are rounded: the frame's own scan is not moved there and back."""
    turn = np.eye(4)
    turn[:2, :2], turn[:3, 3] = [[0.6, -0.8], [0.8, 0.6]], (104.3, -77.7, 3.1)
    rng = np.random.default_rng(5)
    borders = rng.integers((0, -8, -4), (40, 8, 8), (500, 3)) * 0.5
    labels = make_labels([scan(4, borders.tolist(), [ROAD] * 500, turn)], 4, LabelOptions(**NO_LIMIT), GRID)
    expected = np.zeros(GRID.shape, bool)
    expected[tuple(GRID.voxel_of(borders).T)] = True
    np.testing.assert_array_equal(labels.scan, expected)
    np.testing.assert_array_equal(labels.raw > 0, expected)


def test_the_scans_used_are_near_in_number_and_in_metres():
    poses = forward_poses(20, step=5.0)
    available = [i for i in range(20) if i != 8]
    assert LabelOptions(behind=2, ahead=3).chosen(poses, 7, available) == [5, 6, 7, 9, 10]
    assert LabelOptions(behind=9, ahead=9, within=12).chosen(poses, 7, available) == [5, 6, 7, 9]
    assert LabelOptions(ahead=50).chosen(poses[:10], 7, available) == [7, 9]


def test_a_frame_without_its_own_scan_and_options_out_of_range_are_refused():
    with pytest.raises(DataError, match=r"include the frame's own, 3, got \[0\]"):
        make_labels([scan(0, [], [])], 3, grid=GRID)
    with pytest.raises(DataError, match="points and labels of scan 0 to be"):
        scan(0, [[1, 2, 3]], [])
    for options, message in (
        ({"ahead": -1}, "ahead to be at least 0 and finite, got -1"),
        ({"within": float("nan")}, "within to be at least 0 and finite, got nan"),
        ({"moving": "tube"}, "moving to be one of own, all, none, got 'tube'"),
        ({"free_space": "light"}, "free_space to be one of sight, view, beams, got 'light'"),
    ):
        with pytest.raises(ConfigError, match=message):
            LabelOptions(**options)


def test_a_scan_without_points_labels_nothing_and_sees_everything():
    labels = make_labels([scan(0, [], [])], 0, LabelOptions(), GRID)
    assert not labels.raw.any() and not labels.scan.any() and not labels.invalid.any()
    by_beams = make_labels([scan(0, [], [])], 0, LabelOptions(free_space="beams"), GRID)
    assert by_beams.invalid.all() and by_beams.occluded.all()


@pytest.mark.parametrize("as_first_release", [False, True])
def test_the_four_files_hold_the_labels_in_the_official_layout(tmp_path, as_first_release: bool):
    own = scan(3, wall(8.2).tolist(), [BUILDING] * len(wall(8.2)))
    labels = make_labels([own], 3, LabelOptions(**NO_LIMIT), GRID)
    assert not is_written(tmp_path, 3)
    write_voxel_labels(tmp_path, 3, labels, as_first_release=as_first_release)
    assert is_written(tmp_path, 3)
    back = from_first_release if as_first_release else np.asarray
    for ending, expected in ((".bin", labels.scan), (".invalid", labels.invalid), (".occluded", labels.occluded)):
        found = back(read_bits(tmp_path / "voxels" / f"000003{ending}", GRID.shape))
        np.testing.assert_array_equal(found.ravel()[:-1], expected.ravel()[:-1])
    raw = back(read_labels(tmp_path / "voxels" / "000003.label", GRID.shape))
    np.testing.assert_array_equal(raw, labels.raw)
    (tmp_path / "voxels" / "000003.invalid").unlink()
    assert not is_written(tmp_path, 3)
