"""The label tools beside SemanticKITTI's own voxel files of ten real frames, and what they tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pasco_core.data.datasets import Frame, SemanticKitti
from pasco_core.data.voxel_labels.accumulate import PosedScan
from pasco_core.data.voxel_labels.first_release import from_first_release, is_first_release, to_first_release
from pasco_core.data.voxel_labels.make_labels import LabelOptions, VoxelLabels, make_labels
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID, VoxelGrid

SEQUENCES = ("00", "04", "05", "06", "08")
FRAMES = [Frame(sequence, index) for sequence in SEQUENCES for index in (0, 5)]


@pytest.fixture(scope="module")
def dataset(shared_data: Path) -> SemanticKitti:
    """Ten scans of five sequences, with voxel files of the first release."""
    root = shared_data / "semantickitti"
    if not root.is_dir():
        pytest.skip("sample data not there: no folder ../shared/data/semantickitti")
    return SemanticKitti(root)


def posed(dataset: SemanticKitti, frame: Frame) -> PosedScan:
    return PosedScan(frame.index, dataset.points(frame)[:, :3], dataset.raw_point_labels(frame)[0], dataset.pose(frame))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.fixture(scope="module")
def made(dataset: SemanticKitti) -> VoxelLabels:
    """Labels of one frame from the ten scans, with tubes, as the official ones were made from all scans."""
    scans = [posed(dataset, Frame("00", i)) for i in range(10)]
    return make_labels(scans, 0, LabelOptions(moving="all", sight_spacing=2))


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_the_input_voxels_of_a_scan_are_the_official_ones_moved_back_by_one(dataset: SemanticKitti, frame: Frame):
    scan = posed(dataset, frame)
    votes = LabelOptions()
    mine = np.zeros(KITTI_GRID.shape, bool)
    keep = (scan.raw != 0) & scan.outside_the_car(votes.min_range) & KITTI_GRID.contains(scan.points)
    mine[tuple(KITTI_GRID.voxel_of(scan.points[keep]).T)] = True
    official = dataset.voxel_mask(frame, ".bin")
    assert is_first_release(official, scan.points, KITTI_GRID)
    assert overlap(mine, from_first_release(official)) > 0.999
    assert overlap(mine, official) < 0.3


def test_the_offset_is_a_whole_voxel_and_no_fraction(dataset: SemanticKitti):
    frame = Frame("05", 0)
    scan, official = posed(dataset, frame), dataset.voxel_mask(frame, ".bin")
    points = scan.points[(scan.raw != 0) & (scan.points[:, 2] >= -2)].astype(np.float64)

    def agreement(offset: float) -> float:
        lifted = VoxelGrid((0.0, -25.6, -offset), 0.2, KITTI_GRID.shape)
        mask = np.zeros(KITTI_GRID.shape, bool)
        mask[tuple(lifted.voxel_of(points[lifted.contains(points)]).T)] = True
        return overlap(mask, official)

    assert agreement(2.2) > 0.999
    assert max(agreement(offset) for offset in (2.0, 2.1, 2.15, 2.25, 2.3, 2.4)) < 0.9


def test_the_shift_runs_over_the_end_of_columns_so_it_is_one_in_the_file_and_not_in_space(dataset: SemanticKitti):
    """The bottom voxel of a column repeats the top one of the column before it, best seen where those differ."""
    own_column = column_before = next_row = rows = edges = 0
    for frame in FRAMES:
        occluded = dataset.voxel_mask(frame, ".occluded")
        bottom, top = occluded[:, :, 0], occluded[:, :, -1]
        differ = top[:, 1:] != top[:, :-1]
        edges += differ.sum()
        own_column += (bottom[:, 1:] == top[:, 1:])[differ].sum()
        column_before += (bottom[:, 1:] == top[:, :-1])[differ].sum()
        rows += len(bottom) - 1
        next_row += (bottom[1:, 0] == top[:-1, -1]).sum()
        for ending in (".bin", ".occluded", ".invalid"):
            assert not dataset.voxel_mask(frame, ending)[0, 0, 0]
    assert column_before / edges > 0.6 > 0.4 > own_column / edges
    assert next_row / rows > 0.95


def test_all_three_masks_are_shifted_together(dataset: SemanticKitti):
    """As they are, no input voxel is invalid and every invalid one is occluded; moved one by one, this breaks."""
    for frame in FRAMES[:4]:
        scan, invalid, occluded = (dataset.voxel_mask(frame, ending) for ending in (".bin", ".invalid", ".occluded"))
        assert not (scan & invalid).any() and not (invalid & ~occluded).any()
        assert (scan & from_first_release(invalid)).sum() > 200
        assert (from_first_release(scan) & invalid).sum() > 1000
        assert (invalid & ~from_first_release(occluded)).sum() > 1000


def test_what_the_own_position_does_not_see_is_officially_occluded_too(dataset: SemanticKitti, made: VoxelLabels):
    """More scans can only hide more: the official labels come from many times the ten scans."""
    official = from_first_release(dataset.voxel_mask(Frame("00", 0), ".occluded"))
    assert (made.occluded & official).sum() / made.occluded.sum() > 0.99
    # From knee height to the top of cars the ten scans show all that stands along the street.
    belt = (slice(None), slice(None), slice(4, 10))
    assert overlap(made.occluded[belt], official[belt]) > 0.93
    assert overlap(made.occluded[belt], dataset.voxel_mask(Frame("00", 0), ".occluded")[belt]) < overlap(
        made.occluded[belt], official[belt]
    )


def test_most_of_what_is_officially_invalid_is_invalid_and_no_input_voxel_is(dataset: SemanticKitti, made: VoxelLabels):
    official = from_first_release(dataset.voxel_mask(Frame("00", 0), ".invalid"))
    assert (made.invalid & official).sum() / official.sum() > 0.9
    assert made.invalid.sum() > official.sum()  # fewer scans see less
    assert not (made.invalid & from_first_release(dataset.voxel_mask(Frame("00", 0), ".bin"))).any()


def test_voxel_labels_agree_with_the_labels_of_the_scans_own_points(dataset: SemanticKitti, made: VoxelLabels):
    scan = posed(dataset, Frame("00", 0))
    inside = KITTI_GRID.contains(scan.points) & (scan.raw != 0) & scan.outside_the_car(2.75)
    voted = made.raw[tuple(KITTI_GRID.voxel_of(scan.points[inside]).T)]
    assert (voted > 0).all()
    assert (voted == np.where(scan.raw[inside] == 252, 10, scan.raw[inside])).mean() > 0.97


def test_to_and_from_the_first_release_is_one_value_along_the_file():
    values = np.arange(1, 25, dtype=np.uint16).reshape(2, 3, 4)
    late = to_first_release(values)
    assert late.ravel().tolist() == [0, *range(1, 24)]
    back = from_first_release(late)
    assert back.dtype == np.uint16 and back.ravel().tolist() == [*range(1, 24), 0]


def test_files_of_today_are_told_from_those_of_the_first_release():
    grid = VoxelGrid((0.0, 0.0, 0.0), 0.2, (20, 20, 20))
    points = np.random.default_rng(0).uniform(-0.5, 4.5, (500, 3))
    mask = np.zeros(grid.shape, bool)
    mask[tuple(grid.voxel_of(points[grid.contains(points)]).T)] = True
    assert not is_first_release(mask, points, grid)
    assert is_first_release(to_first_release(mask), points, grid)
    with pytest.raises(DataError, match=r"to overlap .bin by at least 0.5"):
        is_first_release(np.roll(mask, 5, axis=0), points, grid)
