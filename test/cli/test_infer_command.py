"""``pasco infer``: what it writes and says, with a stand-in for the network, and once with a real small one."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pasco_core.checkpoints import CheckpointHeader, save_checkpoint
from pasco_core.cli import main
from pasco_core.data.label_set import KITTI_360
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction_file import load_prediction
from pasco_core.systems import pasco
from pasco_core.systems.pasco import PaSCoConfig


@pytest.fixture
def calls(monkeypatch, make_scene) -> list:
    """Replaces the network by the hand-made scene; records how it was made and what it was given."""
    record: list = []

    class StandIn:
        config = PaSCoConfig()

        def __init__(self, checkpoint=None, **options):
            record.append(("Predictor", checkpoint, options))

        @classmethod
        def untrained(cls, **options):
            record.append(("untrained", None, options))
            predictor = cls.__new__(cls)
            predictor.notes = ("untrained random weights",)
            return predictor

        def __call__(self, points):
            record.append(("points", points))
            return make_scene(notes=getattr(self, "notes", ()))

    monkeypatch.setattr(pasco, "Predictor", StandIn)
    return record


@pytest.fixture
def picture(monkeypatch) -> SimpleNamespace:
    """Replaces the drawing; keeps its arguments."""
    from pasco_core import viz

    kept = SimpleNamespace()

    def draw(path, points, scene, title="", notes=()):
        path.write_bytes(b"picture")
        kept.points, kept.scene, kept.title, kept.notes = points, scene, title, notes

    monkeypatch.setattr(viz, "save_scene_picture", draw)
    return kept


def test_scene_picture_and_summary_are_written(calls, picture, scan, scene, tmp_path, capsys):
    assert main(["infer", str(scan), "--out", str(tmp_path / "out"), "--untrained"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scene.npz", "scene.png", "summary.json"]
    np.testing.assert_array_equal(load_prediction(tmp_path / "out" / "scene.npz").semantics, scene.semantics)
    assert (tmp_path / "out" / "scene.png").read_bytes() == b"picture"
    assert len(picture.points) == 38 and picture.title == "000123.bin · no checkpoint"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["points"] == {"in_file": 40, "removed": 2, "in_range": 30, "out_of_range": 8}
    assert {name: count for name, count in summary["voxels"].items() if count} == {"empty": 378, "car": 6, "road": 128}
    assert summary["segments"][1] == {"id": 2, "class": "car", "is_thing": True, "confidence": 0.333333, "voxels": 6}
    assert summary["seconds"]["encoder"] == 0.123457 and "read scan" in summary["seconds"]
    assert summary["checkpoint"] is None and "untrained random weights" in summary["notes"]


def test_the_summary_on_the_screen_says_what_went_in_and_came_out(calls, picture, scan, tmp_path, capsys):
    main(["infer", str(scan), "--out", str(tmp_path / "out"), "--untrained"])
    out = capsys.readouterr().out
    assert "40 in the file, 2 not finite and left out; 30 in range, 8 out of range" in out
    assert "none: untrained random weights, seed 0" in out and "note: untrained random weights" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["road", "128", "95.5", "%"] in rows and ["car", "6", "4.5", "%"] in rows
    assert ["2", "car", "thing", "0.333", "6"] in rows
    assert "encoder 0.12 s, ensemble 2.50 s" in out and str(tmp_path / "out" / "scene.npz") in out
    assert out.count("\n") < 50 and max(map(len, out.splitlines())) <= 200


def test_json_is_the_same_summary_and_nothing_else(calls, picture, scan, tmp_path, capsys):
    assert main(["infer", str(scan), "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "summary.json").read_text())


def test_without_out_the_folder_is_named_after_the_scan(calls, picture, scan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["infer", str(scan), "--no-picture"]) == 0
    assert sorted(path.name for path in (tmp_path / "out/infer/000123").iterdir()) == ["scene.npz", "summary.json"]


def test_a_scan_of_the_same_name_does_not_replace_the_results_of_another(
    calls, picture, scan, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "08" / scan.name
    other.parent.mkdir()
    other.write_bytes(scan.read_bytes())
    assert main(["infer", str(scan)]) == 0
    results = tmp_path / "out" / "infer" / "000123"
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    calls.clear()
    assert main(["infer", "08/000123.bin"]) == 2
    assert (f"Expected out/infer/000123 to hold results of 08/000123.bin or none, got those of {scan}; --out names "
            "another folder") in capsys.readouterr().err
    assert calls == [] and {path.name: path.read_bytes() for path in results.iterdir()} == before
    assert main(["infer", "08/000123.bin", "--out", "out/infer/000123"]) == 0  # asked for by name
    assert json.loads((results / "summary.json").read_text())["scan"] == "08/000123.bin"
    assert main(["infer", "./08/../08/000123.bin", "--no-picture"]) == 0  # the same scan again
    assert not (results / "scene.png").exists()


@pytest.mark.parametrize("summary", ["", "[]", "{}", '{"scan": 3}'])
def test_a_folder_whose_summary_names_no_scan_is_taken(calls, picture, scan, tmp_path, monkeypatch, summary):
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "out" / "infer" / "000123"
    results.mkdir(parents=True)
    (results / "summary.json").write_text(summary)
    assert main(["infer", str(scan)]) == 0
    assert json.loads((results / "summary.json").read_text())["scan"] == str(scan)


def test_options_reach_the_predictor(calls, picture, scan, tmp_path, monkeypatch):
    monkeypatch.setattr("pasco_core.device.usable_device", lambda name: None)
    arguments = ["infer", str(scan), "--out", str(tmp_path / "out"), "--checkpoint", "c.safetensors",
                 "--features", "w.safetensors", "--device", "cuda:1", "--transforms", "random", "--seed", "7"]
    assert main(arguments) == 0
    kind, checkpoint, options = calls[0]
    assert (kind, checkpoint.name, options["features"].name) == ("Predictor", "c.safetensors", "w.safetensors")
    assert (options["device"], options["transforms"]) == ("cuda:1", "random")
    assert options["rng"].random() == np.random.default_rng(7).random()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["notes"] == ["--features not used: this network reads the 8 geometric features only"]
    assert picture.title == "000123.bin · c.safetensors"


def test_the_seed_is_that_of_the_untrained_weights(calls, picture, scan, tmp_path):
    assert main(["infer", str(scan), "--out", str(tmp_path / "out"), "--untrained", "--seed", "5"]) == 0
    assert calls[0][0] == "untrained" and calls[0][2]["seed"] == 5


def test_without_a_checkpoint_the_shipped_network_predicts(calls, picture, scan, tmp_path, capsys):
    assert main(["infer", str(scan), "--out", str(tmp_path / "out")]) == 0
    assert calls[0][:2] == ("Predictor", None) and picture.title == "000123.bin · shipped network"
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["checkpoint"] == "shipped"


@pytest.mark.parametrize(("options", "message"), [
    (["--untrained", "--checkpoint", "c.safetensors"], "--untrained to stand without --checkpoint"),
    (["--device", "gpu"], "--device to be cpu, cuda or cuda:N, got 'gpu'"),
    (["--seed", "-1"], "--seed to be 0 to"),
    (["--features", "w.safetensors"], "--features to come with --checkpoint"),
    (["--transforms", "wild"], "invalid choice: 'wild'"),
    (["--out", "taken"], "Expected --out to be a folder that can be written, got taken (File exists)"),
    (["--out", "taken/below"], "Expected --out to be a folder that can be written, got taken/below (Not a directory)"),
    (["--out", "/proc/pasco"], "Expected --out to be a folder that can be written, got /proc/pasco ("),
])
def test_wrong_options_are_wrong_use_and_nothing_is_run(calls, scan, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    assert main(["infer", str(scan), *options]) == 2
    assert message in capsys.readouterr().err and calls == []


def test_no_output_of_an_earlier_run_stays_beside_the_new_ones(calls, picture, scan, tmp_path):
    out = tmp_path / "out"
    assert main(["infer", str(scan), "--out", str(out)]) == 0
    (out / "mine.txt").touch()
    assert main(["infer", str(scan), "--out", str(out), "--no-picture"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["mine.txt", "scene.npz", "summary.json"]


def test_a_failed_run_leaves_earlier_results_and_no_empty_folder(calls, picture, scan, tmp_path):
    out = tmp_path / "out"
    assert main(["infer", str(scan), "--out", str(out)]) == 0
    before = (out / "summary.json").read_bytes()
    (tmp_path / "bad.bin").write_bytes(b"x" * 17)
    assert main(["infer", str(tmp_path / "bad.bin"), "--out", str(out)]) == 1
    assert main(["infer", str(tmp_path / "bad.bin"), "--out", str(tmp_path / "new" / "deep")]) == 1
    assert (out / "summary.json").read_bytes() == before and not (tmp_path / "new").exists()


def test_a_scene_of_which_nothing_is_known_says_so_once(monkeypatch, picture, scan, tmp_path, capsys):
    from pasco_core.systems.pasco.scene import unobserved_scene

    note = "nothing is known: none of 38 points lies in the grid"
    scene = unobserved_scene(VoxelGrid((0.0, 0.0, 0.0), 0.2, (4, 4, 4)), KITTI_360, note)
    monkeypatch.setattr(pasco, "Predictor", lambda checkpoint, **options: Named(scene))
    assert main(["infer", str(scan), "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "nothing is known of this scene" in out and "confident" not in out
    assert out.count("note:") == 1 and f"note: {note}" in out
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["nothing_known"] is True


class Named:
    """A predictor that always gives the same scene."""

    config = PaSCoConfig()

    def __init__(self, scene):
        self._scene = scene

    def __call__(self, points):
        return self._scene


def test_a_bad_scan_is_refused_before_any_weights_are_loaded(calls, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.bin").write_bytes(b"x" * 17)
    assert main(["infer", str(tmp_path / "bad.bin")]) == 1
    assert main(["infer", str(tmp_path / "gone.pcd")]) == 1
    err = capsys.readouterr().err
    assert "multiple of 16 bytes" in err and "gone.pcd to be an existing file" in err and err.count("\n") == 2
    assert calls == []


@pytest.mark.parametrize(("name", "content", "message"), [
    ("gone.safetensors", None, "to be an existing file"),
    ("cut.safetensors", b"\x40\x00", "2 bytes that are truncated"),
    ("authors.ckpt", b"PK\x03\x04", "run `pasco convert authors.ckpt authors.safetensors` first"),
])
def test_a_bad_checkpoint_is_one_line_and_writes_nothing(scan, tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["infer", str(scan), "--checkpoint", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err and not (tmp_path / "out").exists()


def test_a_gpu_that_is_not_there_is_said_so(scan, tmp_path, capsys):
    assert main(["infer", str(scan), "--device", "cuda:99", "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "cuda" in err and err.count("\n") == 1


def test_a_real_small_network_runs_from_its_checkpoint_to_files(tmp_path, capsys):
    from pasco_core.data.simulation import street_scan
    from pasco_core.systems.pasco.untrained import untrained_network

    torch.set_num_threads(1)
    small = {"width": 4, "query_channels": 48, "ffn_channels": 16, "n_queries": 6, "point_channels": (8, 8, 8)}
    config = PaSCoConfig(n_classes=19, **small)
    header = CheckpointHeader("pasco", config.to_dict(), KITTI_360.class_names, notes=("untrained random weights",))
    save_checkpoint(tmp_path / "small.safetensors", untrained_network(config, 0).state_dict(), header)
    np.save(tmp_path / "street.npy", street_scan(frame=0, seed=0))
    arguments = ["infer", str(tmp_path / "street.npy"), "--checkpoint", str(tmp_path / "small.safetensors"), "--json"]
    assert main([*arguments, "--out", str(tmp_path / "a")]) == 0
    assert main([*arguments, "--out", str(tmp_path / "b"), "--no-picture"]) == 0
    summary = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert summary["label_set"] == "SSCBench-KITTI-360" and summary["points"]["in_range"] > 1000
    assert sum(summary["voxels"].values()) == 256 * 256 * 32 > summary["voxels"]["empty"] > 0
    a, b = (load_prediction(tmp_path / run / "scene.npz") for run in "ab")
    np.testing.assert_array_equal(a.probabilities, b.probabilities)
    from PIL import Image

    assert min(Image.open(tmp_path / "a" / "scene.png").size) > 500
