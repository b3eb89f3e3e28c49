"""The sensors around the LiDAR in a recording: transforms, odometry and cameras, as the node has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from pasco_core.data.bags import BagReader
from pasco_core.data.bags.sequence_messages import TF_TYPE
from pasco_core.data.camera_image import PosedImage
from pasco_core.errors import DataError, TransformError
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.transform_buffer import PAST
from pasco_core.geometry.transform_tree import TransformTree
from pasco_core.replay.sensor_topics import SensorTopics
from pasco_core.replay.settings import ReplaySettings
from pasco_core.settings.sensor_settings import ODOMETRY
from pasco_core.stream.cameras import Cameras
from pasco_core.stream.ego_motion import EgoMotion, OdometryMotion, ego_motion
from pasco_core.stream.frame_resolver import FrameResolver
from pasco_core.stream.stamped_transform import insert_stamped
from pasco_core.stream.sweep_builder import SweepBuilder


class BagSensors:
    """Takes the messages beside the clouds in the order of recording, and answers for the clouds.

    Args:
        reader: the bag, open.
        topics: of odometry and cameras.
        settings: of the replay.
        waiting: stamps in ns of the clouds whose images are still to come.

    Attributes:
        resolver: where the sensors are.
        builder: makes a cloud's points of its message.
        topics: names of the topics whose messages are taken.
    """

    def __init__(
        self, reader: BagReader, topics: SensorTopics, settings: ReplaySettings, waiting: Callable[[], Sequence[int]]
    ) -> None:
        self._reader, self._settings = reader, settings
        self._tree = TransformTree(settings.tf_cache_time)
        self._transforms = _TreeTransforms(self._tree) if settings.base_frame else None
        self.resolver = FrameResolver(self._transforms)
        self._motion: EgoMotion | None = None
        if settings.deskew != ODOMETRY or topics.odometry is not None:
            self._motion = ego_motion(settings, topics.odometry or "", self.resolver, self._tree)
        self.builder = SweepBuilder(self.resolver, self._motion, KITTI_GRID)
        self._cameras = Cameras(topics.cameras, settings, self.resolver, self._motion, waiting)
        self._takers = self._all_takers(topics)
        self._unread: Counter[str] = Counter()

    def _all_takers(self, topics: SensorTopics) -> dict[str, Callable[[Any], None]]:
        takers: dict[str, Callable[[Any], None]] = {}
        if self._transforms is not None:
            for topic in self._reader.of_type(TF_TYPE):
                takers[topic.name] = partial(self._take_transforms, topic.name.endswith("tf_static"))
        if isinstance(self._motion, OdometryMotion) and topics.odometry is not None:
            takers[topics.odometry] = self._motion.receive
        for camera in self._cameras.all:
            takers[camera.image_topic] = camera.receive_image
            takers[camera.info_topic] = camera.receive_info
        return takers

    @property
    def topics(self) -> list[str]:
        """Names of the topics whose messages are taken."""
        return list(self._takers)

    def take(self, name: str, data: bytes, time: int) -> None:
        """A message of one of ``topics``; on the vehicle, ROS would drop one whose bytes are none."""
        try:
            message = self._reader.decode(name, data, time)
        except DataError:
            self._unread[name] += 1
            return
        self._takers[name](message)

    def is_placed(self, header: Any) -> bool:
        """Whether no later transform can tell more about where a cloud is."""
        if self._transforms is None:
            return True
        try:
            self.resolver.in_frame(self._settings.base_frame, header)
        except TransformError as error:
            return error.reason == PAST
        return True

    def have_seen(self, stamp: int) -> bool:
        """Whether every camera has sent its calibration, and an image of a time in ns or a later one."""
        return all(camera.has_seen(stamp) for camera in self._cameras.all)

    def images_of(self, header: Any) -> tuple[tuple[PosedImage, ...], tuple[str, ...]]:
        """What the cameras saw at the time of a cloud, and why some saw nothing."""
        images = self._cameras.images_at(header, self._settings)
        problems = [camera.problem for camera in self._cameras.all]
        return images, tuple(f"A camera is off: {problem}" for problem in problems if problem)

    def flush(self, now: int) -> None:
        """The stamps have jumped back to a time in ns: transforms of before are forgotten."""
        self._tree.flush(now)

    def remarks(self) -> list[str]:
        """What was wrong with messages of the sensors, one sentence each."""
        lines = [f"{count} messages on {name} were no {self._reader.topics[name].type} and were left out"
                 for name, count in sorted(self._unread.items())]
        if isinstance(self._motion, OdometryMotion) and self._motion.refused:
            share = f"{self._motion.refused} of {self._motion.received}"
            lines.append(f"{share} poses of the odometry were left out: not finite, or with a quaternion that is none")
        return lines

    def _take_transforms(self, static: bool, message: Any) -> None:
        for stamped in message.transforms:
            try:
                insert_stamped(self._tree, stamped, static)
            except TransformError:
                continue  # the node refuses it, too; a cloud that needs it says so


class _TreeTransforms:
    """Transforms that are there already; nothing is waited for."""

    def __init__(self, tree: TransformTree) -> None:
        self._tree = tree

    def lookup(self, target: str, source: str, at: int, timeout: float) -> np.ndarray:
        return self._tree.lookup(target, source, at)
