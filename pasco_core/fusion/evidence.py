"""What is believed about every voxel of the window: log odds of being occupied, and of each class where something was.

A frame is one measurement: "occupied with probability o" adds logit(o), and "of class c with probability q" adds
log(q / (1 - q)) + log(classes - 1) to class c, as if its errors went to all other classes alike. Both count in part
only (``trust``), are bounded, and fade with time towards "nothing is known".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import LabelSet
from pasco_core.fusion.config import FusionConfig

_SUREST = 0.98  # a network is never surer than this, whatever it says
_FADED = 0.05  # log odds nearer to zero than this say nothing


@dataclass(frozen=True)
class Measured:
    """What a frame says about M voxels, all different and none unknown.

    Args:
        slots: (M,) int64, their flat places in the window.
        semantics: (M,) uint8, class, 0 = empty.
        occupancy: (M,) float32.
        confidence: (M,) float32.
        track: (M,) int32, the track of the thing in the voxel, 0 = none.
    """

    slots: np.ndarray
    semantics: np.ndarray
    occupancy: np.ndarray
    confidence: np.ndarray
    track: np.ndarray

    @property
    def names_class(self) -> np.ndarray:
        """(M,) bool, whether the voxel is not called empty."""
        return self.semantics > 0


@dataclass(frozen=True)
class Belief:
    """What is believed about N voxels.

    Args:
        semantics: (N,) uint8, 0 = empty, 255 = unknown.
        occupancy: (N,) float32, probability of not being empty; 0.5 where nothing is known.
        confidence: (N,) float32, probability of the class in ``semantics``; 0 where nothing is known.
        track: (N,) int32, 0 = none.
    """

    semantics: np.ndarray
    occupancy: np.ndarray
    confidence: np.ndarray
    track: np.ndarray


class Evidence:
    """The memory of a window.

    Args:
        labels: the classes.
        config: how much is believed and how long.
    """

    def __init__(self, labels: LabelSet, config: FusionConfig):
        n = int(np.prod(config.shape))
        self._config, self._n_classes = config, labels.n_classes
        self._is_thing = np.isin(np.arange(256), list(labels.thing_ids))
        self._log_odds = np.zeros(n, np.float32)
        self._seen_at = np.zeros(n, np.float32)
        self._label = np.zeros(n, np.uint8)  # the most probable class of what was ever occupied
        self._track = np.zeros(n, np.int32)
        self._row = np.full(n, -1, np.int32)
        self._rows = np.zeros((1024, labels.n_classes), np.float32)  # log odds of the classes; column 0 stays 0
        self._free = np.arange(1023, -1, -1, dtype=np.int32)  # a stack

    def clear(self, index: tuple[slice | np.ndarray, ...]) -> None:
        """Forget voxels, given by an index into an array of the window's shape."""
        places = np.arange(len(self._row)).reshape(self._config.shape)[index].reshape(-1)
        self._forget(places)

    def tracks_at(self, slots: np.ndarray) -> np.ndarray:
        """Which track each voxel belongs to, 0 = none."""
        return self._track[slots]

    def forget_moved(self, slots: np.ndarray, seen_tracks: np.ndarray) -> None:
        """Forget what a thing left behind: voxels of tracks that are seen now, before they are measured anew.

        Args:
            slots: (M,) voxels that the frame measures.
            seen_tracks: numbers of the tracks that the frame sees.
        """
        mine = self._track[slots]
        self._forget(slots[(mine > 0) & np.isin(mine, seen_tracks)])

    def measure(self, measured: Measured, time: float) -> None:
        """Take one frame's measurement at ``time`` in seconds."""
        slots = measured.slots
        fade = self._fade(slots, time)
        log_odds = self._added(self._log_odds[slots] * fade, self._label[slots], measured)
        self._log_odds[slots], self._seen_at[slots] = log_odds, time
        full = measured.names_class
        rows = self._rows_of(slots[full])
        values = self._with_class(self._rows[rows] * fade[full, None], measured, full)
        self._rows[rows], self._label[slots[full]] = values, _most_probable(values)
        self._track[slots[full]] = measured.track[full]
        gone = (log_odds < 0) & (self._track[slots] > 0)
        self._track[slots[gone]] = 0

    def believe(self, measured: Measured, time: float) -> Belief:
        """What is believed of the measured voxels, what was known before and the measurement taken together.

        Nothing is remembered: the voxels may be those of the frame itself, which need not lie on the window's lattice.
        Those at place -1 lie outside the window, and nothing was known of them.
        """
        inside = measured.slots >= 0
        places = np.where(inside, measured.slots, 0)
        fade = np.where(inside, self._fade(places, time) * self._config.trust_in_past, 0).astype(np.float32)
        log_odds = self._added(self._log_odds[places] * fade, np.where(inside, self._label[places], 0), measured)
        full = log_odds > _FADED
        rows = self._row[places[full]]
        values = np.where((rows >= 0)[:, None], self._rows[rows] * fade[full, None], 0).astype(np.float32)
        named = measured.names_class[full]
        values[named] = self._with_class(values[named], measured, full & measured.names_class)
        semantics = np.where(np.abs(log_odds) > _FADED, 0, UNKNOWN).astype(np.uint8)
        semantics[full] = _most_probable(values)
        occupancy = 1 / (1 + np.exp(-log_odds))
        confidence = np.where(semantics == UNKNOWN, 0, 1 - occupancy).astype(np.float32)
        confidence[full] = occupancy[full] * _largest_share(values)
        return Belief(semantics, occupancy, confidence, np.where(full, measured.track, 0).astype(np.int32))

    def read(self, slots: np.ndarray, time: float) -> Belief:
        """What is believed at ``time``; voxels at place -1 lie outside the window and are unknown."""
        inside = slots >= 0
        places = np.where(inside, slots, 0)
        log_odds = np.where(inside, self._log_odds[places] * self._fade(places, time), 0).astype(np.float32)
        occupancy = 1 / (1 + np.exp(-log_odds))
        known = np.abs(log_odds) > _FADED
        full = known & (log_odds > 0)
        semantics = np.where(known, 0, UNKNOWN).astype(np.uint8)
        semantics[full] = self._label[places[full]]
        confidence = np.where(known, 1 - occupancy, 0).astype(np.float32)
        confidence[full] = occupancy[full] * _largest_share(self._rows[self._row[places[full]]])
        return Belief(semantics, occupancy, confidence, np.where(full, self._track[places], 0).astype(np.int32))

    def _added(self, before: np.ndarray, label: np.ndarray, measured: Measured) -> np.ndarray:
        """(M,) log odds of being occupied after the measurement."""
        config = self._config
        restless = self._is_thing[label] | self._is_thing[measured.semantics]
        before[restless] = np.clip(before[restless], -config.most_for_things, config.most_for_things)
        occupancy = np.clip(measured.occupancy, 1 - _SUREST, _SUREST)
        gain = np.log(occupancy / (1 - occupancy))
        gain *= np.where(gain > 0, np.float32(config.trust), np.float32(config.trust_in_free))
        return np.clip(before + gain, -config.most_evidence, config.most_evidence)

    def _with_class(self, before: np.ndarray, measured: Measured, chosen: np.ndarray) -> np.ndarray:
        """(K, classes) log odds of the K chosen voxels after the measurement; "empty" says nothing about classes."""
        share = measured.confidence[chosen] / np.maximum(measured.occupancy[chosen], 1e-3)
        share = np.clip(share, 1 / self._n_classes, _SUREST)
        gain = self._config.trust * (np.log(share / (1 - share)) + np.log(self._n_classes - 2))
        before[np.arange(len(before)), measured.semantics[chosen]] += gain
        return before - np.maximum(before.max(axis=1, keepdims=True) - self._config.most_evidence, 0)

    def _fade(self, slots: np.ndarray, time: float) -> np.ndarray:
        """What is left of the evidence after the time since it was taken, (M,) float32."""
        memory = np.where(self._is_thing[self._label[slots]], self._config.things_memory, self._config.memory)
        age = np.maximum(np.float32(time) - self._seen_at[slots], 0)
        return np.exp(-age / memory.astype(np.float32))

    def _rows_of(self, slots: np.ndarray) -> np.ndarray:
        """Each voxel's row of class evidence, which is made where there is none."""
        missing = slots[self._row[slots] < 0]
        if len(missing) > len(self._free):
            self._grow(len(missing))
        rows, self._free = self._free[len(self._free) - len(missing):], self._free[:len(self._free) - len(missing)]
        self._rows[rows] = 0
        self._row[missing] = rows
        return self._row[slots]

    def _grow(self, wanted: int) -> None:
        n = len(self._rows)
        more = max(n, wanted)
        self._rows = np.concatenate([self._rows, np.zeros((more, self._n_classes), np.float32)])
        self._free = np.concatenate([np.arange(n + more - 1, n - 1, -1, dtype=np.int32), self._free])

    def _forget(self, slots: np.ndarray) -> None:
        rows = self._row[slots]
        self._free = np.concatenate([self._free, rows[rows >= 0]])
        self._row[slots] = -1
        for array in (self._log_odds, self._label, self._track):
            array[slots] = 0


def _most_probable(values: np.ndarray) -> np.ndarray:
    """(N,) uint8 class of the largest of the log odds (N, classes), the empty class apart."""
    return (values[:, 1:].argmax(axis=1) + 1).astype(np.uint8)


def _largest_share(values: np.ndarray) -> np.ndarray:
    """(N,) probability of that class among those that are not empty."""
    values = np.exp(values[:, 1:] - values[:, 1:].max(axis=1, keepdims=True))
    return values.max(axis=1) / values.sum(axis=1)
