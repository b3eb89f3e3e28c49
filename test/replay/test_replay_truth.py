"""Truth from a dataset beside the bag: by the number of the cloud or by its stamp, and what is said when that fails."""

from __future__ import annotations

import numpy as np
import pytest
import replay_stand_in as stand_in

from pasco_core.cli import main
from pasco_core.data.bags import open_bag
from pasco_core.data.datasets.voxel_files import write_bits, write_labels
from pasco_core.errors import ConfigError
from pasco_core.replay import ReplayPlan
from pasco_core.replay.identity import contradictions
from pasco_core.replay.plan import TruthPlace
from pasco_core.replay.truth import TruthFinder

ROAD_RAW, ROAD = 40, 9
SHAPE = (256, 256, 32)


@pytest.fixture
def kitti(tmp_path):
    """Frames 0 and 5 have truth: frame n has n + 1 voxels of road."""
    folder = tmp_path / "kitti" / "sequences" / "08"
    for name in ("velodyne", "voxels"):
        (folder / name).mkdir(parents=True)
    for index in range(8):
        (folder / "velodyne" / f"{index:06d}.bin").write_bytes(np.zeros((1, 4), "<f4").tobytes())
    for index in (0, 5):
        labels = np.zeros(SHAPE, np.uint16)
        labels.reshape(-1)[: index + 1] = ROAD_RAW
        write_labels(folder / "voxels" / f"{index:06d}.label", labels)
        write_bits(folder / "voxels" / f"{index:06d}.invalid", np.zeros(SHAPE, bool))
    return tmp_path / "kitti"


@pytest.fixture
def bag(tmp_path):
    return stand_in.write(tmp_path / "drive", stand_in.drive(6))


def roads(bag, place, numbers=range(6)):
    """Number of a cloud → voxels of road in its truth."""
    plan = ReplayPlan(bag, stand_in.TOPIC, 6, truth=place)
    with open_bag(bag) as reader:
        finder = TruthFinder(plan, reader)
        found = {n: finder.of(n, stand_in.START + n * stand_in.PERIOD) for n in numbers}
    return {n: int((t.voxels.semantics == ROAD).sum()) for n, t in found.items() if t is not None}


def test_the_n_th_cloud_has_the_truth_of_frame_n(bag, kitti):
    assert roads(bag, TruthPlace(str(kitti))) == {0: 1, 5: 6}


def test_a_cloud_has_the_truth_of_the_frame_of_its_time(bag, kitti):
    times = [0, 0.02, 0.04, 0.06, 0.08, 0.31, 0.4, 0.5]
    (kitti / "sequences" / "08" / "times.txt").write_text("".join(f"{t:e}\n" for t in times))
    assert roads(bag, TruthPlace(str(kitti), by="stamp")) == {0: 1, 3: 6}


def test_other_labels_at_the_same_place_are_another_truth_and_moved_ones_are_not(bag, kitti, tmp_path):
    def identity(root):
        return ReplayPlan(bag, stand_in.TOPIC, 6, truth=TruthPlace(str(root))).identity()

    first = identity(kitti)
    moved = kitti.rename(tmp_path / "moved")
    assert identity(moved) == first
    labels = np.zeros(SHAPE, np.uint16)
    labels[0, 0, 0] = ROAD_RAW
    write_labels(moved / "sequences" / "08" / "voxels" / "000005.label", labels)
    assert contradictions(first, identity(moved)) == ["the truth is another one than the one begun with"]


def test_stamps_need_times(bag, tmp_path, kitti, capsys):
    options = ["--truth", str(kitti), "--truth-by", "stamp", "--out", str(tmp_path / "out")]
    assert main(["replay", str(bag), *options]) == 1
    assert "times.txt" in capsys.readouterr().err
    scans = tmp_path / "other" / "data_3d_raw" / "2013_05_28_drive_0009_sync" / "velodyne_points" / "data"
    scans.mkdir(parents=True)
    (scans / "0000000000.bin").write_bytes(np.zeros((1, 4), "<f4").tobytes())
    with pytest.raises(ConfigError, match=r"a dataset that has times\.txt"):
        roads(bag, TruthPlace(str(tmp_path / "other"), by="stamp"))
