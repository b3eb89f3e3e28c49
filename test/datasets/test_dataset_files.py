"""Voxel files, id tables, calibration and poses against their written formats."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_trees import SHAPE, TR
from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.data.datasets.calibration import (
    Calibration,
    read_poses,
    read_times,
    write_poses,
    write_times,
)
from pasco_core.data.datasets.instance_files import read_instances, write_instances
from pasco_core.data.datasets.semantic_kitti_ids import (
    CLASS_OF_RAW,
    RAW_OF_CLASS,
    UNLISTED,
    point_classes,
    voxel_classes,
)
from pasco_core.data.datasets.voxel_files import read_bits, read_labels, write_bits, write_labels
from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import DataError

SMALL = (4, 6, 8)


def test_the_first_voxel_is_the_highest_bit_and_z_runs_fastest(tmp_path):
    mask = np.zeros(SMALL, bool)
    mask[0, 0, 0] = mask[0, 0, 7] = mask[0, 1, 1] = mask[3, 5, 7] = True
    write_bits(tmp_path / "a.bin", mask)
    data = (tmp_path / "a.bin").read_bytes()
    assert len(data) == 24
    assert data[:2] == bytes([0b10000001, 0b01000000]) and data[-1] == 0b00000001


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_any_mask_comes_back_as_it_was_written(tmp_path_factory, seed, share):
    path = tmp_path_factory.mktemp("bits") / "a.invalid"
    mask = np.random.default_rng(seed).random(SMALL) < share
    write_bits(path, mask)
    assert np.array_equal(read_bits(path, SMALL), mask)


def test_raw_ids_are_two_bytes_little_endian(tmp_path):
    raw = np.zeros(SMALL, np.uint16)
    raw[0, 0, 1] = 0x0102
    write_labels(tmp_path / "a.label", raw)
    assert (tmp_path / "a.label").read_bytes()[:4] == bytes([0, 0, 2, 1])
    assert np.array_equal(read_labels(tmp_path / "a.label", SMALL), raw)


def test_the_official_masks_of_a_real_frame_are_as_their_names_say(shared_data):
    folder = shared_data / "semantickitti" / "dataset" / "sequences" / "08" / "voxels"
    occupied, invalid, occluded = (
        read_bits(folder / f"000000{ending}") for ending in (".bin", ".invalid", ".occluded")
    )
    assert occupied.shape == SHAPE
    assert not (occupied & invalid).any()  # what the scan hits was seen
    assert 0.001 < occupied.mean() < 0.05 < invalid.mean() < occluded.mean()
    assert not (invalid & ~occluded).any()  # what no scan saw, this scan did not see either


@pytest.mark.parametrize(
    ("writer", "array"),
    [(write_bits, np.zeros(SMALL, np.uint8)), (write_bits, np.zeros((3, 3, 3), bool)), (write_labels, np.zeros(SMALL))],
)
def test_an_array_of_the_wrong_type_or_shape_is_not_written(tmp_path, writer, array):
    with pytest.raises(DataError, match=r"Expected the .* to be"):
        writer(tmp_path / "a", array)
    assert list(tmp_path.iterdir()) == []


# From the table in the specification of the learning map, not from the code.
LEARNING_MAP = {
    0: 0, 1: 255, 10: 1, 11: 2, 13: 5, 15: 3, 16: 5, 18: 4, 20: 5, 30: 6, 31: 7, 32: 8, 40: 9, 44: 10, 48: 11, 49: 12,
    50: 13, 51: 14, 52: 255, 60: 9, 70: 15, 71: 16, 72: 17, 80: 18, 81: 19, 99: 255, 252: 1, 253: 7, 254: 6, 255: 8,
    256: 5, 257: 5, 258: 4, 259: 5,
}  # fmt: skip


def test_the_class_table_is_the_published_learning_map():
    listed = {int(raw): int(CLASS_OF_RAW[raw]) for raw in np.flatnonzero(CLASS_OF_RAW != UNLISTED)}
    assert listed == LEARNING_MAP


def test_every_class_has_a_raw_id_that_is_read_back_as_the_class():
    classes = np.arange(20, dtype=np.uint8)
    assert np.array_equal(voxel_classes(RAW_OF_CLASS[classes], "here"), classes)
    assert RAW_OF_CLASS[255] == 0


def test_raw_id_zero_is_an_empty_voxel_but_an_unknown_point():
    raw = np.array([0, 40], np.uint16)
    assert voxel_classes(raw, "here").tolist() == [0, 9]
    assert point_classes(raw, "here").tolist() == [255, 9]


def test_a_calibration_comes_back_as_it_was_written(tmp_path):
    p2 = np.arange(12.0).reshape(3, 4) / 7
    calibration = Calibration(np.vstack([TR, [0, 0, 0, 1]]), p2)
    calibration.write(tmp_path / "calib.txt")
    again = Calibration.read(tmp_path / "calib.txt")
    np.testing.assert_allclose(again.tr, calibration.tr, rtol=1e-12)
    np.testing.assert_allclose(again.p2, p2, rtol=1e-12)
    assert again.p0 is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("P2: 1 2 3\n", r"P2 in .*calib.txt to be 12 finite numbers, got '1 2 3'"),
        ("P2: 1 0 0 0 0 1 0 0 0 0 1 0\n", r"to have a line 'Tr:' with 12 numbers, got P2"),
        ("P2: 1 0 0 0 0 1 0 0 0 0 1 0\nTr: 1 0 0 0 0 1 0 0 0 0 0 0\n", "Tr in .* to be invertible"),
        ("Tr: a b c\n", "Tr in .* to be 12 numbers, got 'a b c'"),
        ("Tr: 1 0 0 nan 0 1 0 0 0 0 1 0\n", "12 finite numbers"),
        ("", "got no matrix"),
    ],
)
def test_a_calibration_that_breaks_its_format_is_refused_by_name(tmp_path, text, message):
    (tmp_path / "calib.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        Calibration.read(tmp_path / "calib.txt")


def test_poses_are_those_of_the_lidar_not_of_the_camera(kitti):
    folder = kitti / "sequences" / "08"
    poses = read_poses(folder / "poses.txt", Calibration.read(folder / "calib.txt"))
    assert poses.shape == (6, 4, 4)
    expected = np.eye(4)
    expected[0, 3] = 3  # the camera's z axis is the LiDAR's x axis
    np.testing.assert_allclose(poses[3], expected, atol=1e-12)


def test_poses_and_times_come_back_as_they_were_written(tmp_path):
    rng = np.random.default_rng(3)
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3, :3] = np.linalg.qr(rng.normal(size=(5, 3, 3)))[0]
    poses[:, :3, 3] = rng.normal(size=(5, 3)) * 100
    calibration = Calibration(np.vstack([TR, [0, 0, 0, 1]]), np.ones((3, 4)))
    write_poses(tmp_path / "poses.txt", poses, calibration)
    np.testing.assert_allclose(read_poses(tmp_path / "poses.txt", calibration), poses, atol=1e-9)
    write_times(tmp_path / "times.txt", np.array([0, 0.1, 0.2]))
    np.testing.assert_allclose(read_times(tmp_path / "times.txt"), [0, 0.1, 0.2])


def test_a_pose_line_with_too_few_numbers_is_refused_with_its_number(tmp_path):
    (tmp_path / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0\n")
    with pytest.raises(DataError, match=r"line 2 of .*poses.txt to be 12 finite numbers, got '1 0 0'"):
        read_poses(tmp_path / "poses.txt", Calibration(np.eye(4), np.ones((3, 4))))


def test_real_scans_lie_on_each_other_when_their_poses_are_applied(shared_data):
    from scipy.spatial import cKDTree

    from pasco_core.data.datasets import Frame, SemanticKitti

    dataset = SemanticKitti(shared_data / "semantickitti")
    first, last = Frame("00", 0), Frame("00", 8)
    still = [dataset.points(f)[np.isin(dataset.point_labels(f)[0], (13, 18))][:, :3] for f in (first, last)]
    here, there = (p @ dataset.pose(f)[:3, :3].T + dataset.pose(f)[:3, 3] for p, f in zip(still, (first, last)))
    tree = cKDTree(here)
    apart = np.median(tree.query(there[::20])[0])
    unmoved = np.median(tree.query(still[1][::20])[0])
    assert apart < 0.15 and apart < unmoved / 2


def test_instance_labels_come_back_as_they_were_written(tmp_path):
    semantics = np.zeros(SMALL, np.uint8)
    semantics[1] = 255
    semantics[0] = 1
    truth = VoxelTruth(semantics, (semantics == 1).astype(np.uint16))
    path = tmp_path / "instances" / "00" / "000000.npz"
    write_instances(path, truth)
    again = read_instances(path, SEMANTIC_KITTI, SMALL)
    assert np.array_equal(again.semantics, semantics) and np.array_equal(again.instances, truth.instances)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"semantics": np.zeros(SMALL, np.uint8)}, "hold 'semantics' and 'instances'"),
        ({"semantics": np.zeros(SMALL), "instances": np.zeros(SMALL, np.uint16)}, "'semantics' in .* to be uint8"),
        ({"semantics": np.zeros(SMALL, np.uint8), "instances": np.zeros(3, np.uint16)}, "'instances' in .* got uint16"),
        ({"semantics": np.full(SMALL, 20, np.uint8), "instances": np.zeros(SMALL, np.uint16)}, "got 20 in 192 voxels"),
        ({"semantics": np.array([{}]), "instances": np.zeros(SMALL, np.uint16)}, "whole .npz file, got: .*pickle"),
    ],
)
def test_instance_labels_that_break_their_format_are_refused_by_name(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_instances(tmp_path / "a.npz", SEMANTIC_KITTI, SMALL)


@pytest.mark.parametrize("keep", [0, 3, 100, 250])
def test_truncated_instance_labels_are_refused_by_name(tmp_path, keep):
    truth = VoxelTruth(np.zeros(SMALL, np.uint8), np.zeros(SMALL, np.uint16))
    write_instances(tmp_path / "a.npz", truth)
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.npz to be a whole \.npz file"):
        read_instances(tmp_path / "a.npz", SEMANTIC_KITTI, SMALL)
