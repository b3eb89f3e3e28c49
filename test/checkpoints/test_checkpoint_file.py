"""Our checkpoints come back as they were written, or are refused with the reason."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pasco_core.checkpoints import FORMAT_VERSION, CheckpointHeader, load_checkpoint, save_checkpoint
from pasco_core.checkpoints.architectures import architecture_of_weights
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import CheckpointError


@pytest.fixture
def state(waffleiron_state) -> dict[str, torch.Tensor]:
    return waffleiron_state


@pytest.fixture
def header(state) -> CheckpointHeader:
    config = architecture_of_weights("waffleiron", state).config
    names = SEMANTIC_KITTI.class_names[1:]
    return CheckpointHeader("waffleiron", config, names, "made for a test", notes=("random weights",))


@pytest.fixture
def saved(tmp_path, state, header) -> Path:
    save_checkpoint(tmp_path / "a.safetensors", state, header)
    return tmp_path / "a.safetensors"


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def rewrite(path: Path, state=None, **entries) -> Path:
    """The same file with other tensors or other header entries (None: taken out)."""
    with safe_open(path, "pt") as file:
        values = json.loads(file.metadata()["pasco"])
    values.update(entries)
    values = {key: value for key, value in values.items() if value is not None}
    save_file(load_file(path) if state is None else state, path, {"pasco": json.dumps(values)})
    return path


def test_weights_header_and_hash_come_back(saved, state, header):
    checkpoint = load_checkpoint(saved)
    assert checkpoint.header == header
    assert checkpoint.sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert checkpoint.state_dict.keys() == state.keys()
    assert all(torch.equal(checkpoint.state_dict[key], value) for key, value in state.items())


def test_loaded_weights_do_not_change_when_the_file_is_overwritten_in_place(saved, state):
    checkpoint = load_checkpoint(saved)
    with saved.open("rb+") as file:
        file.write(bytes(saved.stat().st_size))
    assert all(torch.equal(checkpoint.state_dict[key], value) for key, value in state.items())


def test_views_and_shared_tensors_are_saved_as_values(tmp_path, state, header):
    shared = torch.randn(2, *state["classif.weight"].shape)
    state["classif.weight"] = shared.transpose(1, 2)[0].transpose(0, 1)
    state["embed.norm.weight"] = state["embed.norm.bias"]
    save_checkpoint(tmp_path / "a.safetensors", state, header)
    loaded = load_checkpoint(tmp_path / "a.safetensors").state_dict
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


# Paths

def test_missing_directory_and_wrong_ending_are_said_so(tmp_path):
    assert "an existing file, got nothing there" in refusal(tmp_path / "gone.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    assert "got a directory" in refusal(tmp_path / "folder.safetensors")
    (tmp_path / "notes.txt").touch()
    assert "to be a .safetensors file, got '.txt'" in refusal(tmp_path / "notes.txt")


@pytest.mark.parametrize("name", ["pasco.ckpt", "ckpt_last.pth"])
def test_a_training_file_is_pointed_to_the_converter(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    assert f"run `pasco convert {name} {Path(name).stem}.safetensors`" in refusal(tmp_path / name)


# Damage

def test_a_truncated_file_is_refused_at_every_length(saved):
    whole = saved.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 4, len(whole) - 1]:
        saved.write_bytes(whole[:length])
        assert f"got {length} bytes that are truncated" in refusal(saved)


def test_a_file_with_flipped_bytes_is_loaded_or_refused_but_never_anything_else(saved):
    whole = saved.read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(4000)] = rng.integers(256)
        saved.write_bytes(damaged)
        try:
            assert load_checkpoint(saved).header.system == "waffleiron"
        except CheckpointError as error:
            assert str(saved) in str(error)


def test_a_header_that_claims_more_than_the_file_is_refused(saved):
    saved.write_bytes((2**60).to_bytes(8, "little") + b"{}")
    refusal(saved)


def test_a_foreign_safetensors_file_is_refused(tmp_path, state):
    save_file(state, tmp_path / "foreign.safetensors")
    assert "carry a 'pasco' header" in refusal(tmp_path / "foreign.safetensors")


def test_a_newer_format_is_refused_before_anything_else_of_it_is_read(saved):
    message = refusal(rewrite(saved, format_version=FORMAT_VERSION + 1, system=None, config=None, shiny="new"))
    assert f"at most {FORMAT_VERSION}, got {FORMAT_VERSION + 1}" in message and "update the package" in message


@pytest.mark.parametrize(("entries", "message"), [
    ({"format_version": None}, "format_version of"),
    ({"format_version": "1"}, "positive integer, got '1'"),
    ({"system": None}, "to have 'system', got none"),
    ({"system": "yolo"}, "one of pasco, waffleiron, got 'yolo'"),
    ({"config": [1]}, "'config' in the header"),
    ({"class_names": [1, 2]}, "'class_names' in the header"),
    ({"colour": "red"}, "known entries only, got 'colour'"),
    ({"class_names": ["road"]}, "class names to be 19, as many as the network's classes, got 1"),
    ({"config": {"channels": 8, "depth": 3, "speed": 1}}, "speed"),
    ({"config": {"channels": 10**9, "depth": 3}}, "at most 65536"),
    ({"config": {"channels": "8"}}, "channels"),
    ({"config": {"channels": 16, "depth": 3}}, "(16,)"),
    ({"config": {"channels": 8, "depth": 2}}, "unexpected: "),
    ({"system": "pasco"}, "to be one of pasco"),
])
def test_a_header_that_breaks_a_rule_is_refused_with_that_rule(saved, entries, message):
    assert message in refusal(rewrite(saved, **entries))


def test_a_header_that_is_no_json_object_is_refused(saved):
    for text in ("{", "[1]", "[" * 10_000):
        save_file(load_file(saved), saved, {"pasco": text})
        assert "JSON" in refusal(saved)


def test_missing_unexpected_and_misshapen_keys_are_named(saved, state):
    del state["classif.bias"]
    state["classif.extra"] = torch.zeros(3)
    state["embed.norm.bias"] = torch.zeros(4)
    message = refusal(rewrite(saved, state))
    assert "1 missing: classif.bias" in message and "1 unexpected: classif.extra" in message
    assert "embed.norm.bias (4,) instead of (5,)" in message


def test_weights_that_are_not_finite_are_named_and_the_rest_counted(saved, state):
    floating = [key for key in state if state[key].is_floating_point()]
    for key in floating[:13]:
        state[key].view(-1)[-1] = float("nan")
    message = refusal(rewrite(saved, state))
    assert "13 with NaN or infinity: " in message and message.endswith("and 3 more")


def test_weights_of_another_type_are_named(saved, state):
    state["classif.bias"] = state["classif.bias"].half()
    assert "float32 (batch counters int64), got classif.bias float16" in refusal(rewrite(saved, state))


# Writing

def test_what_could_not_be_loaded_is_not_saved(tmp_path, state, header):
    with pytest.raises(CheckpointError, match=r"end in \.safetensors"):
        save_checkpoint(tmp_path / "a.pt", state, header)
    state["classif.bias"][0] = float("inf")
    with pytest.raises(CheckpointError, match=r"a\.safetensors: .*1 with NaN or infinity: classif\.bias"):
        save_checkpoint(tmp_path / "a.safetensors", state, header)
    with pytest.raises(CheckpointError, match="missing"):
        save_checkpoint(tmp_path / "a.safetensors", {}, header)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "killed"])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(saved, state, header, monkeypatch, error):
    before = saved.read_bytes()

    def stop_half_way(tensors, path, metadata=None):
        Path(path).write_bytes(b"half")
        raise error

    monkeypatch.setattr("pasco_core.checkpoints.checkpoint_file.save_file", stop_half_way)
    with pytest.raises(type(error)):
        save_checkpoint(saved, state, dataclasses.replace(header, source="newer"))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_saved_file_has_the_permissions_of_any_other_new_file(saved):
    plain = saved.with_name("plain")
    plain.touch()
    assert stat.S_IMODE(os.stat(saved).st_mode) == stat.S_IMODE(os.stat(plain).st_mode)


def test_a_missing_folder_is_an_error_that_names_it(tmp_path, state, header):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save_checkpoint(tmp_path / "nowhere" / "a.safetensors", state, header)


def test_a_compact_file_is_smaller_and_reads_back_as_float32_within_half_precision(tmp_path, state, header):
    save_checkpoint(tmp_path / "whole.safetensors", state, header)
    save_checkpoint(tmp_path / "compact.safetensors", state, header, compact=True)
    saved = 2 * sum(value.numel() for value in state.values() if value.ndim > 1)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "compact")]
    assert saved > 2_000 and abs(sizes[0] - sizes[1] - saved) < 500
    loaded = load_checkpoint(tmp_path / "compact.safetensors").state_dict
    for key, value in state.items():
        assert loaded[key].dtype == value.dtype
        if value.ndim > 1:
            torch.testing.assert_close(loaded[key], value, rtol=2**-10, atol=1e-7)
        else:
            assert torch.equal(loaded[key], value)


def test_weights_that_half_precision_cannot_hold_are_not_written_compactly(tmp_path, state, header):
    key = next(key for key, value in state.items() if value.ndim > 1)
    too_large = {**state, key: state[key] + 1e6}
    with pytest.raises(CheckpointError, match="float16"):
        save_checkpoint(tmp_path / "c.safetensors", too_large, header, compact=True)
    assert not (tmp_path / "c.safetensors").exists()
