"""The clouds of a bag in the order of recording, decoded and placed: what the processes of a replay are given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pasco_core.data.bags import BagReader, open_bag
from pasco_core.data.bags.sequence_messages import TF_TYPE
from pasco_core.data.cloud_message import EMPTY, check_cloud, decode_cloud
from pasco_core.data.intensity import IntensityScale
from pasco_core.data.scan_statistics import ScanStatistics, measure_scan
from pasco_core.errors import CloudError, DataError, TransformError
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.transform_tree import FUTURE, TransformTree
from pasco_core.replay.plan import ReplayPlan
from pasco_core.replay.truth import CloudTruth, TruthFinder
from pasco_core.stream.frame_resolver import FrameResolver
from pasco_core.stream.header_checks import StampOrder, check_header, stamp_ns
from pasco_core.stream.outcomes import Outcome, Verdict
from pasco_core.stream.stamped_transform import insert_stamped

_NANO = 1_000_000_000
_HOLD = _NANO // 10  # what belongs to a cloud is recorded at most so much later
_MOST_HELD = 100


@dataclass(frozen=True)
class CloudItem:
    """One cloud as it goes to a process.

    Args:
        number: on its topic, from 0.
        received: log time, ns.
        stamp: sec and nanosec of its header.
        frame_id: of its header.
        points_in: points as declared.
        verdict: why it is not computed; None: it is.
        flush: why older clouds were to be forgotten; "" otherwise.
        points: (N, 4) float32 in the network's frame.
        output_frame: frame of the outputs.
        grid_pose: pose (4, 4) of the network's frame in it, or None.
        notes: of the decoder.
        truth: what is known about its voxels.
        seconds: that reading took, per stage.
    """

    number: int
    received: int
    stamp: tuple[int, int]
    frame_id: str
    points_in: int
    verdict: Verdict | None = None
    flush: str = ""
    points: np.ndarray | None = None
    output_frame: str = ""
    grid_pose: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    truth: CloudTruth | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class _Held:
    number: int
    received: int
    message: Any
    broken: str = ""
    truth: CloudTruth | None = None

    @property
    def stamp(self) -> int:
        return 0 if self.message is None else stamp_ns(self.message.header.stamp)


class CloudStream:
    """The clouds that are to be computed, each once and in order; memory for a few of them.

    Clouds that are done already are decoded all the same: the intensity scale of a stream depends on those before.

    Args:
        plan: which clouds.
        done: numbers of those that need not be computed again.
        clock: seconds.

    Attributes:
        statistics: of the first cloud with points.
        damage: of the bag, as far as it is known.
        clouds_read: so far, with those that are not to be computed.
    """

    def __init__(self, plan: ReplayPlan, done: frozenset[int], clock: Callable[[], float]) -> None:
        self._plan, self._done, self._clock = plan, done, clock
        self._length = sum(1 for number in plan.numbers() if number not in done)
        self._order = StampOrder(plan.topic)
        self._scale = IntensityScale(plan.settings.intensity_maxima[0] or None)
        self._tree = TransformTree(plan.settings.tf_cache_time)
        self._resolver = FrameResolver(_TreeTransforms(self._tree) if plan.settings.base_frame else None)
        self.statistics: ScanStatistics | None = None
        self.damage: tuple[str, ...] = ()
        self.clouds_read = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[CloudItem]:
        """The clouds; one whose bytes are no PointCloud2 is REJECTED, as the node's middleware would drop it.

        Raises:
            DataError: the bag, or a file of the dataset with the truth, breaks its format.
        """
        with open_bag(self._plan.bag) as reader:
            truth = TruthFinder(self._plan, reader)
            for held in self._held_back(reader, truth):
                item = self._item(held)
                if held.number not in self._done:
                    yield replace(item, truth=held.truth or truth.of(held.number, held.stamp))
            self.damage = reader.damage

    def _held_back(self, reader: BagReader, truth: TruthFinder) -> Iterator[_Held]:
        """Clouds, once the transforms and the truth of their time are read."""
        waiting: deque[_Held] = deque()
        for name, time, data in reader.raw_messages(self._topics(reader, truth)):
            if name == self._plan.topic:
                number = self.clouds_read
                if number >= self._plan.count:
                    break
                self.clouds_read += 1
                if number % self._plan.every == 0:
                    waiting.append(_decoded_message(reader, name, data, time, number))
            elif name == truth.topic:
                truth.take(reader.decode(name, data, time), waiting)
            else:
                self._take_transforms(reader.decode(name, data, time), name.endswith("tf_static"))
            while waiting and self._is_ready(waiting[0], time, truth, len(waiting)):
                yield waiting.popleft()
        yield from waiting

    def _topics(self, reader: BagReader, truth: TruthFinder) -> list[str]:
        topics = [self._plan.topic, *([truth.topic] if truth.topic else [])]
        if self._plan.settings.base_frame:
            topics += [topic.name for topic in reader.topics.values() if topic.type == TF_TYPE]
        return topics

    def _is_ready(self, held: _Held, now: int, truth: TruthFinder, waiting: int) -> bool:
        """Whether nothing more is to be waited for; the rule for transforms is the node's."""
        settings = self._plan.settings
        if waiting > _MOST_HELD or held.message is None:
            return True
        if truth.topic and held.truth is None and now - held.received <= _HOLD:
            return False
        if not settings.base_frame or now - held.received > settings.tf_timeout * _NANO:
            return True
        try:
            self._tree.lookup(settings.base_frame, held.message.header.frame_id, held.stamp)
        except TransformError as error:
            return error.reason not in (FUTURE, "UNKNOWN_FRAME", "NOT_CONNECTED")
        return True

    def _take_transforms(self, message: Any, static: bool) -> None:
        for stamped in message.transforms:
            try:
                insert_stamped(self._tree, stamped, static)
            except TransformError:
                continue  # the node refuses it, too; a cloud that needs it says so

    def _item(self, held: _Held) -> CloudItem:
        """What the node's checks, its decoder and the transforms make of a cloud."""
        started = self._clock()
        message = held.message
        if message is None:
            broken = Verdict(Outcome.REJECTED, "CDR", held.broken)
            return CloudItem(held.number, held.received, (0, 0), "", 0, broken)
        header = message.header
        item = CloudItem(
            held.number, held.received, (int(header.stamp.sec), int(header.stamp.nanosec)), str(header.frame_id),
            min(int(message.width) * int(message.height), 2**32 - 1), output_frame=str(header.frame_id),
        )
        verdict = check_header(header, self._plan.topic, held.received, self._plan.settings.future_tolerance)
        if verdict is None:
            verdict, item = self._checked(message, item)
        item = replace(item, verdict=verdict) if verdict is not None else self._decoded(message, item)
        return replace(item, seconds={"decode": self._clock() - started})

    def _checked(self, message: Any, item: CloudItem) -> tuple[Verdict | None, CloudItem]:
        try:
            check_cloud(message, self._plan.topic)
        except CloudError as error:
            if error.code != EMPTY:
                return Verdict(Outcome.REJECTED, error.code, str(error)), item
            if self._plan.settings.empty_cloud == "skip":
                return Verdict(Outcome.EMPTY, EMPTY, str(error)), item
        order = self._order.take(message.header.stamp)
        if order is not None and order.outcome == Outcome.FLUSHED:
            self._tree.flush()
            return None, replace(item, flush=order.message)
        return order, item

    def _decoded(self, message: Any, item: CloudItem) -> CloudItem:
        settings, topic = self._plan.settings, self._plan.topic
        try:
            placement = self._resolver.place(message.header, settings)
        except TransformError as error:
            return replace(item, verdict=Verdict(Outcome.TF_UNAVAILABLE, error.reason, str(error)))
        item = replace(item, output_frame=str(placement.header.frame_id), grid_pose=placement.grid)
        try:
            cloud = decode_cloud(
                message, topic, max_points=settings.max_points, min_range=settings.min_range, scale=self._scale,
                rings=self.statistics is None,
            )
        except CloudError as error:
            if error.code == EMPTY:  # the process knows what nothing leads to
                return replace(item, points=np.zeros((0, 4), np.float32), notes=(str(error),))
            return replace(item, verdict=Verdict(Outcome.REJECTED, error.code, str(error)))
        points = placement.in_network(cloud.points)
        if self.statistics is None:
            inside = float(np.count_nonzero(KITTI_GRID.contains(points[:, :3]))) / len(cloud)
            self.statistics = measure_scan(cloud, inside)
        return replace(item, points=points, notes=cloud.notes)


def _decoded_message(reader: BagReader, name: str, data: bytes, time: int, number: int) -> _Held:
    try:
        return _Held(number, time, reader.decode(name, data, time))
    except DataError as error:
        return _Held(number, time, None, str(error))


class _TreeTransforms:
    """Transforms that are there already; nothing is waited for."""

    def __init__(self, tree: TransformTree) -> None:
        self._tree = tree

    def lookup(self, target: str, source: str, at: int, timeout: float) -> np.ndarray:
        return self._tree.lookup(target, source, at)
