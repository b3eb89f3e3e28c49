"""The picture of a whole prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation import street_scan
from pasco_core.errors import DataError
from pasco_core.prediction import ScenePrediction
from pasco_core.viz import draw_scene, instance_colours, save_scene_picture, scale_colours
from pasco_core.viz import scene_picture as module
from pasco_core.viz.page import WARNING
from pasco_core.viz.scene_picture import LAYOUT, PANEL_HEIGHT, PANEL_WIDTH

POINTS = street_scan(0)[::7]
MARGIN, TILE = LAYOUT.margin, LAYOUT.tile[1]


def panels(image: np.ndarray) -> list[np.ndarray]:
    """The pictures of the four panels, without captions and legends: cloud, semantics, instances, uncertainty."""
    top = image.shape[0] - 2 * TILE + LAYOUT.caption
    rows, columns = (top, top + TILE), (MARGIN, 2 * MARGIN + PANEL_WIDTH)
    return [image[r : r + PANEL_HEIGHT, c : c + PANEL_WIDTH] for r in rows for c in columns]


def legend(image: np.ndarray, panel: int) -> np.ndarray:
    bottom = image.shape[0] - (1 - panel // 2) * TILE - MARGIN
    left = MARGIN + panel % 2 * (MARGIN + PANEL_WIDTH)
    return image[bottom - LAYOUT.legend : bottom, left : left + PANEL_WIDTH]


def shows(image: np.ndarray, colour: np.ndarray | tuple) -> int:
    """How many pixels have exactly this colour."""
    return int((image == np.asarray(colour)).all(axis=2).sum())


@pytest.fixture(autouse=True, scope="module")
def _one_ray_per_pixel():
    """A quarter of the work; everything tested here holds at any supersampling."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SUPERSAMPLE", 1)
        yield


@pytest.fixture(scope="module")
def picture(street: ScenePrediction) -> np.ndarray:
    return draw_scene(POINTS, street, "A street")


def test_the_file_is_a_png_of_the_picture(tmp_path: Path, street: ScenePrediction, picture: np.ndarray):
    save_scene_picture(tmp_path / "scene.png", POINTS, street, "A street")
    with Image.open(tmp_path / "scene.png") as image:
        assert image.format == "PNG"
        assert image.size[0] == 2 * PANEL_WIDTH + 3 * MARGIN == 1980
        assert image.size[1] > 2 * PANEL_HEIGHT
        assert np.array_equal(np.asarray(image), picture)


def test_the_same_scene_gives_the_same_bytes(tmp_path: Path, street: ScenePrediction):
    for name in ("first.png", "second.png"):
        save_scene_picture(tmp_path / name, POINTS, street, "A street", ["a note"])
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_the_legend_has_the_colours_of_the_classes_that_are_there_and_no_others(picture: np.ndarray):
    swatches = legend(picture, 1)
    for category in range(1, SEMANTIC_KITTI.n_classes):
        there = shows(swatches, SEMANTIC_KITTI.colours[category]) > 100
        assert there == (category in (1, 9, 13)), SEMANTIC_KITTI.class_names[category]


def test_the_semantics_panel_shows_the_classes_in_the_label_sets_colours(picture: np.ndarray):
    for category in (1, 9, 13):
        assert shows(panels(picture)[1], SEMANTIC_KITTI.colours[category]) > 50


def test_things_are_coloured_and_stuff_is_grey_in_the_instances_panel(picture: np.ndarray):
    instances = panels(picture)[2]
    for thing in (2, 3):
        assert shows(instances, instance_colours(np.array(thing))) > 50
        assert shows(legend(picture, 2), instance_colours(np.array(thing))) > 100
    # Beside the two cars nothing in the panel is vivid.
    vivid = np.ptp(instances.astype(int), axis=2) > 60
    assert 500 < vivid.sum() < 12000


def test_more_uncertain_voxels_are_nearer_to_the_yellow_end(street: ScenePrediction):
    sure = replace(street, voxel_uncertainty=np.where(street.semantics, 0.05, 0).astype(np.float32))
    unsure = replace(street, voxel_uncertainty=np.where(street.semantics, 0.95, 0).astype(np.float32))
    dark, bright = (panels(draw_scene(POINTS, scene))[3] for scene in (sure, unsure))
    assert shows(dark, scale_colours(np.array(0.05))) > 1000
    assert shows(bright, scale_colours(np.array(0.95))) > 1000


def test_the_cloud_panel_changes_with_the_points_and_the_others_do_not(street: ScenePrediction, picture: np.ndarray):
    other = panels(draw_scene(POINTS[:50], street, "A street"))
    before = panels(picture)
    assert not np.array_equal(other[0], before[0])
    for i in (1, 2, 3):
        assert np.array_equal(other[i], before[i])


def test_an_empty_scene_says_that_nothing_was_predicted(make_scene: Callable[..., ScenePrediction], monkeypatch):
    texts = record_texts(monkeypatch)
    image = draw_scene(np.zeros((0, 4), np.float32), make_scene([]))
    assert image.shape[1] == 1980
    assert texts.count("nothing predicted") == 3
    assert texts.count("no points") == 1


def test_counts_and_names_are_written(street: ScenePrediction, monkeypatch):
    texts = record_texts(monkeypatch)
    draw_scene(POINTS, street, "A street", ["a note"])
    voxels = street.semantics.astype(bool).sum()
    assert {"A street", "a note", f"{len(POINTS):,} points", f"{voxels:,} voxels"} <= set(texts)
    assert {"road", f"{(street.semantics == 9).sum():,}", "2 things, 2 stuff regions in grey"} <= set(texts)


def test_voxels_without_any_segment_are_said_to_have_none_and_stay_grey(street: ScenePrediction, monkeypatch):
    texts = record_texts(monkeypatch)
    image = draw_scene(POINTS, replace(street, panoptic=np.zeros_like(street.panoptic), segments=[]))
    assert "no segments" in texts
    assert (np.ptp(panels(image)[2].astype(int), axis=2) > 60).sum() == 0


def test_a_note_about_untrained_weights_is_set_off_as_a_warning(street: ScenePrediction, picture: np.ndarray):
    warned = draw_scene(POINTS, street, "A street", ["UNTRAINED RANDOM WEIGHTS: the classes mean nothing"])
    plain = draw_scene(POINTS, street, "A street", ["12 points out of range"])
    assert shows(warned, WARNING) > 20000
    assert shows(plain, WARNING) == 0


def test_notes_of_the_scene_are_shown_once_and_first(street: ScenePrediction, monkeypatch):
    texts = record_texts(monkeypatch)
    draw_scene(POINTS, replace(street, notes=("from the scene",)), notes=["from the caller", "from the scene"])
    assert [t for t in texts if t.startswith("from")] == ["from the scene", "from the caller"]


def test_very_many_notes_do_not_push_the_panels_off_the_page(street: ScenePrediction, picture: np.ndarray):
    notes = [f"note {i} " + "word " * 80 for i in range(40)]
    assert draw_scene(POINTS, street, "A street", notes).shape[0] < picture.shape[0] + 300


def test_characters_that_the_font_lacks_do_not_break_the_picture(tmp_path: Path, street: ScenePrediction, monkeypatch):
    texts = record_texts(monkeypatch)
    save_scene_picture(tmp_path / "scene.png", POINTS, street, "Straße in Münchén 東京 \N{MINUS SIGN}5 °C")
    assert "Stra?e in Munchen ?? -5 ?C" in texts


def test_unknown_voxels_are_not_drawn(street: ScenePrediction, picture: np.ndarray):
    semantics = street.semantics.copy()
    semantics[:, :, 28:] = 255
    assert np.array_equal(panels(draw_scene(POINTS, replace(street, semantics=semantics)))[1], panels(picture)[1])


def test_voxels_with_a_segment_but_no_class_show_as_instances_only(make_scene: Callable[..., ScenePrediction]):
    block = np.s_[60:82, 110:119, 2:9]
    scene = make_scene([(block, (1, 1, 0.3))])
    scene = replace(scene, semantics=np.zeros_like(scene.semantics))
    _, semantics, instances, _ = panels(draw_scene(POINTS, scene))
    assert shows(semantics, SEMANTIC_KITTI.colours[1]) == 0
    assert shows(instances, instance_colours(np.array(1))) > 50


def test_points_that_are_not_finite_do_not_break_the_picture(street: ScenePrediction):
    points = POINTS.copy()
    points[::3] = np.nan
    assert draw_scene(points, street).shape[1] == 1980


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"panoptic": np.zeros((2, 2, 2), np.int32)}, "panoptic to be of the grid's shape"),
        ({"semantics": np.full((256, 256, 32), 20, np.uint8)}, "classes 0 to 19 or 255, got 20"),
        ({"voxel_uncertainty": np.full((256, 256, 32), np.nan, np.float32)}, "voxel_uncertainty to be finite"),
    ],
)
def test_a_scene_that_does_not_fit_is_refused_by_the_broken_rule(street: ScenePrediction, change: dict, message: str):
    with pytest.raises(DataError, match=message):
        draw_scene(POINTS, replace(street, **change))


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, street: ScenePrediction):
    with pytest.raises(DataError, match=r"picture .*missing/scene\.png to be writable, got No such file"):
        save_scene_picture(tmp_path / "missing" / "scene.png", POINTS, street)


def record_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is drawn, in order."""
    from PIL import ImageDraw

    texts: list[str] = []
    draw = ImageDraw.ImageDraw.text

    def recording(self, xy, text, *args, **kwargs):
        texts.append(text)
        return draw(self, xy, text, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", recording)
    return texts
