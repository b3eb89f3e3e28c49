"""Truth and prediction of one frame side by side: classes, instances, where they differ, and how unsure it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction
from pasco_core.viz.camera import Camera, chase_camera
from pasco_core.viz.canvas import FAINT_INK, draw_swatches, draw_text
from pasco_core.viz.palette import instance_colours, scale_colours, stuff_colours
from pasco_core.viz.stage import backdrop, draw_marks
from pasco_core.viz.voxel_picture import BACKGROUND, VoxelView

WIDTH, HEIGHT = 560, 330
_CAPTION, _MARGIN, _LEGEND = 26, 10, 74
_SUPERSAMPLE = 2
RIGHT, WRONG_CLASS, INVENTED, MISSED = 1, 2, 3, 4
ERROR_COLOURS = np.array(
    [(0, 0, 0), (186, 196, 204), (240, 170, 20), (214, 50, 60), (40, 105, 210)], np.uint8
)  # apart for the colour-blind too: grey, amber, red, blue


@dataclass(frozen=True)
class Words:
    """What the two sides of a comparison and their differences are called."""

    truth: str = "truth"
    prediction: str = "prediction"
    errors: str = "errors"
    right: str = "right"
    wrong_class: str = "wrong class"
    invented: str = "invented"
    missed: str = "missed"


def compare_pictures(scene: ScenePrediction, truth: VoxelTruth, words: Words | None = None) -> np.ndarray:
    """Two rows of three views from behind the car, with a legend: (H, W, 3) uint8.

    Above: classes of the truth, of the prediction, and the errors. Below: instances of the truth, of the prediction,
    and the uncertainty of the prediction. The prediction is shown where the truth is known, because only that counts.
    """
    words = words or Words()
    camera = chase_camera(WIDTH, HEIGHT)
    known = truth.semantics != UNKNOWN
    right = scene_from_truth(truth, scene.labels, scene.grid)
    predicted = np.where(known, scene.semantics, 0)
    day = backdrop(scene.grid, camera, _SUPERSAMPLE, BACKGROUND, FAINT_INK)
    truth_view = VoxelView(right.semantics != 0, scene.grid, camera, _SUPERSAMPLE)
    view = VoxelView(predicted != 0, scene.grid, camera, _SUPERSAMPLE)
    errors = error_map(scene.semantics, truth.semantics)
    colours = scene.labels.colours
    pictures = [
        (f"{words.truth}: classes", truth_view.picture(colours[right.semantics.ravel()], day)),
        (f"{words.prediction}: classes", view.picture(colours[predicted.ravel()], day)),
        (words.errors, _error_view(errors, scene.grid, camera, day)),
        (f"{words.truth}: instances", truth_view.picture(_instances(right, right.semantics), day)),
        (f"{words.prediction}: instances", view.picture(_instances(scene, predicted), day)),
        (f"{words.prediction}: uncertainty (yellow: unsure)",
         view.picture(scale_colours(scene.voxel_uncertainty), day, shading=0.45)),
    ]
    panels = [(title, draw_marks(picture, scene.grid, camera)) for title, picture in pictures]
    present = np.union1d(np.unique(predicted), np.unique(right.semantics))
    return np.asarray(_page(panels, [int(c) for c in present if c], scene.labels, words))


def error_map(semantics: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """uint8 per voxel: 0 nothing there or unknown, else ``RIGHT``, ``WRONG_CLASS``, ``INVENTED`` or ``MISSED``."""
    errors = np.zeros(truth.shape, np.uint8)
    there, said = truth != 0, semantics != 0
    errors[there & said] = WRONG_CLASS
    errors[there & (semantics == truth)] = RIGHT
    errors[~there & said] = INVENTED
    errors[there & ~said] = MISSED
    errors[truth == UNKNOWN] = 0
    return errors


def _error_view(errors: np.ndarray, grid: VoxelGrid, camera: Camera, day: np.ndarray) -> np.ndarray:
    view = VoxelView(errors != 0, grid, camera, _SUPERSAMPLE)
    return view.picture(ERROR_COLOURS[errors.ravel()], day)


def _instances(scene: ScenePrediction, semantics: np.ndarray) -> np.ndarray:
    """Colours (X, Y, Z, 3): one per thing, the rest in greys."""
    colours = stuff_colours(scene.labels)[semantics]
    thing = np.isin(scene.panoptic, [segment.id for segment in scene.segments if segment.is_thing])
    colours[thing] = instance_colours(scene.panoptic[thing])
    return colours


def _page(panels: list[tuple[str, np.ndarray]], classes: list[int], labels: LabelSet, words: Words) -> Image.Image:
    columns, rows = 3, 2
    page = Image.new(
        "RGB",
        (columns * WIDTH + (columns - 1) * _MARGIN, rows * (HEIGHT + _CAPTION + _MARGIN) + _LEGEND),
        (255, 255, 255),
    )
    draw = ImageDraw.Draw(page)
    for i, (caption, picture) in enumerate(panels):
        x, y = i % columns * (WIDTH + _MARGIN), i // columns * (HEIGHT + _CAPTION + _MARGIN)
        draw_text(draw, (x + 2, y + _CAPTION - 8), caption, 17)
        page.paste(Image.fromarray(picture), (x, y + _CAPTION))
    entries = [(labels.class_names[c], "", tuple(int(v) for v in labels.colours[c])) for c in classes]
    corner = rows * (HEIGHT + _CAPTION + _MARGIN)
    draw_swatches(draw, entries, (4, corner), 2 * WIDTH, size=14)
    names = {RIGHT: words.right, WRONG_CLASS: words.wrong_class, INVENTED: words.invented, MISSED: words.missed}
    errors = [(name, "", tuple(int(v) for v in ERROR_COLOURS[kind])) for kind, name in names.items()]
    draw_swatches(draw, errors, (2 * (WIDTH + _MARGIN) + 4, corner), page.width - 4, size=14)
    return page
