"""What is known about the voxels of a bag's clouds: from a topic of the bag, or from a dataset beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pasco_core.data.bags import BagReader
from pasco_core.data.bags import sequence_messages as ours
from pasco_core.data.bags.to_bag import FRAMES_KEY, SEQUENCE_KEY, numbers_of
from pasco_core.data.datasets.semantic_kitti import SemanticKitti
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.voxel_message import grid_of, layer_names, raw_layer
from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry import VoxelGrid
from pasco_core.replay.plan import ReplayPlan, TruthPlace
from pasco_core.stream.header_checks import stamp_ns

_NEAR = 0.05  # seconds between a cloud's stamp and the time of its frame


@dataclass(frozen=True)
class CloudTruth:
    """The truth of one cloud, with its grid and its classes.

    Args:
        voxels: classes and instances.
        grid: where they are, in the network's frame.
        class_names: of the classes.
    """

    voxels: VoxelTruth
    grid: VoxelGrid
    class_names: tuple[str, ...]


class TruthFinder:
    """Finds the truth of clouds.

    Args:
        plan: says whether there is a dataset beside the bag.
        reader: the bag, open.

    Raises:
        ConfigError: the dataset has several sequences and none is named.
        DataError: the dataset cannot be read.

    Attributes:
        topic: of the bag's own truth; None: it has none, or the plan names a dataset.
    """

    def __init__(self, plan: ReplayPlan, reader: BagReader) -> None:
        self.topic: str | None = None
        self._dataset: _DatasetTruth | None = None
        if plan.truth is not None:
            self._dataset = _DatasetTruth(plan.truth, reader)
            return
        topic = reader.topics.get(ours.TRUTH_TOPIC)
        if topic is not None and topic.type == ours.GRID_TYPE and topic.count:
            self.topic = topic.name

    @property
    def exists(self) -> bool:
        """Whether there may be truth at all."""
        return self.topic is not None or self._dataset is not None

    def take(self, message: Any, waiting: Iterable[Any]) -> None:
        """Gives a VoxelGrid of the bag to the waiting cloud with its stamp."""
        stamp = stamp_ns(message.header.stamp)
        for held in waiting:
            if held.stamp == stamp:
                held.truth = truth_of_message(message)

    def of(self, number: int, stamp: int) -> CloudTruth | None:
        """The dataset's truth of a cloud, None where it has none.

        Raises:
            DataError: a file that breaks its format.
        """
        return None if self._dataset is None else self._dataset.of(number, stamp)


class _DatasetTruth:
    def __init__(self, place: TruthPlace, reader: BagReader) -> None:
        from pasco_core.data.datasets import open_dataset

        self._place = place
        self._dataset = open_dataset(place.root)
        known = self._dataset.sequences()
        name = place.sequence or reader.custom_data.get(SEQUENCE_KEY, "") or (known[0] if len(known) == 1 else "")
        if name not in known:
            rule, got = f"one of {', '.join(known) or 'no sequence'}", repr(name) if name else "none"
            raise ConfigError(f"Expected --truth-sequence to name {rule}, got {got}")
        self._sequence = name
        text = reader.custom_data.get(FRAMES_KEY, "")
        self._numbers = numbers_of(text) if text else None
        self._times = self._frame_times() if place.by == "stamp" else np.zeros(0)
        self._frames = frozenset(self._dataset.frames(sequences=[name]))
        self._start = ours.EPOCH if ours.is_our_time(reader.start_time) else None

    def of(self, number: int, stamp: int) -> CloudTruth | None:
        frame = Frame(self._sequence, self._index(number, stamp))
        if frame not in self._frames:
            return None
        return CloudTruth(self._dataset.truth(frame), self._dataset.grid, self._dataset.labels.class_names)

    def _frame_times(self) -> np.ndarray:
        if not isinstance(self._dataset, SemanticKitti):
            raise ConfigError("Expected --truth-by stamp to come with a dataset that has times.txt (SemanticKITTI's "
                              f"layout), got {self._place.root}")
        times = self._dataset.times(self._sequence)
        if len(times) == 0:
            raise DataError(f"Expected times.txt of sequence {self._sequence} to have a line per frame, got none")
        return times

    def _index(self, number: int, stamp: int) -> int:
        if self._place.by == "index":
            return self._numbers[number] if self._numbers and number < len(self._numbers) else number
        if self._start is None:
            self._start = stamp
        seconds = (stamp - self._start) / 1e9
        nearest = int(np.abs(self._times - seconds).argmin())
        return nearest if abs(self._times[nearest] - seconds) <= _NEAR else -1


def truth_of_message(message: Any) -> CloudTruth | None:
    """None where the grid holds no classes."""
    names = layer_names(message)
    if "semantics" not in names:
        return None
    classes, unknown = raw_layer(message, "semantics")
    semantics = np.where(unknown, np.uint8(UNKNOWN), classes.astype(np.uint8))
    instances = np.zeros(semantics.shape, np.uint16)
    if "instance" in names:
        raw, none = raw_layer(message, "instance")
        instances = np.where(none, np.uint16(0), raw.astype(np.uint16))
    if not message.class_names:
        raise DataError("Expected the voxel truth of the bag to name its classes, got none")
    return CloudTruth(VoxelTruth(semantics, instances), grid_of(message), tuple(message.class_names))
