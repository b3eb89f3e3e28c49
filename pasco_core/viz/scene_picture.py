"""One picture of a whole prediction: input cloud, completed semantics, instances and uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pasco_core.data.label_set import LabelSet
from pasco_core.errors import DataError
from pasco_core.prediction import ScenePrediction
from pasco_core.viz.camera import Camera, chase_camera
from pasco_core.viz.canvas import FAINT_INK, INK, Colour, draw_colour_bar, draw_swatches, draw_text, shorten, wrap
from pasco_core.viz.palette import instance_colours, scale_colours, stuff_colours
from pasco_core.viz.point_picture import NIGHT, check_points, render_points
from pasco_core.viz.stage import backdrop, draw_own_car
from pasco_core.viz.voxel_picture import BACKGROUND, VoxelView

PANEL_WIDTH, PANEL_HEIGHT = 960, 560
_CAPTION, _LEGEND, _MARGIN = 34, 106, 20
_MOST_NOTE_LINES = 8
_MOST_THINGS = 23
_PAGE = (255, 255, 255)
_WARNING = (255, 214, 102)
_LOUD = ("untrained", "not trained", "random weights")
_CLOUD_Z = (-2.5, 1.5)  # metres: the ends of the height colours of the input cloud
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
    image = draw_scene(points, scene, title, notes)
    try:
        Image.fromarray(image).save(Path(path), format="PNG")
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
    points = check_points(points)
    _check_scene(scene)
    camera = chase_camera(PANEL_WIDTH, PANEL_HEIGHT)
    panels = _panels(points, scene, camera)
    all_notes = list(dict.fromkeys([*scene.notes, *notes]))
    header = _header(title, all_notes, 2 * PANEL_WIDTH + _MARGIN)
    tile_height = _CAPTION + PANEL_HEIGHT + _LEGEND
    page = Image.new(
        "RGB", (2 * PANEL_WIDTH + 3 * _MARGIN, header.height + 2 * (tile_height + _MARGIN)), _PAGE
    )
    page.paste(header, (_MARGIN, 0))
    for i, panel in enumerate(panels):
        corner = (_MARGIN + i % 2 * (PANEL_WIDTH + _MARGIN), header.height + i // 2 * (tile_height + _MARGIN))
        page.paste(panel, corner)
    return np.asarray(page)


def _panels(points: np.ndarray, scene: ScenePrediction, camera: Camera) -> list[Image.Image]:
    day = backdrop(scene.grid, camera, _SUPERSAMPLE, BACKGROUND, FAINT_INK)
    semantics = np.where(scene.semantics == 255, 0, scene.semantics)
    view = VoxelView(semantics != 0, scene.grid, camera, _SUPERSAMPLE)
    either = (semantics != 0) | (scene.panoptic != 0)
    both = view if np.array_equal(either, semantics != 0) else VoxelView(either, scene.grid, camera, _SUPERSAMPLE)
    return [
        _cloud_panel(points, scene, camera),
        _semantics_panel(view, semantics, scene.labels, camera, day),
        _instances_panel(both, semantics, scene, camera, day),
        _uncertainty_panel(view, semantics != 0, scene, camera, day),
    ]


def _cloud_panel(points: np.ndarray, scene: ScenePrediction, camera: Camera) -> Image.Image:
    low, high = _CLOUD_Z
    colours = scale_colours((np.nan_to_num(points[:, 2]) - low) / (high - low))
    night = backdrop(scene.grid, camera, _SUPERSAMPLE, NIGHT, (150, 160, 172))
    picture = draw_own_car(render_points(points, colours, camera, night, _SUPERSAMPLE), camera)
    panel = _framed(picture, "Input cloud", f"{len(points):,} points", "" if len(points) else "no points")
    y = _CAPTION + PANEL_HEIGHT + 18
    ticks = [(i / 4, f"{low + i / 4 * (high - low):+.1f} m") for i in range(5)]
    draw_colour_bar(panel, (30, y, 430, y + 16), ticks, "height above the sensor")
    return panel


def _semantics_panel(
    view: VoxelView, semantics: np.ndarray, labels: LabelSet, camera: Camera, day: np.ndarray
) -> Image.Image:
    picture = draw_own_car(view.picture(labels.colours[semantics.ravel()], day), camera)
    counts = np.bincount(semantics.ravel(), minlength=labels.n_classes)
    counts[0] = 0
    panel = _framed(picture, "Completed semantics", f"{counts.sum():,} voxels", _nothing(counts.sum()))
    present = [c for c in np.argsort(-counts, kind="stable") if counts[c]]
    entries = [(labels.class_names[c], f"{counts[c]:,}", tuple(map(int, labels.colours[c]))) for c in present]
    draw_swatches(ImageDraw.Draw(panel), entries, (8, _CAPTION + PANEL_HEIGHT + 10), PANEL_WIDTH - 8, size=16)
    return panel


def _instances_panel(
    view: VoxelView, semantics: np.ndarray, scene: ScenePrediction, camera: Camera, day: np.ndarray
) -> Image.Image:
    things = np.array([s.id for s in scene.segments if s.is_thing], np.int64)
    thing = np.isin(scene.panoptic, things)
    grey = stuff_colours(scene.labels)
    colours = grey[_category_of_stuff(semantics, scene)]
    colours[thing] = instance_colours(scene.panoptic[thing])
    picture = draw_own_car(view.picture(colours, day), camera)
    voxels = int(((semantics != 0) | (scene.panoptic != 0)).sum())
    remark = f"{len(things)} things, {len(scene.segments) - len(things)} stuff regions in grey"
    if not scene.segments:
        remark = "no segments"
    panel = _framed(picture, "Panoptic instances", remark, _nothing(voxels))
    draw_swatches(
        ImageDraw.Draw(panel), _thing_entries(scene), (8, _CAPTION + PANEL_HEIGHT + 10), PANEL_WIDTH - 8, size=16
    )
    return panel


def _uncertainty_panel(
    view: VoxelView, occupied: np.ndarray, scene: ScenePrediction, camera: Camera, day: np.ndarray
) -> Image.Image:
    colours = scale_colours(scene.voxel_uncertainty)
    picture = draw_own_car(view.picture(colours, day, shading=0.45), camera)
    values = scene.voxel_uncertainty[occupied]
    remark = f"median {np.median(values):.2f} on occupied voxels" if len(values) else ""
    panel = _framed(picture, "Uncertainty", remark, _nothing(len(values)))
    y = _CAPTION + PANEL_HEIGHT + 18
    draw_colour_bar(
        panel, (30, y, 430, y + 16), [(v / 4, f"{v / 4:g}") for v in range(5)], "1 - max probability (yellow: unsure)"
    )
    return panel


def _category_of_stuff(semantics: np.ndarray, scene: ScenePrediction) -> np.ndarray:
    """Class of every voxel, from its segment where the semantics leave it empty."""
    category = semantics.astype(np.int64)
    for segment in scene.segments:
        category[(scene.panoptic == segment.id) & (semantics == 0)] = segment.category
    return category


def _thing_entries(scene: ScenePrediction) -> list[tuple[str, str, Colour]]:
    """Class, confidence and colour of the things, largest first."""
    things = sorted((s for s in scene.segments if s.is_thing), key=lambda s: (-s.n_voxels, s.id))
    entries = []
    for segment in things[:_MOST_THINGS]:
        colour = tuple(map(int, instance_colours(np.array(segment.id))))
        entries.append((scene.labels.class_names[segment.category], f"{segment.confidence:.2f}", colour))
    return entries


def _check_scene(scene: ScenePrediction) -> None:
    for name in ("semantics", "panoptic", "voxel_uncertainty"):
        shape = np.shape(getattr(scene, name))
        if shape != tuple(scene.grid.shape):
            raise DataError(f"Expected {name} to be of the grid's shape {tuple(scene.grid.shape)}, got {shape}")
    known = (scene.semantics < scene.labels.n_classes) | (scene.semantics == 255)
    if not known.all():
        raise DataError(
            f"Expected semantics to be classes 0 to {scene.labels.n_classes - 1} or 255, "
            f"got {int(scene.semantics[~known].max())}"
        )
    if not np.isfinite(scene.voxel_uncertainty).all():
        raise DataError("Expected voxel_uncertainty to be finite, got values that are not")


def _nothing(count: int) -> str:
    return "" if count else "nothing predicted"


def _framed(picture: np.ndarray, caption: str, remark: str, message: str) -> Image.Image:
    """A panel: caption above the picture, room for the legend below; ``message`` across a picture that is empty."""
    panel = Image.new("RGB", (PANEL_WIDTH, _CAPTION + PANEL_HEIGHT + _LEGEND), _PAGE)
    draw = ImageDraw.Draw(panel)
    draw_text(draw, (2, _CAPTION - 10), caption, 22)
    draw_text(draw, (PANEL_WIDTH - 2, _CAPTION - 10), remark, 18, FAINT_INK, anchor="rs")
    panel.paste(Image.fromarray(picture), (0, _CAPTION))
    if message:
        ink = (235, 238, 242) if picture[0, 0].sum() < 384 else INK
        draw_text(draw, (PANEL_WIDTH / 2, _CAPTION + PANEL_HEIGHT / 2), message, 34, ink, anchor="mm")
    return panel


def _header(title: str, notes: Sequence[str], width: int) -> Image.Image:
    lines = [(line, _is_loud(note)) for note in notes for line in wrap(note, 20, width - 24)]
    lines.sort(key=lambda line: not line[1])
    if len(lines) > _MOST_NOTE_LINES:
        hidden = len(lines) - _MOST_NOTE_LINES + 1
        lines[_MOST_NOTE_LINES - 1 :] = [(f"... and {hidden} more lines", False)]
    header = Image.new("RGB", (width, 24 + (40 if title else 0) + 32 * len(lines)), _PAGE)
    draw = ImageDraw.Draw(header)
    y = 12
    if title:
        draw_text(draw, (0, y + 30), shorten(title, 30, width), 30)
        y += 40
    for line, loud in lines:
        if loud:
            draw.rectangle((0, y + 2, width, y + 30), fill=_WARNING)
        draw_text(draw, (10 if loud else 0, y + 23), line, 20, INK if loud else FAINT_INK)
        y += 32
    return header


def _is_loud(note: str) -> bool:
    return any(word in note.lower() for word in _LOUD)
