"""One picture of a whole prediction: input cloud, completed semantics, instances and uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from pasco_core.errors import DataError
from pasco_core.prediction import ScenePrediction
from pasco_core.viz.moment import Moment
from pasco_core.viz.page import PANEL_WIDTH, Layout, draw_header, draw_page
from pasco_core.viz.panels import SHOWS, check_scene, make_panel
from pasco_core.viz.point_picture import check_points
from pasco_core.viz.views import ThirdPerson

PANEL_HEIGHT = 560
LAYOUT = Layout(2, 2, PANEL_WIDTH, PANEL_HEIGHT)
_SUPERSAMPLE = 2


def save_scene_picture(
    path: str | PathLike[str],
    points: np.ndarray,
    scene: ScenePrediction,
    title: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Writes ``draw_scene(points, scene, title, notes)`` to ``path`` as PNG.

    Raises:
        DataError: the file cannot be written, or an argument is not as ``draw_scene`` expects it.
    """
    save_png(path, draw_scene(points, scene, title, notes))


def save_png(path: str | PathLike[str], picture: np.ndarray) -> None:
    """Writes a picture (H, W, 3) uint8.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        Image.fromarray(picture).save(Path(path), format="PNG")
    except OSError as error:
        raise DataError(f"Expected the picture {path} to be writable, got {error.strerror or error}") from error


def draw_scene(points: np.ndarray, scene: ScenePrediction, title: str = "", notes: Sequence[str] = ()) -> np.ndarray:
    """Four views from behind and above the car: input cloud, semantics, instances, uncertainty, with legends.

    Args:
        points: (N, 3 or more) the input cloud, metres in the LiDAR frame.
        scene: what was predicted from it.
        title: first line of the picture.
        notes: sentences below the title, after ``scene.notes``; one that says that the weights are untrained or random
            is set off as a warning.

    Returns:
        (H, 1980, 3) uint8; H depends on the number of note lines.
    """
    moment = Moment(title, scene, check_points(points))
    check_scene(scene)
    view = ThirdPerson(scene.grid, LAYOUT.width, LAYOUT.height, _SUPERSAMPLE)
    panels = [make_panel(show, moment, view) for show in SHOWS]
    tile_width, tile_height = LAYOUT.tile
    width = LAYOUT.columns * tile_width + LAYOUT.margin
    header = draw_header(title, list(dict.fromkeys([*scene.notes, *notes])), width - 2 * LAYOUT.margin)
    return draw_page(panels, LAYOUT, header, (width, header.height + LAYOUT.rows * tile_height))
