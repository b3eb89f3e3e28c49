"""Moments from a bag: scenes of the node or true voxels, with the clouds and images of their time; or clouds alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pasco_core.data.bags import CLOUD_TYPE, BagReader, TopicInfo, find_cloud_topic, open_bag, require_topic
from pasco_core.data.bags.camera_topics import called_rectified, camera_of, image_topics, listed_images, require_images
from pasco_core.data.bags.from_bag import NEAREST
from pasco_core.data.bags.image_pairing import IMAGE_REACH
from pasco_core.data.bags.reader import listed
from pasco_core.data.bags.sequence_messages import GRID_TYPE, TF_TYPE
from pasco_core.data.bags.track import Track
from pasco_core.data.camera_image import PosedImage
from pasco_core.data.cloud_message import decode_cloud
from pasco_core.data.label_set import label_set_for
from pasco_core.data.voxel_message import layer_names
from pasco_core.errors import DataError, ImageError
from pasco_core.geometry.poses import moved_points
from pasco_core.messages.scene_reader import scene_from_messages
from pasco_core.prediction import ScenePrediction
from pasco_core.replay.truth import truth_of_message
from pasco_core.stream.cameras import Camera
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.viz.moment import Moment
from pasco_core.viz.moments import Wanted, true_scene

SEGMENTS_TYPE = "pasco/msg/SegmentArray"
_KEPT = 20  # clouds, images and segments that are remembered
_WAITING = 5  # moments that wait for what belongs to them


@dataclass
class _Waiting:
    number: int
    stamp: int
    received: int
    message: Any
    segments: Any = None


class BagMoments:
    """The moments of a bag; memory for some messages, however long it is.

    Args:
        path: the bag.
        wanted: what will be shown.
        topic: VoxelGrid or PointCloud2; None: the only VoxelGrid if voxels are wanted and there is one, else the only
            cloud.
        camera: the topic with images; None: the only one.

    Raises:
        DataError: the bag cannot be read, or a topic is not there or not the only one, or no calibration tells what
            the images show.

    Attributes:
        lead: the topic of which every message is a moment.
        is_grid: whether these are voxels.
        segments, clouds: topics with what belongs to them, None where there is none or not one alone.
        camera: images and calibration, None where none are wanted.
    """

    def __init__(self, path: Path, wanted: Wanted, topic: str | None = None, camera: str | None = None) -> None:
        self.name = path.stem
        self.path, self._wanted = path, wanted
        with open_bag(path) as reader:
            self.lead = _leading_topic(reader, wanted, topic)
            self.is_grid = self.lead.type == GRID_TYPE
            beside = self.lead.name.rsplit("/", 1)[0]
            self.segments = _only([t for t in _of_type(reader, SEGMENTS_TYPE) if t.name.rsplit("/", 1)[0] == beside])
            self.clouds = _only(_of_type(reader, CLOUD_TYPE, but="/occupied_points")) if self.is_grid else self.lead
            self.camera = camera_of(reader, _image_topic(reader, camera)) if wanted.image else None
            self._others = [t.name for t in reader.topics.values() if t.type == TF_TYPE]
            self._start = reader.start_time or 0
        self.count = self.lead.count

    def take(self, numbers: range) -> Iterator[Moment]:
        """As ``Moments.take``."""
        with open_bag(self.path) as reader:
            stream = _Stream(self, numbers)
            for name, time, data in reader.raw_messages(self._topics()):
                if name != self.lead.name or stream.is_next():
                    stream.add(name, reader.topics[name].type, reader.decode(name, data, time), time)
                while stream.is_ready():
                    yield self._moment(stream)
            while stream.waiting:
                yield self._moment(stream)

    def _topics(self) -> set[str]:
        chosen = [self.lead, self.segments, self.clouds if self._wanted.points else None]
        seen = [self.camera.image, self.camera.info] if self.camera is not None else []
        return {topic.name for topic in chosen if topic is not None} | {*self._others, *seen}

    def _moment(self, stream: _Stream) -> Moment:
        lead = stream.waiting.popleft()
        stream.track.frame_id = lead.message.header.frame_id
        seconds = (lead.received - self._start) / 1e9
        name = f"{self.name} · {lead.number + 1} of {self.count} · {seconds:.1f} s"
        scene, is_truth = _scene_of(lead) if self.is_grid else (None, False)
        image = stream.image(lead.stamp) if self._wanted.image else None
        return Moment(name, scene, stream.points(lead), image, is_truth, lead.stamp)


class _Stream:
    """The messages around now, and the moments that wait for theirs."""

    def __init__(self, bag: BagMoments, numbers: range) -> None:
        self._bag, self._numbers = bag, numbers
        self._seen = -1
        self.waiting: deque[_Waiting] = deque()
        self.track = Track()
        self._kept: dict[str, deque[Any]] = {name: deque(maxlen=_KEPT) for name in ("clouds", "segments")}
        self._camera: Camera | None = None
        if bag.camera is not None:
            rectified = called_rectified(bag.camera.image)
            self._camera = Camera(bag.camera, rectified, kept=_KEPT)

    def is_next(self) -> bool:
        """Counts the leading message that comes now; whether it is asked for."""
        self._seen += 1
        return self._seen in self._numbers

    def add(self, name: str, kind: str, message: Any, time: int) -> None:
        """A message of a topic and a type, received at a time in ns."""
        bag = self._bag
        if kind == TF_TYPE:
            self.track.add_transforms(message, static=name.endswith("tf_static"))
        elif self._camera is not None and name == self._camera.info_topic:
            self._camera.receive_info(message)
        elif self._camera is not None and name == self._camera.image_topic:
            self._camera.receive_image(message)
        elif name == bag.lead.name:
            self.waiting.append(_Waiting(self._seen, stamp_ns(message.header.stamp), time, message))
        elif bag.segments is not None and name == bag.segments.name:
            self._kept["segments"].append(message)
        else:
            self._kept["clouds"].append(message)

    def is_ready(self) -> bool:
        """Whether what belongs to the first moment is there, or will not come."""
        if not self.waiting:
            return False
        first = self.waiting[0]
        if first.segments is None:
            first.segments = self._same(first.stamp, "segments")
        whole = not self._bag.is_grid or self._bag.segments is None or first.segments is not None
        seen = self._camera is None or self._camera.has_seen(first.stamp)
        return (whole and seen) or len(self.waiting) > _WAITING

    def points(self, lead: _Waiting) -> np.ndarray | None:
        """The cloud of a moment, in the frame of its voxels; None where there is none."""
        if not self._bag.is_grid:
            return decode_cloud(lead.message, self._bag.lead.name, min_range=NEAREST).points
        message = self._same(lead.stamp, "clouds")
        if message is None or self._bag.clouds is None:
            return None
        points = decode_cloud(message, self._bag.clouds.name, min_range=NEAREST).points
        if message.header.frame_id == self.track.frame_id:
            return points
        pose = np.linalg.inv(self._mount(message.header.frame_id))
        return np.column_stack([moved_points(points[:, :3], pose), points[:, 3:]])

    def image(self, stamp: int) -> PosedImage | None:
        """The image nearest in time, posed; None where none is near."""
        if self._camera is None:
            return None
        try:
            message = self._camera.nearest(stamp, IMAGE_REACH / 1e9)
        except ImageError:
            return None
        rgb, model = self._camera.decoded(message)
        pose = np.linalg.inv(self._mount(message.header.frame_id))
        return PosedImage(rgb, model, pose, stamp_ns(message.header.stamp))

    def _mount(self, frame: str) -> np.ndarray:
        """(4, 4) from the frame of the moment to another that is fixed to it.

        Raises:
            DataError: nothing says where it is.
        """
        mount = self.track.mount(frame)
        if mount is None:
            where = f"'{frame}' and '{self.track.frame_id}' in {self._bag.path}"
            raise DataError(f"Expected /tf_static to connect the frames {where}, got no fixed transform between them")
        return mount

    def _same(self, stamp: int, kind: str) -> Any:
        return next((m for m in self._kept[kind] if stamp_ns(m.header.stamp) == stamp), None)


def _scene_of(lead: _Waiting) -> tuple[ScenePrediction, bool]:
    """The voxels, and whether they are the truth, which comes without probabilities."""
    if "uncertainty" in layer_names(lead.message):
        return scene_from_messages(lead.message, lead.segments or SimpleNamespace(segments=[])), False
    truth = truth_of_message(lead.message)
    if truth is None:
        got = ", ".join(layer_names(lead.message)) or "no layer"
        raise DataError(f"Expected the voxel grid to have the layer 'semantics', got {got}")
    return true_scene(truth.voxels, label_set_for(len(truth.class_names)), truth.grid), True


def _leading_topic(reader: BagReader, wanted: Wanted, name: str | None) -> TopicInfo:
    if name is not None:
        topic = require_topic(reader, name)
        if topic.type not in (GRID_TYPE, CLOUD_TYPE) or not topic.count:
            rule = f"topic {name} in {reader.path} to be of type {GRID_TYPE} or {CLOUD_TYPE}, with messages"
            raise DataError(f"Expected {rule}, got {listed([topic])}")
        return topic
    grids = _of_type(reader, GRID_TYPE) if wanted.scene else []
    if len(grids) > 1:
        raise DataError(f"Expected {reader.path} to have one topic of type {GRID_TYPE}, got {listed(grids)}; "
                        "name one with --topic")
    return grids[0] if grids else find_cloud_topic(reader)


def _image_topic(reader: BagReader, name: str | None) -> TopicInfo:
    if name is not None:
        return require_images(reader, name)
    found = list(image_topics(reader).values())
    if len(found) != 1:
        more = "; name one with --camera" if found else ""
        raise DataError(f"Expected {reader.path} to have one topic with images, got {listed_images(reader)}{more}")
    return found[0]


def _of_type(reader: BagReader, kind: str, but: str = "\0") -> list[TopicInfo]:
    return [topic for topic in reader.of_type(kind) if not topic.name.endswith(but)]


def _only(topics: list[TopicInfo]) -> TopicInfo | None:
    return topics[0] if len(topics) == 1 else None
