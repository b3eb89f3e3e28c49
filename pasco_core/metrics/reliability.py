"""Confidence against accuracy in bins: the expected calibration error and the numbers of a reliability diagram."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pasco_core.metrics.completion import share
from pasco_core.metrics.tally import Tally

N_BINS = 15
"""Equal bins from 0 to 1; a confidence of exactly 1 has one more bin to itself, as in the published numbers."""

# Where a float32 confidence lies is decided in float32, so that the float32 nearest to k / 15 starts bin k.
_EDGES = np.linspace(0.0, 1.0, N_BINS + 1).astype(np.float32)


@dataclass(frozen=True)
class ReliabilityBins:
    """What a reliability diagram shows: bin k holds confidences from ``edges[k]`` on and below ``edges[k + 1]``.

    Args:
        edges: (17,) 0, 1/15, ..., 1, 1; the last bin holds the confidences that are exactly 1.
        counts: (16,) int64.
        confidences: (16,) mean confidence, nan in an empty bin.
        accuracies: (16,) share of correct ones, nan in an empty bin.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidences: np.ndarray
    accuracies: np.ndarray


@dataclass(frozen=True)
class BinSums:
    """Sums per bin (16,) of some confidences: how many, how many of them correct, and the sum of confidence."""

    counts: np.ndarray
    correct: np.ndarray
    confidence: np.ndarray

    @classmethod
    def of(cls, confidence: np.ndarray, correct: np.ndarray) -> BinSums:
        """Sums of confidences (N,) in [0, 1], of which ``correct`` (N,) bool tells which were right.

        >>> sums = BinSums.of(np.array([0.5, 0.9, 1.0]), np.array([False, True, True]))
        >>> round(sums.error(), 3)
        0.2
        """
        bins = np.searchsorted(_EDGES, confidence.astype(np.float32), side="right") - 1
        return cls(
            np.bincount(bins, minlength=N_BINS + 1),
            np.bincount(bins[correct], minlength=N_BINS + 1),
            np.bincount(bins, weights=confidence, minlength=N_BINS + 1),
        )

    def with_certain(self, right: int, wrong: int) -> BinSums:
        """These and ``right + wrong`` more with confidence 1."""
        more = np.zeros(N_BINS + 1, np.int64)
        more[-1] = 1
        total = right + wrong
        return BinSums(self.counts + total * more, self.correct + right * more, self.confidence + float(total) * more)

    def error(self) -> float:
        """Expected calibration error: Σ |accuracy - confidence| weighted with the bins' shares; nan without values."""
        return share(math.fsum(np.abs(self.correct - self.confidence)), int(self.counts.sum()))

    def bins(self) -> ReliabilityBins:
        """Means per bin."""
        some = np.where(self.counts > 0, self.counts, np.nan)
        edges = np.append(np.arange(N_BINS + 1) / N_BINS, 1.0)
        return ReliabilityBins(edges, self.counts.copy(), self.confidence / some, self.correct / some)


def bin_counts(prefix: str) -> dict[str, tuple[int, ...]]:
    """The integer arrays of a tally that ``add_bins`` fills."""
    return {f"{prefix}_counts": (N_BINS + 1,), f"{prefix}_correct": (N_BINS + 1,)}


def add_bins(tally: Tally, prefix: str, sums: BinSums) -> None:
    """Adds one frame's sums to a tally with ``bin_counts(prefix)`` and exact sums ``{prefix}_confidence``."""
    tally.counts[f"{prefix}_counts"] += sums.counts
    tally.counts[f"{prefix}_correct"] += sums.correct
    tally.sums[f"{prefix}_confidence"].add(range(N_BINS + 1), sums.confidence.tolist())


def read_bins(tally: Tally, prefix: str) -> BinSums:
    """The sums of all frames."""
    return BinSums(
        tally.counts[f"{prefix}_counts"],
        tally.counts[f"{prefix}_correct"],
        tally.sums[f"{prefix}_confidence"].values(),
    )
