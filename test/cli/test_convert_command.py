"""``pasco convert`` from the shell's side."""

from __future__ import annotations

import json

import pytest
import torch

from pasco_core.checkpoints import load_checkpoint
from pasco_core.cli import main
from pasco_core.systems import waffleiron


@pytest.fixture
def source(tmp_path):
    shapes = waffleiron.expected_shapes(waffleiron.WaffleIronConfig(channels=8, depth=3))
    state = {f"module.{key}": torch.tensor(1) if key.endswith("tracked") else torch.rand(shape)
             for key, shape in shapes.items()}
    torch.save({"net": state, "epoch": 45}, tmp_path / "ckpt_last.pth")
    return tmp_path / "ckpt_last.pth"


def test_a_conversion_is_reported_on_one_screen(source, tmp_path, capsys):
    target = tmp_path / "w.safetensors"
    assert main(["convert", str(source), str(target)]) == 0
    out = capsys.readouterr().out
    sha256 = load_checkpoint(target).header.source_sha256
    assert str(target) in out and "waffleiron" in out and sha256 in out and "19: car, bicycle" in out
    assert "prefix 'module.' removed" in out and out.count("\n") < 25


def test_the_report_as_json_is_nothing_but_json(source, tmp_path, capsys):
    target = tmp_path / "w.safetensors"
    assert main(["convert", str(source), str(target), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["target"] == str(target) and report["target_bytes"] == target.stat().st_size
    assert report["config"]["depth"] == 3 and report["system"] == "waffleiron" and len(report["source_sha256"]) == 64


def test_a_damaged_source_is_a_failed_run_and_leaves_no_target(source, tmp_path, capsys):
    source.write_bytes(source.read_bytes()[:500])
    assert main(["convert", str(source), str(tmp_path / "w.safetensors")]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("pasco convert: error: Expected ") and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_wrong_target_is_wrong_use(source, tmp_path, capsys):
    assert main(["convert", str(source), str(tmp_path / "w.pt")]) == 2
    assert main(["convert", str(source), str(tmp_path / "no" / "w.safetensors")]) == 2
    assert main(["convert", str(source)]) == 2
    assert "end in .safetensors" in capsys.readouterr().err


def test_a_missing_source_is_named(tmp_path, capsys):
    assert main(["convert", str(tmp_path / "gone.ckpt"), str(tmp_path / "w.safetensors")]) == 1
    assert "gone.ckpt to be an existing file" in capsys.readouterr().err
