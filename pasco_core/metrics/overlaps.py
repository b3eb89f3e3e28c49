"""How predicted segments of a frame overlap the true ones, counted once for all metrics that match segments."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.errors import DataError
from pasco_core.metrics.checks import checked_grid, require_classes
from pasco_core.prediction import Segment


@dataclass(frozen=True)
class SegmentOverlaps:
    """Predicted and true segments on the voxels whose truth is known; segments without such a voxel are left out.

    The true segments are the stuff classes by ascending class, then the thing instances by ascending number, each of
    the class of its first voxel.

    Args:
        segments: the P predicted segments, by ascending id.
        categories: (P,) int64 classes of the predicted segments.
        true_categories: (T,) int64 classes of the true segments.
        areas: (P,) int64 voxels.
        true_areas: (T,) int64 voxels.
        intersections: (P, T) int64 voxels.
        voxels: (K,) int64 flat indices of the known voxels that are not empty in both, ascending.
        rows: (K,) int64 predicted segment of each of them: 0 = none, else 1 + its place in ``segments``.
        columns: (K,) int64 true segment of each of them, likewise.
    """

    segments: tuple[Segment, ...]
    categories: np.ndarray
    true_categories: np.ndarray
    areas: np.ndarray
    true_areas: np.ndarray
    intersections: np.ndarray
    voxels: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @property
    def unions(self) -> np.ndarray:
        """(P, T) int64 voxels in either segment."""
        return self.areas[:, None] + self.true_areas - self.intersections

    @property
    def ious(self) -> np.ndarray:
        """(P, T) float64 intersection over union."""
        return self.intersections / self.unions

    @property
    def matches(self) -> np.ndarray:
        """(P, T) bool, IoU above 1/2; no segment can have two such partners."""
        return 2 * self.intersections > self.unions

    @cached_property
    def partners(self) -> np.ndarray:
        """(P,) int64 the true segment that each predicted one matches, whatever its class: 0 = none, else 1 + place."""
        matches = self.matches
        return np.where(matches.any(1), matches.argmax(1) + 1, 0) if matches.size else np.zeros(len(matches), np.int64)

    def with_merged_stuff(self, thing_ids: Collection[int]) -> SegmentOverlaps:
        """Predicted segments of one stuff class taken together: stuff has no instances."""
        first_of: dict[int, int] = {}
        into = [
            place if category in thing_ids else first_of.setdefault(category, place)
            for place, category in enumerate(self.categories.tolist())
        ]
        kept = np.unique(np.array(into, np.int64))
        if len(kept) == len(into):
            return self
        intersections, areas = np.zeros_like(self.intersections), np.zeros_like(self.areas)
        np.add.at(intersections, into, self.intersections)
        np.add.at(areas, into, self.areas)
        return replace(
            self,
            segments=tuple(self.segments[place] for place in kept),
            categories=self.categories[kept],
            areas=areas[kept],
            intersections=intersections[kept],
            rows=np.append(0, np.searchsorted(kept, into) + 1)[self.rows],
        )


def segment_overlaps(
    panoptic: np.ndarray, segments: Sequence[Segment], truth: VoxelTruth, n_classes: int, thing_ids: Collection[int]
) -> SegmentOverlaps:
    """Counts the overlaps of one frame.

    Voxels of a thing class that belong to no instance are part of no true segment.

    Args:
        panoptic: (X, Y, Z) int32 predicted segment ids, 0 = none.
        segments: what the ids mean.
        truth: the frame's classes and instances.
        n_classes: number of classes with "empty".
        thing_ids: countable classes.

    Raises:
        DataError: shapes, dtypes, ids, classes or instances do not fit; see the message.
    """
    semantics = checked_grid("the truth", truth.semantics, np.uint8)
    instances = checked_grid("the true instances", truth.instances, np.integer, semantics.shape)
    panoptic = checked_grid("the panoptic ids", panoptic, np.integer, semantics.shape)
    segments = _checked_segments(segments, n_classes, thing_ids)

    flat = semantics.ravel()
    voxels = np.flatnonzero((flat != 0) | (panoptic.ravel() != 0) | (instances.ravel() != 0))
    classes, ids, numbers = flat[voxels], panoptic.ravel()[voxels], instances.ravel()[voxels]
    require_classes("the truth", classes, n_classes, unknown=True)
    rows = _rows(ids, segments)
    known = classes != UNKNOWN
    rows = rows[known]
    columns, true_categories = _true_segments(classes[known], numbers[known], thing_ids)
    width = len(true_categories) + 1
    table = np.bincount(rows * width + columns, minlength=(len(segments) + 1) * width).reshape(-1, width)

    kept = np.flatnonzero(table[1:].any(1))
    place = np.zeros(len(segments) + 1, np.int64)
    place[kept + 1] = np.arange(1, len(kept) + 1)
    return SegmentOverlaps(
        segments=tuple(segments[row] for row in kept),
        categories=np.array([segments[row].category for row in kept], np.int64),
        true_categories=true_categories,
        areas=table[kept + 1].sum(1),
        true_areas=table[:, 1:].sum(0),
        intersections=table[kept + 1, 1:],
        voxels=voxels[known],
        rows=place[rows],
        columns=columns,
    )


def _checked_segments(segments: Sequence[Segment], n_classes: int, thing_ids: Collection[int]) -> list[Segment]:
    for segment in segments:
        if not 1 <= segment.category < n_classes:
            raise DataError(
                f"Expected the category of segment {segment.id} to be a class from 1 to {n_classes - 1}, "
                f"got {segment.category}"
            )
        if segment.is_thing != (segment.category in thing_ids):
            raise DataError(
                f"Expected is_thing of segment {segment.id}, of class {segment.category}, to be "
                f"{segment.category in thing_ids}, got {segment.is_thing}"
            )
        if segment.id < 1:
            raise DataError(f"Expected the ids of segments to be positive, got {segment.id}")
    ordered = sorted(segments, key=lambda segment: segment.id)
    for before, after in pairwise(ordered):
        if before.id == after.id:
            raise DataError(f"Expected the ids of segments to be different, got {after.id} twice")
    return ordered


def _rows(ids: np.ndarray, segments: Sequence[Segment]) -> np.ndarray:
    """(N,) int64: 0 without a segment, else 1 + its place in ``segments``, which are by ascending id."""
    known_ids = np.array([0, *(segment.id for segment in segments)], np.int64)
    rows = np.searchsorted(known_ids, ids)
    strange = known_ids[np.minimum(rows, len(segments))] != ids
    if strange.any():
        raise DataError(
            f"Expected every id of the panoptic grid to be 0 or a segment's, got {int(ids[strange][0])}, "
            f"which is none of the {len(segments)} segments'"
        )
    return rows


def _true_segments(
    classes: np.ndarray, numbers: np.ndarray, thing_ids: Collection[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Column of every known voxel, 0 = no true segment, and the class of column 1, 2, ..."""
    is_thing = np.zeros(256, bool)
    is_thing[list(thing_ids)] = True
    of_instance = numbers != 0
    if not is_thing[classes[of_instance]].all():
        bad = of_instance & ~is_thing[classes]
        raise DataError(
            "Expected the voxels of an instance to be of a thing class or unknown, "
            f"got class {classes[bad][0]} in instance {numbers[bad][0]}"
        )
    is_stuff = ~is_thing
    is_stuff[0] = False
    stuff = np.flatnonzero(is_stuff & (np.bincount(classes, minlength=256) > 0))
    column_of_class = np.zeros(256, np.int64)
    column_of_class[stuff] = np.arange(1, len(stuff) + 1)
    columns = column_of_class[classes]

    _, first, column = np.unique(numbers[of_instance], return_index=True, return_inverse=True)
    columns[of_instance] = column + len(stuff) + 1
    return columns, np.concatenate([stuff, classes[of_instance][first]]).astype(np.int64)
