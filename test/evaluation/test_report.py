"""The report: one page that needs nothing else, with every table, diagram and picture in it."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from small_world import GRID, ShiftedSource, SmallWorld, plan

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.evaluation.comparison_picture import (
    ERROR_COLOURS,
    HEIGHT,
    INVENTED,
    MISSED,
    RIGHT,
    WIDTH,
    WRONG_CLASS,
    compare_pictures,
    error_map,
)
from pasco_core.evaluation.report import make_report
from pasco_core.evaluation.report_charts import class_bars, confusion_map, reliability_diagram
from pasco_core.evaluation.report_page import html_table
from pasco_core.evaluation.table import Number, Table
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.evaluation.worst_frames import worst_pictures

_VOID = {"meta", "img", "br", "link"}


class Checker(HTMLParser):
    """Collects tags, links and text, and insists that every tag is closed in order."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def found(run_plan):
    return run_plan(plan(ShiftedSource(1, uncertain=True)))


@pytest.fixture
def report(found) -> str:
    return make_report(found, list(worst_pictures(found.summary, plan(ShiftedSource(1, uncertain=True)), 2)))


def test_the_report_is_whole_html_that_loads_nothing(report):
    page = Checker(report)
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "data", "action", "xlink:href"):
                assert value.startswith(("#", "data:image/png;base64,"))
    text = re.sub(r'base64,[^"]*', "", report)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|file:", text)


def test_the_report_has_its_sections_and_links_to_them(report):
    page = Checker(report)
    places = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert links == places
    assert {"overall", "classes", "uncertainty", "confusion", "costs", "worst", "settings"} <= places


def test_the_report_shows_every_table_and_labels_what_is_published(report, found):
    text = " ".join(Checker(report).words)
    for table in found.tables():
        assert table.title in text
    assert "PaSCo, n = 3 (published)" in text and "not measured here" in text
    assert report.count('<tr class="published">') == 4 and report.count('<tr class="lead">') == 3


def test_every_diagram_is_well_formed(report):
    drawings = re.findall(r"<svg.*?</svg>", report, flags=re.S)
    assert len(drawings) == 6  # bars, four reliability diagrams, confusion
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_the_pictures_are_those_of_the_worst_frames(report, found):
    pictures = re.findall(r'alt="([^"]*)" src="data:image/png;base64,([^"]*)"', report)
    assert [caption.split(":")[0] for caption, _ in pictures] == [str(frame) for frame in found.summary.worst(2)]
    for _, data in pictures:
        assert Image.open(io.BytesIO(base64.b64decode(data))).size[0] > 1000


def test_names_that_look_like_html_stay_text(run_plan):
    nasty = '<script>alert("x")</script>&'
    text = make_report(run_plan(plan(root=nasty)))
    assert "<script" not in text and nasty in "".join(Checker(text).words)


def test_without_pictures_the_report_says_why(found):
    assert "the disk is gone" in make_report(found, [], "the disk is gone")


def test_classes_that_occur_nowhere_are_mentioned(report):
    assert "17 of 19 classes occur neither in the truth nor in the prediction" in " ".join(Checker(report).words)


def test_a_table_reads_the_same_on_a_terminal_and_in_html():
    rows = (("a & b", Number(0.5, 3), 12345), ("c", Number(float("nan")), None))
    table = Table("T", ("method", "x", "n"), rows, "note", 0)
    assert table.as_text() == "T\n  method      x       n\n  a & b   0.500  12,345\n  c           -       -\n  (note)"
    assert "<td>a &amp; b</td><td class=\"n\">0.500</td><td class=\"n\">12,345</td>" in html_table(table)


def test_a_diagram_of_nothing_says_so():
    nothing = {"counts": [0] * 16, "confidences": [float("nan")] * 16, "accuracies": [float("nan")] * 16}
    drawing = reliability_diagram("empty", nothing)
    assert "no predictions" in drawing and "nan" not in drawing
    ElementTree.fromstring(drawing)


def test_the_height_of_a_reliability_bar_is_the_accuracy():
    counts, values = [0] * 16, [float("nan")] * 16
    counts[7], values[7] = 10, 0.25
    confidences = list(values)
    confidences[7] = 0.5
    drawing = reliability_diagram("one", {"counts": counts, "confidences": confidences, "accuracies": values})
    bar = ElementTree.fromstring(drawing).find("g/rect")
    assert float(bar.get("height")) == pytest.approx(0.25 * 240)
    assert float(bar.get("y")) == pytest.approx(44 + 0.75 * 240)


def test_bars_of_undefined_classes_are_dashes():
    drawing = class_bars(["car", "pole"], np.zeros((2, 3), np.uint8), [("IoU", [50.0, None])])
    assert "IoU 50.0" in drawing and "IoU -" in drawing
    ElementTree.fromstring(drawing)


def test_confusion_rows_sum_to_100_and_absent_classes_stay_blank():
    drawing = confusion_map(["empty", "car"], np.array([[3, 1], [0, 0]]))
    assert "truth empty, predicted car: 25.00 % (1 voxels)" in drawing
    assert "truth car, predicted car: 0.00 % (0 voxels)" in drawing
    ElementTree.fromstring(drawing)


def test_the_error_map_tells_four_kinds_of_voxels_apart():
    truth = np.array([[[9, 9, 0, 9, 0, 255]]], np.uint8)
    said = np.array([[[9, 1, 1, 0, 0, 1]]], np.uint8)
    assert error_map(said, truth).tolist() == [[[RIGHT, WRONG_CLASS, INVENTED, MISSED, 0, 0]]]
    assert len(ERROR_COLOURS) == 5


def test_a_comparison_of_a_scene_with_itself_shows_no_error():
    truth = SmallWorld.car_at(2)
    picture = compare_pictures(scene_from_truth(truth, SEMANTIC_KITTI, GRID), truth)
    above = picture[26 : 26 + HEIGHT]
    left, middle, right = (above[:, x : x + WIDTH] for x in (0, WIDTH + 10, 2 * (WIDTH + 10)))
    assert np.array_equal(left, middle) and len(np.unique(left.reshape(-1, 3), axis=0)) > 20
    errors = right.reshape(-1, 3).astype(int)
    red = (errors[:, 0] > 1.5 * errors[:, 1]) & (errors[:, 0] > 1.5 * errors[:, 2])
    assert not red.any()
