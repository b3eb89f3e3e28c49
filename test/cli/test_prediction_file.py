"""A prediction comes back from its file as it was, and a damaged file is refused."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI, LabelSet
from pasco_core.errors import DataError
from pasco_core.prediction_file import load_prediction, save_prediction

ARRAYS = ("semantics", "panoptic", "voxel_uncertainty", "mask_confidence", "probability_voxels", "probabilities")


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_prediction(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def rewrite(path: Path, **entries) -> None:
    with np.load(path) as archive:
        content = {**archive, **entries}
    np.savez(path, **{key: value for key, value in content.items() if value is not None})


@pytest.fixture
def saved(tmp_path, scene) -> Path:
    save_prediction(tmp_path / "scene.npz", scene)
    return tmp_path / "scene.npz"


def test_a_prediction_comes_back_equal_in_every_field(saved, scene):
    loaded = load_prediction(saved)
    assert (loaded.grid, loaded.timings, loaded.notes) == (scene.grid, scene.timings, scene.notes)
    assert list(loaded.timings) == list(scene.timings)
    assert loaded.labels is SEMANTIC_KITTI
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(scene, name), strict=True)
    assert len(loaded.segments) == len(scene.segments)
    for ours, theirs in zip(loaded.segments, scene.segments, strict=True):
        np.testing.assert_array_equal(ours.class_probabilities, theirs.class_probabilities, strict=True)
        plain = ("id", "category", "is_thing", "confidence", "query_id", "n_voxels")
        assert [getattr(ours, name) for name in plain] == [getattr(theirs, name) for name in plain]
    np.testing.assert_array_equal(loaded.occupancy_probability(), scene.occupancy_probability())


def test_an_empty_scene_comes_back_empty(tmp_path, scene):
    empty = replace(scene, segments=[], probability_voxels=np.zeros(0, np.int64), notes=(), timings={},
                    probabilities=np.zeros((0, 20), np.float32))
    save_prediction(tmp_path / "scene.npz", empty)
    loaded = load_prediction(tmp_path / "scene.npz")
    assert loaded.segments == [] and loaded.probabilities.shape == (0, 20) and loaded.notes == ()


OWN = LabelSet("mine", ("empty", "wall"), frozenset({1}), np.eye(2, 3, dtype=np.uint8))


@pytest.mark.parametrize("labels", [KITTI_360, OWN], ids=["KITTI-360", "own"])
def test_the_label_set_comes_back_by_name_or_whole(tmp_path, make_scene, labels):
    save_prediction(tmp_path / "scene.npz", make_scene(labels))
    loaded = load_prediction(tmp_path / "scene.npz").labels
    assert (loaded.name, loaded.class_names, loaded.thing_ids) == (labels.name, labels.class_names, labels.thing_ids)
    np.testing.assert_array_equal(loaded.colours, labels.colours)


def test_the_file_needs_numpy_alone_and_no_pickle(saved, scene):
    with np.load(saved, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["semantics"], scene.semantics)
        assert json.loads(str(archive["segments"]))[1]["category"] == 1
        assert json.loads(str(archive["labels"]))["class_names"][9] == "road"
        assert not any(archive[name].dtype.hasobject for name in archive.files)


def test_a_truncated_file_is_refused_at_every_length(saved):
    whole = saved.read_bytes()
    for length in range(0, len(whole), len(whole) // 20):
        saved.write_bytes(whole[:length])
        refusal(saved)


@pytest.mark.parametrize(("entries", "message"), [
    ({"format_version": 2}, "newer than 1"),
    ({"panoptic": None}, "no 'panoptic'"),
    ({"semantics": np.zeros((2, 2, 2), np.uint8)}, "semantics uint8 (2, 2, 2) instead of uint8 (16, 8, 4)"),
    ({"panoptic": np.zeros((16, 8, 4), np.int64)}, "panoptic int64"),
    ({"grid_shape": np.array([16, 8])}, "a grid of shape [16, 8]"),
    ({"voxel_size": np.float64("nan")}, "voxel size nan"),
    ({"probability_voxels": np.full(134, 512)}, "outside the grid"),
    ({"probabilities": np.zeros((134, 19), np.float32)}, "probabilities float32 (134, 19)"),
    ({"segments": "[{]"}, "Expecting"),
    ({"segments": '[{"id": 1, "age": 3, "class_probabilities": []}]'}, "age"),
    ({"segments": np.array([{"id": 1}], object)}, "Object arrays cannot be loaded"),
])
def test_a_file_that_breaks_a_rule_is_refused_with_that_rule(saved, entries, message):
    rewrite(saved, **entries)
    assert message in refusal(saved)


def test_missing_and_foreign_files_are_said_so(tmp_path):
    assert "nothing there" in refusal(tmp_path / "gone.npz")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no archive")
    refusal(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    assert "no 'format_version' in it" in refusal(tmp_path / "b.npz")


def test_an_archive_that_claims_terabytes_is_refused_before_it_is_unpacked(saved):
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", b"")
        archive.infolist()[-1].file_size = 2**41
        archive._didModify = True
    assert f"more than {2**31}" in refusal(saved)


def test_another_ending_is_refused_before_anything_is_written(tmp_path, scene):
    with pytest.raises(DataError, match=r"end in \.npz, got .*scene\.npy"):
        save_prediction(tmp_path / "scene.npy", scene)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(saved, scene, monkeypatch):
    before = saved.read_bytes()

    def stop(file, **content):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", stop)
    with pytest.raises(KeyboardInterrupt):
        save_prediction(saved, scene)
    assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]
