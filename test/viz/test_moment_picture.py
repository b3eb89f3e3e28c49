"""Pictures of chosen panels from chosen points of view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageDraw

from pasco_core.data.camera_image import PosedImage
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.camera_model import CameraModel
from pasco_core.prediction import ScenePrediction
from pasco_core.viz import Moment, MomentPainter, instance_colours
from pasco_core.viz.camera import chase_camera
from pasco_core.viz.canvas import fitting_swatches
from pasco_core.viz.page import WARNING, fit_layout
from pasco_core.viz.panels import voxel_colours
from pasco_core.viz.stage import UNKNOWN_COLOURS, draw_marks
from pasco_core.viz.views import InCamera

SIZE = (480, 360)
POINTS = np.array([[10.0, 3.0, -1.7, 0.5], [20.0, -4.0, 0.0, 0.1]], np.float32)


def shows(image: np.ndarray, colour: np.ndarray | tuple) -> int:
    """How many pixels have exactly this colour."""
    return int((image == np.asarray(colour)).all(axis=2).sum())


def paint(moment: Moment, view: str = "third-person", *what: str, **options) -> np.ndarray:
    return MomentPainter(view, what, options.pop("size", SIZE), supersample=1, **options)(moment)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is drawn, in order."""
    drawn: list[str] = []
    draw = ImageDraw.ImageDraw.text

    def recording(self, xy, text, *args, **kwargs):
        drawn.append(text)
        return draw(self, xy, text, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", recording)
    return drawn


@pytest.fixture(scope="module")
def seen(street: ScenePrediction) -> Moment:
    """The street with a grey image of a camera on the car's roof."""
    matrix = np.array([[200.0, 0, 160], [0, 200, 60], [0, 0, 1]])
    ahead = np.eye(4)
    ahead[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    rgb = np.full((120, 320, 3), 128, np.uint8)
    return Moment("08/000005", street, POINTS, PosedImage(rgb, CameraModel(320, 120, matrix), ahead))


@pytest.mark.parametrize("view", ["third-person", "birds-eye", "camera"])
def test_every_view_has_the_size_that_was_asked_for_and_its_panels_captions(seen: Moment, view: str, texts: list[str]):
    image = paint(seen, view, size=(900, 640))
    assert image.shape == (640, 900, 3)
    assert image.dtype == np.uint8
    assert {"08/000005", "Input cloud", "Completed semantics", "Panoptic instances", "Uncertainty"} <= set(texts)


def test_the_map_shows_a_car_where_it_is_and_as_large_as_it_is(street: ScenePrediction):
    image = paint(Moment("", street), "birds-eye", "instances", size=(700, 800)).astype(int)
    near = np.abs(image - instance_colours(np.array(3))).sum(axis=2) < 60  # a little darker, as it is low
    near[640:] = False  # the legend
    rows, columns = np.nonzero(near)
    # It is 24 to 28.4 m ahead and 1.4 to 3.2 m left of the middle of the picture.
    scale = (np.ptp(rows) + 1) / 4.4
    assert (np.ptp(columns) + 1) / scale == pytest.approx(1.8, abs=2.5 / scale)
    assert (350 - columns.max() - 1) / scale == pytest.approx(1.4, abs=2.5 / scale)
    assert scale > 8


def test_the_camera_view_tints_what_is_there_and_leaves_the_rest(seen: Moment):
    image = paint(seen, "camera", "semantics", size=(700, 400))
    road = (np.full(3, 128) + SEMANTIC_KITTI.colours[9]) // 2
    assert (np.abs(image.astype(int) - road).max(axis=2) <= 2).sum() > 3000
    assert shows(image, (128, 128, 128)) > 3000  # the sky
    things = paint(seen, "camera", "instances", size=(700, 400))
    assert (np.abs(things.astype(int) - road).max(axis=2) <= 2).sum() == 0


def test_what_the_colours_over_an_image_say_is_not_drowned_by_its_light(street: ScenePrediction, seen: Moment):
    def darkest_and_brightest(unsure: float, light: int) -> tuple[float, float]:
        image = replace(seen.image, rgb=np.full((120, 320, 3), light, np.uint8))
        scene = replace(street, voxel_uncertainty=np.full(KITTI_GRID.shape, unsure, np.float32))
        tinted = InCamera(image, KITTI_GRID, 320, 120).scene(*voxel_colours("uncertainty", scene), 0.45)
        values = tinted[90:, 130:190].mean(axis=2)  # the road
        return float(values.min()), float(values.max())

    sure_in_the_sun, unsure_in_the_shadow = darkest_and_brightest(0.0, 255), darkest_and_brightest(1.0, 0)
    assert sure_in_the_sun[1] < unsure_in_the_shadow[0]


def test_unknown_ground_is_hatched_and_named_and_known_ground_is_not(street: ScenePrediction, texts: list[str]):
    semantics = street.semantics.copy()
    semantics[100:, 180:] = 255
    partly = replace(street, semantics=semantics)
    for view in ("third-person", "birds-eye"):
        for stripe in UNKNOWN_COLOURS:
            assert shows(paint(Moment("", partly), view, "semantics"), stripe) > 100
        texts.clear()
        assert shows(paint(Moment("", street), view, "semantics"), UNKNOWN_COLOURS[0]) == 0
        assert "unknown" not in texts
    paint(Moment("", partly), "birds-eye", "semantics")
    assert "unknown" in texts


def test_distances_are_written_over_the_voxels_not_under_them(texts: list[str]):
    camera = chase_camera(480, 280)
    before = np.full((280, 480, 3), (255, 0, 255), np.uint8)
    after = draw_marks(before, KITTI_GRID, camera)
    assert [text for text in texts if text.endswith(" m")] == ["10 m", "20 m", "30 m", "40 m", "50 m"]
    assert shows(after[:, 240:], (250, 250, 252)) > 100  # their halo


def test_the_legend_of_a_film_keeps_what_it_has_shown(
    street: ScenePrediction, make_scene: Callable[..., ScenePrediction], texts: list[str]
):
    road = make_scene([(np.s_[:, 90:166, 1], (9, 1, 0.1))])
    painter = MomentPainter("birds-eye", ("semantics",), SIZE, one_legend=True)
    painter(Moment("", street))
    texts.clear()
    painter(Moment("", road))
    assert [text for text in texts if text in SEMANTIC_KITTI.class_names] == ["car", "road", "building"]
    texts.clear()
    paint(Moment("", road), "birds-eye", "semantics")
    assert [text for text in texts if text in SEMANTIC_KITTI.class_names] == ["road"]


def test_a_legend_uses_the_room_that_pictures_leave(make_scene: Callable[..., ScenePrediction], texts: list[str]):
    classes = [(np.s_[10 * c : 10 * c + 5, 100 : 100 + c, 1], (c, 0, 0.1)) for c in range(1, 20)]
    things = [(np.s_[8 * i : 8 * i + 4, 130 + i : 134 + i, 1], (1, 100 + i, 0.1)) for i in range(25)]
    paint(Moment("", make_scene(classes + things)), "birds-eye", size=(1280, 720))
    assert {f"{5 * c}" for c in range(2, 20)} <= set(texts)  # voxels of every class but the car
    assert texts.count("car") == 1 + 25
    assert not [text for text in texts if "more" in text]


def test_what_there_is_is_shown_where_nothing_is_asked_for(street: ScenePrediction, texts: list[str]):
    paint(Moment("scan", points=POINTS), "birds-eye")
    assert {"Input cloud", "2 points"} <= set(texts)
    texts.clear()
    paint(Moment("truth", street, is_truth=True), "birds-eye")
    assert {"True semantics", "True instances"} <= set(texts)
    assert not {"Input cloud", "Uncertainty"} & set(texts)


def test_untrained_weights_are_told_in_every_picture(street: ScenePrediction):
    loud = replace(street, notes=("the weights are untrained",))
    assert shows(paint(Moment("", loud), "birds-eye", "semantics"), WARNING) > 1000
    assert shows(paint(Moment("", street), "birds-eye", "semantics"), WARNING) == 0


@pytest.mark.parametrize(
    ("moment", "what", "message"),
    [
        ({"points": POINTS}, "semantics", "x to have the semantics, got input; `pasco infer` makes a scene of a scan"),
        ({"scene": True}, "input", "x to have the input, got semantics, instances, uncertainty"),
        ({"scene": True, "is_truth": True}, "uncertainty", "got semantics, instances; the truth is certain"),
    ],
)
def test_what_a_moment_does_not_have_is_refused(street: ScenePrediction, moment: dict, what: str, message: str):
    moment = {**moment, "scene": street} if "scene" in moment else moment
    with pytest.raises(DataError, match=message):
        paint(Moment("x", **moment), "birds-eye", what)


def test_options_that_do_not_exist_are_refused(street: ScenePrediction):
    with pytest.raises(ConfigError, match="one of third-person, birds-eye, camera, got 'top'"):
        MomentPainter("top")
    with pytest.raises(ConfigError, match="some of input, semantics, instances, uncertainty, got 'depth'"):
        MomentPainter("birds-eye", ("depth",))
    with pytest.raises(ConfigError, match="160 to 8192 pixels, got 100x9000"):
        MomentPainter(size=(100, 9000))
    with pytest.raises(ConfigError, match="large enough for 4 panels, got 165x161"):
        paint(Moment("x", street, POINTS), "birds-eye", size=(165, 161))
    with pytest.raises(DataError, match="camera's image and calibration, got none"):
        paint(Moment("x", points=POINTS), "camera")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (1920, 480), (500, 500)])
@pytest.mark.parametrize("aspect", [1.1, 1.5, 3.3])
def test_every_panel_lies_on_the_page(count: int, size: tuple[int, int], aspect: float):
    layout = fit_layout(count, size, aspect, True, header=40)
    assert layout.columns * layout.rows >= count
    assert layout.margin + layout.columns * layout.tile[0] <= size[0]
    assert layout.rows * layout.tile[1] <= size[1] - 40


def test_a_page_that_is_too_small_for_its_panels_is_refused():
    with pytest.raises(ConfigError, match="large enough for 4 panels, got 300x200"):
        fit_layout(4, (300, 200), 1.5, True)
    with pytest.raises(ConfigError, match="large enough for a panel, got 300x200"):
        fit_layout(1, (300, 200), 1.5, True, header=100)


def test_a_legend_shrinks_then_drops_its_numbers_then_counts_what_is_left():
    entries = [(f"class number {i}", "12,345", (i, i, i)) for i in range(40)]
    assert fitting_swatches(entries[:3], 900, 100, 16) == (entries[:3], 16)
    bare, _ = fitting_swatches(entries[:20], 480, 90, 16)
    assert [remark for _, remark, _ in bare] == [""] * 20
    few, _ = fitting_swatches(entries, 300, 40, 16)
    assert len(few) < 40
    assert few[-1][0] == f"and {40 - len(few) + 1} more"


@pytest.mark.parametrize("width", range(60, 700, 40))
@pytest.mark.parametrize("height", [14, 30, 45, 60, 90])
def test_a_legend_counts_only_what_it_leaves_out(width, height):
    entries = [(f"class {'m' * (i % 9)}", "12,345", (i, i, i)) for i in range(18)]
    shown, _ = fitting_swatches(entries, width, height, 17)
    if len(shown) < 18:
        assert shown[-1][0] == f"and {18 - (len(shown) - 1)} more"
    else:
        assert [name for name, _, _ in shown] == [name for name, _, _ in entries]
