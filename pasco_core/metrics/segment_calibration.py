"""Are segments as often right as they are sure, and masks as often on their object."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from pasco_core.data.frame import VoxelTruth
from pasco_core.errors import DataError
from pasco_core.metrics.calibration import ROUNDING, CalibrationScores
from pasco_core.metrics.checks import checked_class_names, checked_grid, checked_thing_ids, require_unit_interval
from pasco_core.metrics.completion import share
from pasco_core.metrics.overlaps import SegmentOverlaps, segment_overlaps
from pasco_core.metrics.reliability import N_BINS, BinSums, add_bins, bin_counts, read_bins
from pasco_core.metrics.tally import Metric, Tally
from pasco_core.prediction import Segment

_SEGMENT_EPSILON = 1e-8


class InstanceCalibration(Metric):
    """Expected calibration error, negative log likelihood and number of the predicted segments, things and stuff.

    A segment's partner is the true segment, of whatever class, with an IoU above 1/2. The segment is right if its
    partner is of its class; it adds -log(p + 1e-8) for the probability p of the partner's class, or of "no object"
    without one. Segments that lie in unknown voxels only are left out.

    Args:
        class_names: name of class 0 (empty), 1, ...
        thing_ids: countable classes.

    >>> semantics = np.array([[[1, 1, 1, 1, 2, 2]]], np.uint8)
    >>> truth = VoxelTruth(semantics, (semantics == 1).astype(np.uint16))
    >>> car = Segment(1, 1, True, 0.75, np.array([0, 0.75, 0, 0.25], np.float32))
    >>> road = Segment(2, 2, False, 0.5, np.array([0, 0, 0.5, 0.5], np.float32))
    >>> metric = InstanceCalibration(("empty", "car", "road"), {1})
    >>> metric.update(np.array([[[1, 1, 1, 2, 0, 0]]], np.int32), [car, road], truth)
    >>> scores = metric.compute()
    >>> scores.count, scores.ece, round(scores.nll, 3)
    (2, 0.375, 0.49)
    """

    def __init__(self, class_names: Sequence[str], thing_ids: Collection[int]):
        self.class_names = checked_class_names(class_names)
        self.thing_ids = checked_thing_ids(thing_ids, self.class_names)
        self.tally = Tally(
            {"class_names": list(self.class_names), "thing_ids": sorted(self.thing_ids)},
            bin_counts("segment"),
            {"nll": 1, "segment_confidence": N_BINS + 1},
        )

    def update(self, panoptic: np.ndarray, segments: Sequence[Segment], truth: VoxelTruth) -> None:
        """Counts one frame; arguments as of ``PanopticQuality.update``.

        Raises:
            DataError: as there, or a segment's probabilities are not one per class and "no object" from 0 to 1.
        """
        self.update_overlaps(segment_overlaps(panoptic, segments, truth, len(self.class_names), self.thing_ids))

    def update_overlaps(self, overlaps: SegmentOverlaps) -> None:
        """Counts one frame whose overlaps are known already."""
        probabilities = self._probabilities(overlaps.segments)
        confidence, correct = judged_segments(overlaps)
        partners = overlaps.partners
        classes = np.append(len(self.class_names), overlaps.true_categories)[partners]
        of_partner = np.clip(probabilities[np.arange(len(classes)), classes], 0.0, 1.0)
        surprise = -np.log(np.minimum(of_partner + _SEGMENT_EPSILON, 1.0)) + 0.0
        add_bins(self.tally, "segment", BinSums.of(confidence, correct))
        self.tally.sums["nll"].add([0] * len(surprise), surprise.tolist())

    def compute(self) -> CalibrationScores:
        """Scores of all frames so far."""
        sums = read_bins(self.tally, "segment")
        count = int(sums.counts.sum())
        nll = float(self.tally.sums["nll"].values()[0])
        return CalibrationScores(sums.error(), share(nll, count), count, sums.bins())

    def _probabilities(self, segments: Sequence[Segment]) -> np.ndarray:
        """(P, classes + 1) float64."""
        shape = (len(self.class_names) + 1,)
        for segment in segments:
            probabilities = np.asarray(segment.class_probabilities)
            if probabilities.shape != shape:
                raise DataError(
                    f"Expected class_probabilities of segment {segment.id} to have the shape {shape}, "
                    f"got {probabilities.shape}"
                )
            require_unit_interval(f"class_probabilities of segment {segment.id}", probabilities, ROUNDING)
        return np.array([segment.class_probabilities for segment in segments], np.float64).reshape(-1, *shape)


class MaskCalibration(Metric):
    """Expected calibration error of how sure a voxel is of its segment's mask.

    Counted are the voxels in a true segment whose mask confidence is not 0; such a voxel is right if its predicted
    segment has a partner (IoU above 1/2, of whatever class) and lies in it there.

    Args:
        class_names: name of class 0 (empty), 1, ...
        thing_ids: countable classes.

    >>> semantics = np.array([[[1, 1, 1, 2, 2, 0]]], np.uint8)
    >>> truth = VoxelTruth(semantics, (semantics == 1).astype(np.uint16))
    >>> car = Segment(1, 1, True, 0.75, np.array([0, 0.75, 0, 0.25], np.float32))
    >>> metric = MaskCalibration(("empty", "car", "road"), {1})
    >>> confidence = np.array([[[0.5, 0.5, 0, 0.5, 0, 0.5]]], np.float32)
    >>> metric.update(confidence, np.array([[[1, 1, 0, 1, 0, 1]]], np.int32), [car], truth)
    >>> metric.compute().count, metric.compute().ece
    (3, 0.5)
    """

    def __init__(self, class_names: Sequence[str], thing_ids: Collection[int]):
        self.class_names = checked_class_names(class_names)
        self.thing_ids = checked_thing_ids(thing_ids, self.class_names)
        self.tally = Tally(
            {"class_names": list(self.class_names), "thing_ids": sorted(self.thing_ids)},
            {"frames": (1,)} | bin_counts("mask"),
            {"ece": 1, "mask_confidence": N_BINS + 1},
        )

    def update(
        self, mask_confidence: np.ndarray, panoptic: np.ndarray, segments: Sequence[Segment], truth: VoxelTruth
    ) -> None:
        """Counts one frame; further arguments as of ``PanopticQuality.update``.

        Args:
            mask_confidence: (X, Y, Z) float32 in [0, 1], share of its voxel's mask probability that a segment holds.

        Raises:
            DataError: as there, or a confidence is not from 0 to 1.
        """
        overlaps = segment_overlaps(panoptic, segments, truth, len(self.class_names), self.thing_ids)
        self.update_overlaps(checked_grid("mask_confidence", mask_confidence, np.floating, panoptic.shape), overlaps)

    def update_overlaps(self, mask_confidence: np.ndarray, overlaps: SegmentOverlaps) -> None:
        """Counts one frame whose overlaps are known already."""
        confidence = mask_confidence.ravel()[overlaps.voxels]
        require_unit_interval("mask_confidence", confidence, ROUNDING)
        counted = (confidence > 0) & (overlaps.columns > 0)
        partner_of_row = np.append(-1, np.where(overlaps.partners > 0, overlaps.partners, -1))
        correct = partner_of_row[overlaps.rows[counted]] == overlaps.columns[counted]
        sums = BinSums.of(np.minimum(confidence[counted].astype(np.float64), 1.0), correct)
        if sums.counts.any():
            self.tally.counts["frames"] += 1
            self.tally.sums["ece"].add([0], [sums.error()])
            add_bins(self.tally, "mask", sums)

    def compute(self) -> CalibrationScores:
        """Scores of all frames so far; their negative log likelihood is nan."""
        sums = read_bins(self.tally, "mask")
        frames = int(self.tally.counts["frames"][0])
        ece = share(float(self.tally.sums["ece"].values()[0]), frames)
        return CalibrationScores(ece, float("nan"), int(sums.counts.sum()), sums.bins())


def judged_segments(overlaps: SegmentOverlaps) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (P,) float64 of the predicted segments, and whether (P,) each has a partner of its own class.

    Raises:
        DataError: a confidence is not from 0 to 1.
    """
    confidence = np.array([segment.confidence for segment in overlaps.segments], np.float64)
    require_unit_interval("the confidence of segments", confidence, ROUNDING)
    correct = np.append(-1, overlaps.true_categories)[overlaps.partners] == overlaps.categories
    return np.clip(confidence, 0.0, 1.0), correct
