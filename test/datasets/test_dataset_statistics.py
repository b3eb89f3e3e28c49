"""Counts of a dataset: right, and the same however the work is split."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from dataset_trees import SHAPE, invalid_voxels, raw_voxels

from pasco_core.cli import main
from pasco_core.cli.text import as_json
from pasco_core.data.datasets import open_dataset
from pasco_core.data.datasets.statistics import Statistics, add_all, frame_statistics
from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.errors import DataError


def test_the_counts_of_a_frame_are_those_of_its_voxels_points_and_instances(kitti):
    dataset = open_dataset(kitti)
    counts = frame_statistics(dataset, dataset.frames()[0])
    n_bicycle = int((raw_voxels() == 11).sum())
    expected = {9: 5000, 1: 12, 6: 8, 2: 0, UNKNOWN: int(invalid_voxels().sum()) + n_bicycle}
    assert {c: int(counts.voxels[1][c]) for c in expected} == expected
    assert counts.voxels[1].sum() == np.prod(SHAPE) and counts.voxels[2].sum() == np.prod(SHAPE) // 8
    assert counts.voxels[4].sum() == np.prod(SHAPE) // 64
    assert counts.instances.sum() == 2 and counts.instances[1] == counts.instances[6] == 1
    assert counts.points[9] == 15 and counts.points[UNKNOWN] == 5 and counts.labelled_scans == 1
    known = np.prod(SHAPE) - expected[UNKNOWN]
    assert counts.occupied_share == pytest.approx(5020 / known)
    assert counts.unknown_share == pytest.approx(expected[UNKNOWN] / np.prod(SHAPE))


def test_a_road_one_voxel_thick_fills_a_quarter_as_many_blocks_at_stride_2(kitti):
    dataset = open_dataset(kitti)
    counts = frame_statistics(dataset, dataset.frames()[0])
    assert counts.voxels[2][9] == 50 * 25
    assert counts.voxels[4][9] == 25 * 13  # rows 100 to 149 touch 13 blocks; under the car there is more road than car


def test_the_parity_switch_swaps_empty_and_unknown_at_strides_2_and_4_only(kitti):
    dataset = open_dataset(kitti)
    frame = dataset.frames()[0]
    plain, swapped = frame_statistics(dataset, frame), frame_statistics(dataset, frame, swap_empty_and_unknown=True)
    assert np.array_equal(plain.voxels[1], swapped.voxels[1])
    for stride in (2, 4):
        assert plain.voxels[stride][0] == swapped.voxels[stride][UNKNOWN] > 0
        assert plain.voxels[stride][UNKNOWN] == swapped.voxels[stride][0] > 0
        assert np.array_equal(plain.voxels[stride][1:UNKNOWN], swapped.voxels[stride][1:UNKNOWN])


def test_any_order_and_grouping_of_the_frames_gives_the_same_counts(kitti):
    dataset = open_dataset(kitti)
    parts = [frame_statistics(dataset, frame) for frame in dataset.frames()]
    wanted = as_json(add_all(SEMANTIC_KITTI, parts).to_dict())
    for order in itertools.permutations(parts, 4):
        halves = add_all(SEMANTIC_KITTI, order[:3]) + add_all(SEMANTIC_KITTI, order[3:])
        assert as_json(halves.to_dict()) == wanted


def test_counts_survive_json_exactly():
    rng = np.random.default_rng(0)
    counts = np.zeros(256, np.int64)
    counts[[*range(20), UNKNOWN]] = rng.integers(2**50, 2**60, 21)
    before = Statistics(SEMANTIC_KITTI, 3, {1: counts, 2: counts, 4: counts}, counts, counts, 2)
    after = Statistics.from_dict(json.loads(as_json(before.to_dict())))
    assert all(np.array_equal(after.voxels[s], counts) for s in (1, 2, 4))
    assert np.array_equal(after.points, counts) and (after.frames, after.labelled_scans) == (3, 2)


def test_statistics_of_different_datasets_are_not_added():
    with pytest.raises(DataError, match="one dataset to be added, got SemanticKITTI and SSCBench-KITTI-360"):
        Statistics.none(SEMANTIC_KITTI) + Statistics.none(KITTI_360)


def run(capsys, *arguments):
    code = main(["data", "stats", *map(str, arguments)])
    return code, capsys.readouterr()


def test_one_process_two_processes_and_merged_shards_print_the_same(kitti, tmp_path, capsys):
    _, alone = run(capsys, kitti, "--json")
    _, two = run(capsys, kitti, "--json", "--jobs", 2)
    shards = []
    for i in (1, 2, 3):
        code, output = run(capsys, kitti, "--json", "--shard", f"{i}/3")
        assert code == 0
        shards.append(tmp_path / f"{i}.json")
        shards[-1].write_text(output.out)
    _, merged = run(capsys, "--merge", *shards, "--json")
    assert alone.out == two.out == merged.out
    assert json.loads(alone.out)["frames"] == 4


def test_the_table_names_every_class_and_the_shares(kitti_360, capsys):
    code, output = run(capsys, kitti_360, "--split", "val")
    assert code == 0
    assert all(name in output.out for name in (*KITTI_360.class_names, "unknown", "2 frames", "occupied: "))
    assert "points" not in output.out  # this layout has no point labels


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "either ROOT or --merge to be given, got neither"),
        (["{root}", "--merge", "{root}"], 2, "got both"),
        (["{root}", "--split", "vall"], 2, "one of train, val, test, all, got 'vall'; did you mean 'val'?"),
        (["{root}", "--sequences", ","], 2, "--sequences: expected at least one name, got ','"),
        (["{root}", "--jobs", "0"], 2, "--jobs to be at least 1, got 0"),
        (["--merge", "{root}/sequences/00/times.txt"], 1, "times.txt: "),
    ],
)
def test_wrong_use_is_one_line_and_an_exit_code(kitti, capsys, arguments, code, message):
    got, output = run(capsys, *(argument.format(root=kitti) for argument in arguments))
    assert got == code and message in output.err and "Traceback" not in output.err


def test_all_splits_are_every_sequence_and_what_is_meant_by_default(kitti, capsys):
    outputs = [run(capsys, kitti, "--json", *options)[1].out for options in ((), ("--split", "all"))]
    assert outputs[0] == outputs[1] and json.loads(outputs[0])["frames"] == 4
    assert "train, val, test or all (default: all)" in run(capsys, "--help")[1].out
