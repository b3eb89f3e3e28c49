"""What is shown of a moment: the input cloud, semantics, instances or uncertainty, each with its legend."""

from __future__ import annotations

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.errors import DataError
from pasco_core.prediction import ScenePrediction
from pasco_core.viz.canvas import Colour
from pasco_core.viz.moment import Moment
from pasco_core.viz.page import Panel
from pasco_core.viz.palette import instance_colours, scale_colours, stuff_colours
from pasco_core.viz.point_picture import check_points
from pasco_core.viz.stage import UNKNOWN_COLOURS
from pasco_core.viz.views import View

INPUT, SEMANTICS, INSTANCES, UNCERTAINTY = "input", "semantics", "instances", "uncertainty"
SHOWS = (INPUT, SEMANTICS, INSTANCES, UNCERTAINTY)
CLOUD_HEIGHTS = (-2.5, 1.5)  # metres: the ends of the height colours of the input cloud
_FLAT = 0.45


def available(moment: Moment) -> tuple[str, ...]:
    """Which of ``SHOWS`` there is something for."""
    there = {INPUT: moment.points is not None, UNCERTAINTY: moment.scene is not None and not moment.is_truth}
    return tuple(show for show in SHOWS if there.get(show, moment.scene is not None))


def make_panel(show: str, moment: Moment, view: View, classes: frozenset[int] = frozenset()) -> Panel:
    """One panel of a moment.

    Args:
        show: one of ``SHOWS``.
        moment: what is shown.
        view: from where.
        classes: which the legend of the semantics has, too, besides those that are there.

    Raises:
        DataError: the moment does not have it, or its parts do not fit together.
    """
    if show not in available(moment):
        have = ", ".join(available(moment)) or "nothing to show"
        hint = "; the truth is certain" if moment.is_truth and show == UNCERTAINTY else ""
        if moment.scene is None and show != INPUT:
            hint = "; `pasco infer` makes a scene of a scan"
        raise DataError(f"Expected {moment.name} to have the {show}, got {have}{hint}")
    scene = moment.scene
    if scene is None or show == INPUT:
        return _cloud(check_points(np.asarray(moment.points)), view)
    if show == UNCERTAINTY:
        return _uncertainty(scene, view)
    if show == SEMANTICS:
        return _semantics(scene, view, moment.is_truth, classes)
    return _instances(scene, view, moment.is_truth)


def voxel_colours(show: str, scene: ScenePrediction) -> tuple[np.ndarray, np.ndarray]:
    """Which voxels are drawn, bool (X, Y, Z), and all voxels' colours (X, Y, Z, 3) uint8, for a show of the scene."""
    occupied = (scene.semantics != 0) & (scene.semantics != UNKNOWN)
    colours = np.zeros((*scene.grid.shape, 3), np.uint8)
    if show == SEMANTICS:
        colours[occupied] = scene.labels.colours[scene.semantics[occupied]]
    elif show == UNCERTAINTY:
        colours[occupied] = scale_colours(scene.voxel_uncertainty[occupied])
    else:
        occupied, category = _category_of_stuff(occupied, scene)
        colours[occupied] = stuff_colours(scene.labels)[category[occupied]]
        thing = is_thing(scene)
        colours[thing] = instance_colours(scene.panoptic[thing])
    return occupied, colours


def is_thing(scene: ScenePrediction) -> np.ndarray:
    """Bool (X, Y, Z): voxels of a thing's segment."""
    return np.isin(scene.panoptic, [segment.id for segment in scene.segments if segment.is_thing])


def classes_present(scene: ScenePrediction) -> frozenset[int]:
    """Classes with a voxel; 255 where something is unknown."""
    return frozenset(np.flatnonzero(np.bincount(scene.semantics.ravel())).tolist()) - {0}


def check_scene(scene: ScenePrediction) -> None:
    """Everything that is drawn is of the grid's shape and in its range.

    Raises:
        DataError: it is not.
    """
    for name in ("semantics", "panoptic", "voxel_uncertainty"):
        shape = np.shape(getattr(scene, name))
        if shape != tuple(scene.grid.shape):
            raise DataError(f"Expected {name} to be of the grid's shape {tuple(scene.grid.shape)}, got {shape}")
    known = (scene.semantics < scene.labels.n_classes) | (scene.semantics == UNKNOWN)
    if not known.all():
        raise DataError(
            f"Expected semantics to be classes 0 to {scene.labels.n_classes - 1} or 255, "
            f"got {int(scene.semantics[~known].max())}"
        )
    if not np.isfinite(scene.voxel_uncertainty).all():
        raise DataError("Expected voxel_uncertainty to be finite, got values that are not")


def _cloud(points: np.ndarray, view: View) -> Panel:
    low, high = CLOUD_HEIGHTS
    colours = scale_colours((np.nan_to_num(points[:, 2]) - low) / (high - low))
    ticks = tuple((i / 4, f"{low + i / 4 * (high - low):+.1f} m") for i in range(5))
    return Panel(
        view.cloud(points, colours), "Input cloud", f"{len(points):,} points", "" if len(points) else "no points",
        ticks=ticks, scale="height above the sensor",
    )


def _semantics(scene: ScenePrediction, view: View, is_truth: bool, classes: frozenset[int]) -> Panel:
    labels = scene.labels
    occupied, colours = voxel_colours(SEMANTICS, scene)
    counts = np.bincount(scene.semantics[occupied], minlength=labels.n_classes)
    present = [int(c) for c in np.argsort(-counts, kind="stable") if counts[c]]
    if classes:  # in a film the legend keeps its order
        present = sorted({*present, *(c for c in classes if c < labels.n_classes)})
    swatches = [(labels.class_names[c], "" if classes else f"{counts[c]:,}", _rgb(labels.colours[c])) for c in present]
    if UNKNOWN in classes_present(scene) | classes:
        swatches.append(("unknown", "", _rgb(UNKNOWN_COLOURS[1])))
    total = int(counts.sum())
    return Panel(
        view.scene(occupied, colours, 1.0), "True semantics" if is_truth else "Completed semantics",
        f"{total:,} voxels", _nothing(total), tuple(swatches),
    )


def _instances(scene: ScenePrediction, view: View, is_truth: bool) -> Panel:
    occupied, colours = voxel_colours(INSTANCES, scene)
    things = sum(segment.is_thing for segment in scene.segments)
    remark = f"{_number(things, 'thing')}, {_number(len(scene.segments) - things, 'stuff region')} in grey"
    if not scene.segments:
        remark = "no segments"
    message = _nothing(int(occupied.sum()))
    caption = "True instances" if is_truth else "Panoptic instances"
    entries = _thing_entries(scene, with_confidence=not is_truth)
    return Panel(view.scene(occupied, colours, 1.0, is_thing(scene)), caption, remark, message, entries)


def _uncertainty(scene: ScenePrediction, view: View) -> Panel:
    occupied, colours = voxel_colours(UNCERTAINTY, scene)
    values = scene.voxel_uncertainty[occupied]
    remark = f"median {np.median(values):.2f} on occupied voxels" if len(values) else ""
    return Panel(
        view.scene(occupied, colours, _FLAT), "Uncertainty", remark,
        _nothing(len(values)), ticks=tuple((v / 4, f"{v / 4:g}") for v in range(5)),
        scale="1 - max probability (yellow: unsure)",
    )


def _category_of_stuff(occupied: np.ndarray, scene: ScenePrediction) -> tuple[np.ndarray, np.ndarray]:
    """Voxels with a class or a segment, and their class: the segment's where the semantics leave it empty."""
    category = np.where(occupied, scene.semantics, 0)
    bare = ~occupied & (scene.panoptic != 0)
    if bare.any():
        for segment in scene.segments:
            category[bare & (scene.panoptic == segment.id)] = segment.category
    return occupied | bare, category


def _thing_entries(scene: ScenePrediction, with_confidence: bool) -> tuple[tuple[str, str, Colour], ...]:
    """Class, confidence and colour of the things, largest first."""
    things = sorted((s for s in scene.segments if s.is_thing), key=lambda s: (-s.n_voxels, s.id))
    return tuple(
        (
            scene.labels.class_names[s.category], f"{s.confidence:.2f}" if with_confidence else "",
            _rgb(instance_colours(np.array(s.id))),
        )
        for s in things
    )


def _number(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _rgb(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(map(int, colour))


def _nothing(count: int) -> str:
    return "" if count else "nothing predicted"
