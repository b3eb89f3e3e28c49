"""The authors' instance pickles are read for their numbers; nothing that a pickle names is ever run."""

from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pasco_core.data.frame import Frame
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.data.voxel_labels.authors_pickles import find_pickles, read_authors_pickle
from pasco_core.errors import DataError

SHAPE = (6, 5, 4)


def content(seed: int = 0) -> dict[str, Any]:
    """What one of the authors' files holds."""
    rng = np.random.default_rng(seed)
    return {
        "instance_labels": rng.integers(0, 300, SHAPE).astype(np.float64),
        "semantic_labels": rng.choice([0, 1, 7, 19, 255], size=SHAPE).astype(np.float32),
    }


def write(folder: Path, value: Any, protocol: int = 4) -> Path:
    path = folder / "000005_1_1.pkl"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol=protocol))
    return path


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """A pickle (protocol 2 or 3) with another module name, as another NumPy writes it."""
    assert old in data
    return data.replace(b"c" + old + b"\n", b"c" + new + b"\n")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_files_of_every_binary_protocol_give_the_numbers_that_were_written(tmp_path: Path, protocol: int):
    expected = content()
    truth = read_authors_pickle(write(tmp_path, expected, protocol), SEMANTIC_KITTI, SHAPE)
    assert truth.semantics.dtype == np.uint8 and truth.instances.dtype == np.uint16
    np.testing.assert_array_equal(truth.semantics, expected["semantic_labels"])
    np.testing.assert_array_equal(truth.instances, expected["instance_labels"])


@pytest.mark.parametrize("core", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_the_names_of_numpy_1_and_2_are_both_known(tmp_path: Path, core: bytes):
    data = pickle.dumps(content(), protocol=2)
    present = b"numpy._core.multiarray" if b"numpy._core.multiarray" in data else b"numpy.core.multiarray"
    truth = read_authors_pickle(write(tmp_path, renamed(data, present, core)), SEMANTIC_KITTI, SHAPE)
    np.testing.assert_array_equal(truth.instances, content()["instance_labels"])


def test_arrays_in_fortran_order_and_of_big_endian_numbers_are_read_right(tmp_path: Path):
    expected = content(1)
    stored = {"instance_labels": np.asfortranarray(expected["instance_labels"]),
              "semantic_labels": expected["semantic_labels"].astype(">f4")}
    truth = read_authors_pickle(write(tmp_path, stored), SEMANTIC_KITTI, SHAPE)
    np.testing.assert_array_equal(truth.semantics, expected["semantic_labels"])
    np.testing.assert_array_equal(truth.instances, expected["instance_labels"])


class Runs:
    """Unpickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("function, name", [
    (os.system, "system"), (eval, "eval"), (np.load, "numpy.load"), (np.fromfile, "fromfile"), (os.mkdir, "mkdir"),
])
def test_a_pickle_that_names_a_function_is_refused_by_that_name_and_nothing_is_run(
    tmp_path: Path, function: Any, name: str, protocol: int
):
    target = tmp_path / "made_by_the_pickle"
    argument = f"__import__('os').mkdir({str(target)!r})" if function is eval else str(target)
    argument = f"mkdir {target}" if function is os.system else argument
    hostile = {**content(), "instance_labels": Runs(function, argument)}
    with pytest.raises(DataError, match=f"{name}.*nothing it names was run") as caught:
        read_authors_pickle(write(tmp_path, hostile, protocol), SEMANTIC_KITTI, SHAPE)
    assert "000005_1_1.pkl" in str(caught.value)
    assert not target.exists()


def test_opcodes_that_such_a_file_does_not_need_are_refused(tmp_path: Path):
    persistent = io.BytesIO()
    pickler = pickle.Pickler(persistent)
    pickler.persistent_id = lambda value: "x" if isinstance(value, np.ndarray) else None
    pickler.dump(content())
    new_object = b"\x80\x04ccollections\nOrderedDict\n)\x81."
    for data, opcode in ((persistent.getvalue(), "BINPERSID"), (new_object, "NEWOBJ"), (b"\x80\x02\x82\x01.", "EXT1")):
        with pytest.raises(DataError, match=f"opcode {opcode}"):
            read_authors_pickle(write(tmp_path, data), SEMANTIC_KITTI, SHAPE)


def test_pickles_that_would_eat_memory_are_refused(tmp_path: Path):
    memo = b"\x80\x02Nr" + struct.pack("<I", 2**31 - 1) + b"."
    with pytest.raises(DataError, match="memo slot 2147483647"):
        read_authors_pickle(write(tmp_path, memo), SEMANTIC_KITTI, SHAPE)
    claims = b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x."
    with pytest.raises(DataError, match="to be a pickle of NumPy arrays alone"):
        read_authors_pickle(write(tmp_path, claims), SEMANTIC_KITTI, SHAPE)
    with pytest.raises(DataError, match="more than 1000 opcodes"):
        read_authors_pickle(write(tmp_path, b"\x80\x02" + b"N0" * 5000 + b"N."), SEMANTIC_KITTI, SHAPE)
    big = tmp_path / "000007_1_1.pkl"
    with big.open("wb") as file:
        file.truncate(2**27 + 1)
    with pytest.raises(DataError, match="at most 134217728 bytes"):
        read_authors_pickle(big, SEMANTIC_KITTI, SHAPE)


def test_arrays_that_claim_another_size_or_hold_objects_are_refused(tmp_path: Path):
    for value, reason in (
        (np.array([None, True], object), "opcode EMPTY_LIST"),
        (np.array(["a"]), "array of type 'U1'"),
        (np.zeros(3, [("a", "f4")]), "array of type"),
        (35, "to hold an array 'instance_labels'"),
    ):
        with pytest.raises(DataError, match=reason):
            read_authors_pickle(write(tmp_path, {**content(), "instance_labels": value}), SEMANTIC_KITTI, SHAPE)
    data = pickle.dumps(content(), protocol=2)
    shape = b"K" + bytes([SHAPE[0]]) + b"K" + bytes([SHAPE[1]]) + b"K" + bytes([SHAPE[2]])
    assert shape in data
    with pytest.raises(DataError, match="do not fill its shape"):
        read_authors_pickle(write(tmp_path, data.replace(shape, b"K\x07" + shape[2:])), SEMANTIC_KITTI, SHAPE)


@pytest.mark.parametrize("name, value, reason", [
    ("semantic_labels", 19.5, "whole numbers 0 to 255, got 19.5"),
    ("semantic_labels", float("nan"), "got nan"),
    ("semantic_labels", 256.0, "got 256.0"),
    ("semantic_labels", 20.0, "0 to 19 or 255"),
    ("instance_labels", -1.0, "whole numbers 0 to 65535, got -1.0"),
    ("instance_labels", 65536.0, "got 65536.0"),
    ("instance_labels", float("inf"), "got inf"),
])
def test_values_that_are_no_classes_or_instances_are_refused(tmp_path: Path, name: str, value: float, reason: str):
    bad = content()
    bad[name][1, 2, 3] = value
    with pytest.raises(DataError, match=reason):
        read_authors_pickle(write(tmp_path, bad), SEMANTIC_KITTI, SHAPE)


def test_the_classes_are_those_of_the_dataset(tmp_path: Path):
    path = write(tmp_path, content())  # has class 19
    with pytest.raises(DataError, match=r"0 to 18 or 255 .SSCBench-KITTI-360., got 19"):
        read_authors_pickle(path, KITTI_360, SHAPE)


def test_missing_damaged_and_foreign_files_are_refused_by_name(tmp_path: Path):
    with pytest.raises(DataError, match="nothing there"):
        read_authors_pickle(tmp_path / "000001_1_1.pkl", SEMANTIC_KITTI, SHAPE)
    data = pickle.dumps(content())
    for damaged in (b"", data[: len(data) // 2], data[:-1], b"PK\x03\x04 not a pickle", bytes(100)):
        with pytest.raises(DataError, match=r"000005_1_1\.pkl"):
            read_authors_pickle(write(tmp_path, damaged), SEMANTIC_KITTI, SHAPE)
    with pytest.raises(DataError, match="to hold a dictionary, got tuple"):
        read_authors_pickle(write(tmp_path, (1, 2)), SEMANTIC_KITTI, SHAPE)
    with pytest.raises(DataError, match="to hold an array 'semantic_labels', got instance_labels"):
        read_authors_pickle(write(tmp_path, {"instance_labels": np.zeros(SHAPE)}), SEMANTIC_KITTI, SHAPE)
    with pytest.raises(DataError, match=r"to have shape \(7, 5, 4\), got \(6, 5, 4\)"):
        read_authors_pickle(write(tmp_path, content()), SEMANTIC_KITTI, (7, 5, 4))


def test_no_single_changed_byte_leads_to_anything_but_numbers_or_a_clear_error(tmp_path: Path):
    small = (2, 1, 1)
    data = pickle.dumps({"instance_labels": np.ones(small), "semantic_labels": np.ones(small, np.float32)}, protocol=4)
    rng, refused = np.random.default_rng(0), 0
    for place in range(len(data)):
        changed = data[:place] + bytes([(data[place] + int(rng.integers(1, 256))) % 256]) + data[place + 1 :]
        try:
            truth = read_authors_pickle(write(tmp_path, changed), SEMANTIC_KITTI, small)
        except DataError:
            refused += 1
        else:
            assert truth.instances.shape == truth.semantics.shape == small
    assert refused > len(data) // 2


def test_the_files_of_a_folder_are_found_by_sequence_and_frame(tmp_path: Path):
    for name in ("00/000010_1_1.pkl", "00/000005_1_1.pkl", "08/000000_1_1.pkl", "08/notes.pkl", "08/000001_1_2.pkl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [frame for frame, _ in find_pickles(tmp_path)] == [Frame("00", 5), Frame("00", 10), Frame("08", 0)]
    with pytest.raises(DataError, match=r"to hold <sequence>/<frame>_1_1.pkl, got no such file"):
        find_pickles(tmp_path / "08")
