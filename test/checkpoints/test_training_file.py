"""Training files are read without running anything they name."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pasco_core.checkpoints import read_training_file
from pasco_core.errors import CheckpointError

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}


class Calls:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(trace: Path) -> dict[str, Calls]:
    """Each makes ``trace`` when it runs."""
    name = str(trace)
    write = f"open({name!r}, 'w').close()"
    return {
        "os.mkdir": Calls(os.mkdir, name),
        "os.system": Calls(os.system, f"touch {name}"),
        "exec": Calls(exec, write),
        "eval": Calls(eval, write),
        "subprocess": Calls(subprocess.call, ["touch", name]),
        "numpy.save": Calls(np.save, name + ".npy", np.zeros(1)),
        "torch.save": Calls(torch.save, 0, name),
        "torch.hub": Calls(torch.hub.download_url_to_file, Path(__file__).as_uri(), name, None, False),
        "method by getattr": Calls(getattr(Path(name), "touch")),  # noqa: B009 (pickled as a getattr call)
        "inside an allowed type": Calls(dict, [("a", Calls(os.mkdir, name))]),
    }


ATTACKS = list(attacks(Path()))


def made(trace: Path) -> bool:
    return trace.exists() or Path(f"{trace}.npy").exists()


@pytest.fixture
def attack(request, tmp_path):
    trace = tmp_path / "trace"
    return attacks(trace)[request.param], trace


@pytest.mark.parametrize("attack", ATTACKS, indirect=True)
def test_the_attacks_of_these_tests_do_run_in_a_plain_unpickler(attack):
    hostile, trace = attack
    pickle.loads(pickle.dumps(hostile))
    assert made(trace)


def hidden(hostile, place: str):
    return {
        "beside the weights": {"state_dict": WEIGHTS, "callbacks": {"x": hostile}},
        "in the settings": {"state_dict": WEIGHTS, "hyper_parameters": {"lr": 0.1, "act": [hostile]}},
        "among the weights": {"state_dict": {**WEIGHTS, "b.weight": hostile}},
        "in a numpy array": {"state_dict": WEIGHTS, "hyper_parameters": {"names": np.array([hostile, 1], object)}},
        "as a key": {"state_dict": WEIGHTS, "hyper_parameters": {(hostile,): 1}},
        "at the top": hostile,
    }[place]


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["beside the weights", "in the settings", "among the weights", "in a numpy array",
                                   "as a key", "at the top"])
@pytest.mark.parametrize("attack", ATTACKS, indirect=True)
def test_a_hostile_pickle_does_not_run_and_is_refused_with_the_reason(tmp_path, attack, place, legacy):
    hostile, trace = attack
    path = tmp_path / "hostile.ckpt"
    torch.save(hidden(hostile, place), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"hostile\.ckpt") as caught:
        read_training_file(path)
    assert not made(trace)
    assert "nothing in it was run" in str(caught.value)
    assert "add_safe_globals" not in str(caught.value) and "weights_only" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("attack", ATTACKS, indirect=True)
def test_a_bare_pickle_of_any_protocol_does_not_run(tmp_path, attack, protocol):
    hostile, trace = attack
    path = tmp_path / "bare.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": hostile}, protocol))
    with pytest.raises(CheckpointError, match=r"bare\.ckpt"):
        read_training_file(path)
    assert not made(trace)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_bare_pickle_that_pytorch_cannot_follow_is_called_one(tmp_path, protocol):
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps(Calls(os.system, "true"), protocol))
    assert "to be a PyTorch or Lightning file, got a plain pickle; nothing in it was run" in refusal(
        tmp_path / "bare.ckpt"
    )


def test_the_refusal_names_what_the_file_refers_to(tmp_path):
    torch.save({"state_dict": WEIGHTS, "x": Calls(shutil.which, "ls")}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"got a reference to 'shutil\.which', which could run code"):
        read_training_file(tmp_path / "a.ckpt")


def test_the_allow_list_ends_with_the_reading(tmp_path):
    torch.save({"state_dict": WEIGHTS}, tmp_path / "a.ckpt")
    before = set(torch.serialization.get_safe_globals())
    read_training_file(tmp_path / "a.ckpt")
    assert set(torch.serialization.get_safe_globals()) == before
    torch.save(Calls(os.mkdir, str(tmp_path / "trace")), tmp_path / "b.ckpt")
    with pytest.raises(CheckpointError):
        read_training_file(tmp_path / "b.ckpt")
    assert set(torch.serialization.get_safe_globals()) == before


# Good files

@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_weights_and_settings_of_a_lightning_file_come_back(tmp_path, make_lightning_file, legacy):
    content = make_lightning_file(WEIGHTS, names=["a", "b"], rate=np.float32(0.25), flag=np.bool_(True),
                                  where=Path("/data/kitti"), device=torch.device("cpu"), labels=np.array(["x", "yz"]))
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=not legacy)
    read = read_training_file(tmp_path / "a.ckpt")
    assert read.state_dict.keys() == WEIGHTS.keys()
    assert all(torch.equal(read.state_dict[key], value) for key, value in WEIGHTS.items())
    settings, given = read.hyper_parameters, content["hyper_parameters"]
    assert settings.keys() == given.keys() and read.notes == ()
    np.testing.assert_array_equal(settings["class_frequencies"], given["class_frequencies"])
    np.testing.assert_array_equal(settings["class_frequencies_by_scale"]["1_1"], [[0, 1, 2], [3, 4, 5]])
    assert settings["class_frequencies"].dtype == np.float64
    assert (settings["lr"], settings["rate"], settings["flag"]) == (1e-4, 0.25, True)
    assert (settings["names"], settings["where"], settings["sample_query_class"]) == (["a", "b"], "/data/kitti", True)
    assert settings["labels"].tolist() == ["x", "yz"]
    assert all(torch.equal(a, b) for a, b in zip(settings["class_weights"], given["class_weights"], strict=True))


@pytest.mark.parametrize("module", [
    "pytorch_lightning.utilities.parsing", "lightning.pytorch.utilities.parsing", "lightning.fabric.utilities.data",
    "lightning_fabric.utilities.data",
])
def test_lightnings_dictionary_is_read_without_lightning(tmp_path, monkeypatch, lightning_types, module):
    kind = lightning_types(module)
    torch.save({"state_dict": WEIGHTS, "hyper_parameters": kind(lr=0.1, deep=kind(n=2))}, tmp_path / "a.ckpt")
    monkeypatch.undo()
    package = module.split(".")[0]
    for name in [name for name in sys.modules if name.split(".")[0] == package]:  # other tests may have imported it
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails from here on
    assert read_training_file(tmp_path / "a.ckpt").hyper_parameters == {"lr": 0.1, "deep": {"n": 2}}


@pytest.mark.parametrize(("old", "new"), [(b"numpy._core", b"numpy.core"), (b"numpy.core", b"numpy._core")])
def test_numpys_old_and_new_module_names_are_both_known(tmp_path, old, new):
    torch.save({"state_dict": WEIGHTS, "hyper_parameters": {"w": np.eye(2), "lr": np.float64(3)}}, tmp_path / "a.ckpt")
    with zipfile.ZipFile(tmp_path / "a.ckpt") as archive, zipfile.ZipFile(tmp_path / "b.ckpt", "w") as other:
        for entry in archive.infolist():
            other.writestr(entry.filename, archive.read(entry).replace(old, new))
    settings = read_training_file(tmp_path / "b.ckpt").hyper_parameters
    np.testing.assert_array_equal(settings["w"], np.eye(2))
    assert settings["lr"] == 3


@pytest.mark.parametrize("array", [
    np.array(3.5), np.zeros((0, 4)), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(4, dtype=">i2"),
    np.array([1 + 2j]), np.array([True, False]),
], ids=["scalar", "empty", "fortran", "big-endian", "complex", "bool"])
def test_arrays_of_every_layout_come_back_equal(tmp_path, array):
    torch.save({"state_dict": WEIGHTS, "hyper_parameters": {"w": array}}, tmp_path / "a.ckpt")
    read = read_training_file(tmp_path / "a.ckpt").hyper_parameters["w"]
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype and read.shape == array.shape


@pytest.mark.parametrize("content", [WEIGHTS, {"net": WEIGHTS}, {"model_state_dict": WEIGHTS, "epoch": 3},
                                     {"state_dict": {f"module.{key}": value for key, value in WEIGHTS.items()}}],
                         ids=["bare", "net", "model_state_dict", "module."])
def test_weights_are_found_where_training_scripts_put_them(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    read = read_training_file(tmp_path / "a.pth").state_dict
    assert read.keys() == WEIGHTS.keys() and torch.equal(read["a.weight"], WEIGHTS["a.weight"])


def test_parameters_are_read_as_plain_tensors(tmp_path):
    torch.save({"state_dict": {"w": torch.nn.Parameter(torch.ones(2))}}, tmp_path / "a.pth")
    assert not read_training_file(tmp_path / "a.pth").state_dict["w"].requires_grad


# Bad files

def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_training_file(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_truncated_file_is_refused_at_every_length(tmp_path, make_lightning_file, legacy):
    torch.save(make_lightning_file(WEIGHTS), tmp_path / "whole.ckpt", _use_new_zipfile_serialization=not legacy)
    whole = (tmp_path / "whole.ckpt").read_bytes()
    for length in {*range(1, 40, 7), *range(40, len(whole), len(whole) // 25), len(whole) - 1}:
        (tmp_path / "cut.ckpt").write_bytes(whole[:length])
        assert "truncated" in refusal(tmp_path / "cut.ckpt") or length < 40


def test_missing_empty_and_directory_are_said_so(tmp_path):
    assert "nothing there" in refusal(tmp_path / "gone.ckpt")
    assert "a directory" in refusal(tmp_path)
    (tmp_path / "empty.ckpt").touch()
    assert "0 bytes" in refusal(tmp_path / "empty.ckpt")


@pytest.mark.parametrize("content", [b"hello world, I am no checkpoint\n" * 40, bytes(4096), b"\x80\x02}q\x00."],
                         ids=["text", "zeros", "a pickled dictionary"])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "a.ckpt").write_bytes(content)
    refusal(tmp_path / "a.ckpt")


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {}}, {"state_dict": {1: torch.ones(1)}},
                                     {"epoch": 3}, {"state_dict": {"a": torch.ones(1), "b": 3.0}},
                                     {"state_dict": {"a": torch.eye(3).to_sparse()}}],
                         ids=["list", "empty", "no weights", "unnamed", "only settings", "a number", "sparse"])
def test_a_file_without_named_dense_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.ckpt")
    refusal(tmp_path / "a.ckpt")


def test_a_tensor_that_claims_more_values_than_the_file_holds_is_refused(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1).expand(2**20, 2**20)}}, tmp_path / "a.ckpt")
    assert "a (Tensor)" in refusal(tmp_path / "a.ckpt")


def test_an_archive_with_compressed_records_is_refused(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1000)}}, tmp_path / "a.ckpt")
    with zipfile.ZipFile(tmp_path / "a.ckpt") as archive, \
            zipfile.ZipFile(tmp_path / "b.ckpt", "w", zipfile.ZIP_DEFLATED) as other:
        for entry in archive.infolist():
            other.writestr(entry.filename, archive.read(entry))
    assert "stored uncompressed" in refusal(tmp_path / "b.ckpt")


def test_settings_that_contain_themselves_do_not_hang_and_do_not_stop_the_weights(tmp_path):
    loop: list = []
    loop.append(loop)
    bomb: list = [1]
    for _ in range(40):
        bomb = [bomb, bomb]
    for name, settings in (("loop", loop), ("bomb", bomb)):
        torch.save({"state_dict": WEIGHTS, "hyper_parameters": {"x": settings}}, tmp_path / f"{name}.ckpt")
        read = read_training_file(tmp_path / f"{name}.ckpt")
        assert read.hyper_parameters == {} and "hyper-parameters ignored" in read.notes[0]
        assert read.state_dict.keys() == WEIGHTS.keys()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_with_flipped_bytes_is_read_or_refused_but_never_anything_else(tmp_path, make_lightning_file, legacy):
    torch.save(make_lightning_file(WEIGHTS), tmp_path / "whole.ckpt", _use_new_zipfile_serialization=not legacy)
    whole = (tmp_path / "whole.ckpt").read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(whole))] = rng.integers(256)
        (tmp_path / "damaged.ckpt").write_bytes(damaged)
        try:
            read = read_training_file(tmp_path / "damaged.ckpt")
        except CheckpointError as error:
            assert "damaged.ckpt" in str(error)
        else:
            assert all(isinstance(value, torch.Tensor) for value in read.state_dict.values())
