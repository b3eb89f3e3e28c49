"""The clouds of a bag in the order of recording, decoded and placed: what the processes of a replay are given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from pasco_core.data.bags import BagReader, open_bag
from pasco_core.data.camera_image import PosedImage
from pasco_core.data.cloud_message import EMPTY
from pasco_core.data.scan_statistics import ScanStatistics
from pasco_core.errors import CloudError, DataError, TransformError
from pasco_core.replay.bag_sensors import BagSensors
from pasco_core.replay.plan import ReplayPlan
from pasco_core.replay.truth import CloudTruth, TruthFinder
from pasco_core.stream.cloud_source import CloudMember, CloudSource
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.stream.outcomes import Outcome, Verdict

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
        notes: of the decoder, and on what is missing beside the cloud.
        images: what cameras saw, posed in the network's frame.
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
    images: tuple[PosedImage, ...] = ()
    truth: CloudTruth | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class _Held:
    """A cloud that waits for what belongs to it.

    Args:
        item: what is known of it.
        member: it itself, None where its bytes are no cloud.
        truth: what the bag says about its voxels.
        is_decoded: whether its transforms have come, or will not come.
        is_seen: whether its images have come, or will not come.
    """

    item: CloudItem
    member: CloudMember | None = None
    truth: CloudTruth | None = None
    is_decoded: bool = False
    is_seen: bool = False

    @property
    def stamp(self) -> int:
        return 0 if self.member is None else stamp_ns(self.member.message.header.stamp)


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
        remarks: what was wrong with the messages beside the clouds; known at the end.
        clouds_read: so far, with those that are not to be computed.
    """

    def __init__(self, plan: ReplayPlan, done: frozenset[int], clock: Callable[[], float]) -> None:
        self._plan, self._done, self._clock = plan, done, clock
        self._length = sum(1 for number in plan.numbers() if number not in done)
        self._source = CloudSource(plan.topic, plan.settings)
        self._held: deque[_Held] = deque()
        self.statistics: ScanStatistics | None = None
        self.damage: tuple[str, ...] = ()
        self.remarks: tuple[str, ...] = ()
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
            self._sensors = BagSensors(reader, self._plan.sensors, self._plan.settings, self._stamps_waiting)
            for held in self._held_back(reader, truth):
                number = held.item.number
                if number not in self._done:
                    yield replace(held.item, truth=held.truth or truth.of(number, held.stamp))
            self.damage, self.remarks = reader.damage, tuple(self._sensors.remarks())

    def _held_back(self, reader: BagReader, truth: TruthFinder) -> Iterator[_Held]:
        """Clouds, once transforms, images and truth of their time are read."""
        topics = {self._plan.topic, *([truth.topic] if truth.topic else []), *self._sensors.topics}
        last = None
        for name, time, data in reader.raw_messages(topics):
            if time != last:  # what was recorded at one time has come together
                yield from self._complete(time, truth)
                last = time
            if name == self._plan.topic:
                number = self.clouds_read
                if number >= self._plan.count:
                    break
                self.clouds_read += 1
                if number % self._plan.every == 0:
                    self._held.append(self._arrived(reader, data, time, number))
            elif name == truth.topic:
                truth.take(reader.decode(name, data, time), self._held)
            else:
                self._sensors.take(name, data, time)
        yield from self._complete(None, truth)

    def _complete(self, now: int | None, truth: TruthFinder) -> Iterator[_Held]:
        """Clouds that wait for nothing more.

        Args:
            now: log time in ns of the next message, all before it are taken; None at the end of the recording.
            truth: says whether there is truth to wait for.
        """
        settings = self._plan.settings
        for number, held in enumerate(self._held):
            age = float("inf") if now is None or len(self._held) - number > _MOST_HELD else now - held.item.received
            if not held.is_decoded and (age > settings.tf_timeout * _NANO or self._is_placed(held)):
                self._decode(held)
            if not held.is_decoded:
                break  # in order: the intensity scale depends on the clouds before
            if not held.is_seen and (age > settings.camera_tolerance * _NANO or self._sensors.have_seen(held.stamp)):
                self._look(held)
        while self._held and self._held[0].is_decoded and self._held[0].is_seen:
            first = self._held[0]
            may_come = now is not None and now - first.item.received <= _HOLD and len(self._held) <= _MOST_HELD
            if may_come and truth.topic and first.truth is None and first.member is not None:
                return
            yield self._held.popleft()

    def _stamps_waiting(self) -> list[int]:
        return [held.stamp for held in self._held if not held.is_seen]

    def _is_placed(self, held: _Held) -> bool:
        return held.item.verdict is not None or held.member is None or self._sensors.is_placed(
            held.member.message.header)

    def _arrived(self, reader: BagReader, data: bytes, time: int, number: int) -> _Held:
        """A cloud, checked as the node checks it when it comes."""
        started = self._clock()
        try:
            message = reader.decode(self._plan.topic, data, time)
        except DataError as error:
            broken = Verdict(Outcome.REJECTED, "CDR", str(error))
            return _Held(CloudItem(number, time, (0, 0), "", 0, broken), is_seen=True)
        member = self._source.member(message)
        header = message.header
        item = CloudItem(
            number, time, (int(header.stamp.sec), int(header.stamp.nanosec)), str(header.frame_id), member.points_in,
            output_frame=str(header.frame_id),
        )
        verdict = self._source.check(member, time, self._plan.settings)
        if verdict is not None and verdict.outcome == Outcome.FLUSHED:
            self._flush(verdict, stamp_ns(header.stamp))
            item, verdict = replace(item, flush=verdict.message), None
        item = replace(item, verdict=verdict, seconds={"decode": self._clock() - started})
        return _Held(item, member, is_seen=verdict is not None)

    def _flush(self, verdict: Verdict, now: int) -> None:
        """The stamps have jumped back to ``now``: what waits for transforms waits in vain."""
        self._sensors.flush(now)
        for held in self._held:
            if not held.is_decoded and held.item.verdict is None:
                held.item, held.is_seen = replace(held.item, verdict=verdict), True

    def _decode(self, held: _Held) -> None:
        """Place the cloud and read its points; what the odometry has told by now moves them."""
        held.is_decoded = True
        if held.member is None or held.item.verdict is not None:
            return
        started = self._clock()
        held.item = self._decoded(held.member, held.item)
        held.is_seen = held.item.points is None or len(held.item.points) == 0  # nothing to be seen in an image
        held.item = replace(held.item, seconds={"decode": held.item.seconds["decode"] + self._clock() - started})

    def _decoded(self, member: CloudMember, item: CloudItem) -> CloudItem:
        settings = self._plan.settings
        try:
            placement = self._sensors.resolver.place(member.message.header, settings)
            item = replace(item, output_frame=str(placement.header.frame_id), grid_pose=placement.grid)
            cloud = self._sensors.builder.build([member], placement, settings)
        except TransformError as error:
            return replace(item, verdict=Verdict(Outcome.TF_UNAVAILABLE, error.reason, str(error)))
        except CloudError as error:
            if error.code == EMPTY:  # the process knows what nothing leads to
                return replace(item, points=np.zeros((0, 4), np.float32), notes=(str(error),))
            return replace(item, verdict=Verdict(Outcome.REJECTED, error.code, str(error)))
        if self.statistics is None:
            self.statistics = self._sensors.builder.statistics
        skewed = (f"Not de-skewed: {why}" for why in self._sensors.builder.not_deskewed)
        return replace(item, points=placement.in_network(cloud.points), notes=(*cloud.notes, *skewed))

    def _look(self, held: _Held) -> None:
        """The images of the cloud's time; those of clouds that are done need not be decoded."""
        held.is_seen = True
        if held.member is None or held.item.number in self._done:
            return
        started = self._clock()
        images, problems = self._sensors.images_of(held.member.message.header)
        seconds = held.item.seconds | ({"images": self._clock() - started} if images else {})
        held.item = replace(held.item, images=images, notes=(*held.item.notes, *problems), seconds=seconds)
