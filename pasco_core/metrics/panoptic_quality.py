"""Panoptic quality: are things and regions found, and how well do their voxels fit."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import VoxelTruth
from pasco_core.metrics.checks import checked_class_names, checked_protocol, checked_thing_ids
from pasco_core.metrics.completion import mean_of_defined, share
from pasco_core.metrics.overlaps import SegmentOverlaps, segment_overlaps
from pasco_core.metrics.tally import Metric, Tally
from pasco_core.prediction import Segment


@dataclass(frozen=True)
class ClassQuality:
    """One class; shares from 0 to 1, nan for a class that is in neither truth nor prediction.

    Args:
        pq, sq, rq: panoptic, segmentation and recognition quality.
        pq_dagger: PQ for a thing; for stuff the mean IoU, with no threshold (Porzi et al., CVPR 2019).
        true_positives, false_positives, false_negatives: segments; a match is an IoU above 1/2.
        iou_sum: sum of the matches' IoU.
        overlap_iou_sum, overlaps: of stuff, sum of IoU and number of the pairs that overlap at all.
    """

    pq: float
    sq: float
    rq: float
    pq_dagger: float
    true_positives: int
    false_positives: int
    false_negatives: int
    iou_sum: float
    overlap_iou_sum: float
    overlaps: int


@dataclass(frozen=True)
class MeanQuality:
    """Means over the ``n_classes`` classes of a group that are in truth or prediction; nan where there is none."""

    pq: float
    sq: float
    rq: float
    pq_dagger: float
    n_classes: int


@dataclass(frozen=True)
class PanopticScores:
    """Means over all, thing and stuff classes, and every class by name (without the empty one)."""

    all: MeanQuality
    things: MeanQuality
    stuff: MeanQuality
    per_class: dict[str, ClassQuality]


class PanopticQuality(Metric):
    """PQ, SQ, RQ and PQ† of thing instances and stuff regions, on the voxels whose truth is known.

    A predicted and a true segment of the same class match if their IoU exceeds 1/2 (Kirillov et al., CVPR 2019).
    Class 0, empty, is no segment. Unknown voxels are taken out of both before anything is counted, and predicted
    segments of one stuff class are one region.

    ``protocol="standard"``: the definition, as torchmetrics computes it. SQ is 0 for a class without a match.
    ``protocol="paper"``: as PaSCo's published tables. A stuff region that overlaps a true one of its class however
    little is no false positive, and PQ† of stuff is the mean over overlapping pairs instead of true regions, where a
    class that was never there counts as 0.

    Args:
        class_names: name of class 0 (empty), 1, ...
        thing_ids: countable classes.
        protocol: "standard" or "paper".

    >>> car, road = (Segment(i, i, i == 1, 1.0, np.eye(4, dtype=np.float32)[i]) for i in (1, 2))
    >>> semantics = np.array([[[1, 1, 1, 1, 2, 2, 2, 2]]], np.uint8)
    >>> truth = VoxelTruth(semantics, (semantics == 1).astype(np.uint16))
    >>> metric = PanopticQuality(("empty", "car", "road"), {1})
    >>> metric.update(np.array([[[1, 1, 1, 0, 0, 0, 0, 2]]], np.int32), [car, road], truth)
    >>> scores = metric.compute()
    >>> scores.things.pq, scores.stuff.pq, scores.stuff.pq_dagger, scores.all.pq
    (0.75, 0.0, 0.25, 0.375)
    >>> scores.per_class["road"].false_positives, metric.compute("paper").per_class["road"].false_positives
    (1, 0)
    """

    def __init__(self, class_names: Sequence[str], thing_ids: Collection[int], protocol: str = "standard"):
        self.class_names = checked_class_names(class_names)
        self.thing_ids = checked_thing_ids(thing_ids, self.class_names)
        self.protocol = checked_protocol(protocol)
        n_classes = len(self.class_names)
        # Both protocols can be read off the same counts: "forgiven" are the unmatched stuff regions that overlap.
        counts = ("true_positives", "false_positives", "false_negatives", "overlaps", "forgiven")
        self.tally = Tally(
            {"class_names": list(self.class_names), "thing_ids": sorted(self.thing_ids)},
            {name: (n_classes,) for name in counts},
            {"iou": n_classes, "overlap_iou": n_classes},
        )

    def update(self, panoptic: np.ndarray, segments: Sequence[Segment], truth: VoxelTruth) -> None:
        """Counts one frame.

        Args:
            panoptic: (X, Y, Z) int32 predicted segment ids, 0 = none.
            segments: what the ids mean.
            truth: the frame's classes and instances.

        Raises:
            DataError: shapes, dtypes, ids or classes do not fit; nothing is counted then.
        """
        self.update_overlaps(segment_overlaps(panoptic, segments, truth, len(self.class_names), self.thing_ids))

    def update_overlaps(self, overlaps: SegmentOverlaps) -> None:
        """Counts one frame whose overlaps are known already."""
        overlaps = overlaps.with_merged_stuff(self.thing_ids)
        same_class = overlaps.categories[:, None] == overlaps.true_categories
        matches = same_class & overlaps.matches
        is_stuff = ~np.isin(overlaps.categories, list(self.thing_ids))
        touching = same_class & is_stuff[:, None] & (overlaps.intersections > 0)
        missed = ~matches.any(0)
        extra = ~matches.any(1)

        self._count("true_positives", overlaps.categories[~extra])
        self._count("false_positives", overlaps.categories[extra])
        self._count("false_negatives", overlaps.true_categories[missed])
        self._count("overlaps", overlaps.categories[touching.any(1)])
        self._count("forgiven", overlaps.categories[extra & touching.any(1)])
        ious = overlaps.ious
        for name, pairs in (("iou", matches), ("overlap_iou", touching)):
            rows, columns = np.nonzero(pairs)
            self.tally.sums[name].add(overlaps.categories[rows].tolist(), ious[rows, columns].tolist())

    def compute(self, protocol: str | None = None) -> PanopticScores:
        """Scores of all frames so far, by the metric's protocol or another one."""
        paper = checked_protocol(self.protocol if protocol is None else protocol) == "paper"
        counts = {name: array.tolist() for name, array in self.tally.counts.items()}
        sums = {name: sums.values().tolist() for name, sums in self.tally.sums.items()}
        classes = {c: self._class_quality(c, counts, sums, paper) for c in range(1, len(self.class_names))}
        return PanopticScores(
            all=_means(list(classes.values())),
            things=_means([quality for c, quality in classes.items() if c in self.thing_ids]),
            stuff=_means([quality for c, quality in classes.items() if c not in self.thing_ids]),
            per_class={self.class_names[c]: quality for c, quality in classes.items()},
        )

    def _count(self, name: str, categories: np.ndarray) -> None:
        self.tally.counts[name] += np.bincount(categories, minlength=len(self.class_names))

    def _class_quality(
        self, c: int, counts: dict[str, list[int]], sums: dict[str, list[float]], paper: bool
    ) -> ClassQuality:
        tp, fp, fn = (counts[name][c] for name in ("true_positives", "false_positives", "false_negatives"))
        fp -= counts["forgiven"][c] if paper else 0
        iou, overlap_iou, overlaps = sums["iou"][c], sums["overlap_iou"][c], counts["overlaps"][c]
        seen = tp + fp + fn > 0
        pq = share(iou, tp + 0.5 * fp + 0.5 * fn)
        if c in self.thing_ids:
            dagger = pq
        elif paper:
            dagger = overlap_iou / max(overlaps, 1) if seen else math.nan
        else:
            dagger = share(overlap_iou, tp + fn)
        sq = iou / max(tp, 1) if seen else math.nan
        return ClassQuality(pq, sq, share(tp, tp + 0.5 * fp + 0.5 * fn), dagger, tp, fp, fn, iou, overlap_iou, overlaps)


def _means(classes: list[ClassQuality]) -> MeanQuality:
    seen = [c for c in classes if not math.isnan(c.pq)]
    pq, sq, rq, dagger = (mean_of_defined([getattr(c, name) for c in seen]) for name in ("pq", "sq", "rq", "pq_dagger"))
    return MeanQuality(pq, sq, rq, dagger, len(seen))
