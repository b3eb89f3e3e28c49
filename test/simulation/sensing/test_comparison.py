"""Simulated scans in numbers beside real ones; the report is written to out/simulation_comparison."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scan_comparison import ScanStatistics, distances, earth_mover, points_per_beam
from scan_comparison_picture import comparison_picture

from pasco_core.data.datasets import open_dataset
from pasco_core.data.datasets.published_frequencies import published_frequencies
from pasco_core.data.frame import Frame
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.errors import DataError

SEQUENCES = ("00", "04", "05", "06")
SEEDS = (0, 1, 2)
FRAMES = (150, 160)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> tuple[ScanStatistics, list[np.ndarray]]:
    dataset, scans = open_dataset(shared_data / "semantickitti"), []
    statistics = ScanStatistics()
    for sequence in SEQUENCES:
        for index in (0, 9):
            frame = Frame(sequence, index)
            scans.append(dataset.points(frame))
            statistics.add_scan(scans[-1], dataset.point_labels(frame)[0])
        for path in sorted(dataset.voxel_path(Frame(sequence, 0), ".invalid").parent.glob("*.invalid")):
            statistics.add_unknown(float(dataset.voxel_mask(Frame(sequence, int(path.stem)), ".invalid").mean()))
    return statistics, scans[::2]


@pytest.fixture(scope="module")
def simulated() -> tuple[ScanStatistics, list[np.ndarray]]:
    statistics, shown = ScanStatistics(), []
    for seed in SEEDS:
        drive = SimulatedDrive(seed)
        for frame in FRAMES:
            scan = drive.scan(frame)
            statistics.add_scan(scan.points, scan.semantics)
            if frame == FRAMES[0]:
                shown.append(scan.points)
            if frame == FRAMES[0] and seed in SEEDS[:2]:
                statistics.add_truth(drive.truth(frame).semantics)
    return statistics, shown


@pytest.mark.soak
def test_simulated_scans_are_near_real_ones_in_numbers_and_in_a_picture(real, simulated, repository: Path):
    found = distances(simulated[0], real[0])
    folder = repository / "out" / "simulation_comparison"
    folder.mkdir(parents=True, exist_ok=True)
    report = {"distances": found, "simulated": simulated[0].values(), "real": real[0].values()}
    (folder / "comparison.json").write_text(json.dumps(report, indent=2, allow_nan=False))
    comparison_picture(simulated[1], real[1], (simulated[0], real[0])).save(folder / "comparison.png")
    assert abs(found["points, relative"]) < 0.15
    assert abs(found["points in the grid, relative"]) < 0.25
    assert abs(found["voxels with points, relative"]) < 0.25
    assert found["points per beam, mean share of a full beam"] < 0.15
    assert found["range, metres moved"] < 4.0
    assert found["height, metres moved"] < 0.35
    assert found["intensity moved"] < 0.05
    for name in ("road", "sidewalk", "building", "vegetation", "terrain"):
        assert found["intensity moved, by class"][name] < 0.10, name
    assert found["share of points, summed differences / 2"] < 0.35
    assert abs(found["unknown share, difference"]) < 0.15


def test_occupied_voxels_are_shared_among_classes_about_as_published(simulated):
    ours = simulated[0].values()["share of occupied voxels"]
    published = published_frequencies(SEMANTIC_KITTI)[1][1:]
    published = dict(zip(SEMANTIC_KITTI.class_names[1:], published / published.sum(), strict=True))
    for name in ("road", "sidewalk", "building", "vegetation", "terrain"):
        assert published[name] / 3 < ours[name] < 3 * published[name], name
    assert 0.0 < ours["car"] < 3 * published["car"]


def test_the_same_scans_are_at_no_distance(simulated):
    found = distances(simulated[0], simulated[0])
    by_class = found.pop("intensity moved, by class")
    assert set(found.values()) == {0.0}
    assert set(by_class.values()) == {0.0}


def test_earth_movers_distance_is_what_moving_the_mass_costs():
    rng = np.random.default_rng(0)
    first, shifted = np.zeros(50), np.zeros(50)
    first[5:20] = rng.random(15)
    shifted[12:27] = first[5:20] * 3.0
    assert earth_mover(first, shifted, 0.2) == pytest.approx(7 * 0.2)
    assert earth_mover(first, first, 0.2) == 0.0


def test_points_are_counted_per_beam():
    azimuth = np.concatenate([np.linspace(0, 2 * np.pi, n, endpoint=False) for n in (100, 50, 70)])
    points = np.column_stack([np.cos(azimuth), np.sin(azimuth), np.zeros((len(azimuth), 2))]).astype(np.float32)
    assert points_per_beam(points).tolist() == [100, 50, 70]


def test_statistics_of_nothing_or_of_mismatched_arrays_are_refused():
    with pytest.raises(DataError, match="at least one scan"):
        ScanStatistics().values()
    with pytest.raises(DataError, match=r"points \(N, 4\) and N classes"):
        ScanStatistics().add_scan(np.zeros((5, 4), np.float32), np.zeros(4, np.uint8))
