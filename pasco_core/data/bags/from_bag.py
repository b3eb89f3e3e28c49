"""A rosbag2 as a sequence in SemanticKITTI's layout: scans, labels, images, voxel truth, poses, calibration, times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.data.bags import sequence_messages as ours
from pasco_core.data.bags.image_pairing import ImagePairing
from pasco_core.data.bags.reader import BagReader, find_cloud_topic, listed, require_topic
from pasco_core.data.bags.to_bag import FRAMES_KEY, MAX_FRAMES, SEQUENCE_KEY, numbers_of
from pasco_core.data.bags.track import Track, calibration_of, filled_poses
from pasco_core.data.bags.voxel_truth_files import write_truth
from pasco_core.data.cloud_message import check_cloud, decode_cloud
from pasco_core.data.datasets.calibration import Calibration, write_poses, write_times
from pasco_core.data.frame import Frame
from pasco_core.data.image_message import decode_compressed, decode_image
from pasco_core.data.intensity import IntensityScale
from pasco_core.data.simulation.writers.files import write_array, write_png
from pasco_core.errors import CloudError, DataError
from pasco_core.stream.header_checks import stamp_ns

NEAREST = 0.1
"""Metres; points of a foreign cloud nearer to the sensor are left out: drivers write missing returns as 0, 0, 0."""

_AXES = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
_NO_CAMERA = np.eye(3, 4)
_OWN_FIELDS = [("x", 7, 1), ("y", 7, 1), ("z", 7, 1), ("intensity", 7, 1), ("label", 6, 1)]

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


@dataclass
class Written:
    """What a conversion has done.

    Args:
        frames: clouds in the bag.
        skipped: of these, whose scan was there already.
        images: images beside them.
        truths: grids of voxel truth.
        removed: points that were left out, because they are not finite or too near.
        poses: whether poses.txt is written.
        notes: what is missing or was guessed, one sentence each.
    """

    frames: int = 0
    skipped: int = 0
    images: int = 0
    truths: int = 0
    removed: int = 0
    poses: bool = False
    notes: list[str] = field(default_factory=list)


class BagToSequence:
    """Converts one bag; a file that is there already is not written again, so an interrupted run can be repeated.

    Args:
        reader: the bag, open.
        root: folder that gets ``sequences/<name>/``.
        topic: the cloud topic; None: the only one.
        image_topic: the image topic; None: the only one, if there is one.
        sequence: two digits; None: as the bag says, else "00".

    Raises:
        DataError: a topic is not there, of a wrong type, or not the only one.
    """

    def __init__(
        self, reader: BagReader, root: Path, topic: str | None = None, image_topic: str | None = None,
        sequence: str | None = None,
    ):
        self.reader, self.root = reader, root
        cloud = find_cloud_topic(reader) if topic is None else require_topic(reader, topic, ours.CLOUD_TYPE)
        if not cloud.count:
            raise DataError(f"Expected topic {cloud.name} in {reader.path} to have messages, got none")
        self.topic, self.count = cloud.name, cloud.count
        self.written = Written()
        self._truth_topic = self._find_truth()
        noted = SEQUENCE_KEY in reader.custom_data or ours.is_our_time(reader.start_time)  # a cut bag has no notes
        self._is_ours = self.topic == ours.CLOUD_TOPIC and noted
        self.image_topic = self._find_images(image_topic)
        self.sequence = sequence or _two_digits(reader.custom_data.get(SEQUENCE_KEY, ""))
        self.folder = root / "sequences" / self.sequence
        self._numbers = self._frame_numbers()
        self._scale = IntensityScale()
        self._times: list[int] = []
        self._track = Track()
        self._cameras: dict[str, Any] = {}
        self._by_stamp: dict[int, Frame] = {}

    def frames(self) -> Iterator[Frame]:
        """Writes the files of one frame after the other; what is left is written by ``finish``.

        Raises:
            DataError: a message that breaks its format; the message names topic and time.
            OSError: the folder is not writable or full.
        """
        images = ImagePairing(self._write_image)
        for name, time, data in self.reader.raw_messages(self._topics()):
            kind = self.reader.topics[name].type
            if kind == ours.INFO_TYPE and name in self._cameras:
                continue
            message = self.reader.decode(name, data, time)
            if name == self.topic:
                yield self._take_cloud(message, time, images)
            elif name == self.image_topic:
                images.image(stamp_ns(message.header.stamp), message)
            elif kind == ours.TF_TYPE:
                self._track.add_transforms(message, static=name.endswith("tf_static"))
            elif kind == ours.INFO_TYPE:
                self._cameras[name] = message
            elif (frame := self._by_stamp.get(stamp_ns(message.header.stamp))) is not None:
                write_truth(self.root, frame, message)
                self.written.truths += 1
        images.end()
        self._track.end()
        self.written.frames = len(self._times)

    def finish(self) -> Written:
        """Writes times, calibration and poses, after the last frame.

        Raises:
            DataError: there was no frame.
            OSError: the folder is not writable or full.
        """
        if not self._times:
            raise DataError(f"Expected topic {self.topic} in {self.reader.path} to have messages, got none")
        numbers = [self._number(place) for place in range(len(self._times))]
        start = ours.EPOCH if ours.is_our_time(self.reader.start_time) else self._times[0]
        seconds = np.array([time - start for time in self._times]) / 1e9
        # Frames without a scan have a line as well: between those of their neighbours.
        write_times(self.folder / "times.txt", np.interp(np.arange(numbers[-1] + 1), numbers, seconds))
        calibration = self._calibration()
        if calibration is not None:
            calibration.write(self.folder / "calib.txt")
        self._write_poses(numbers, calibration)
        return self.written

    def _topics(self) -> list[str]:
        tables = [t.name for t in self.reader.topics.values() if t.type in (ours.TF_TYPE, ours.INFO_TYPE)]
        return [*tables, *(name for name in (self.topic, self.image_topic, self._truth_topic) if name)]

    def _take_cloud(self, message: Any, time: int, images: ImagePairing) -> Frame:
        stamp = stamp_ns(message.header.stamp)
        frame = Frame(self.sequence, self._number(len(self._times)))
        self._write_scan(frame, message, time)
        self._times.append(stamp)
        self._track.add_cloud(message.header)
        self._by_stamp[stamp] = frame
        while len(self._by_stamp) > 100:  # truth comes with its cloud, at most some frames later
            self._by_stamp.pop(next(iter(self._by_stamp)))
        images.cloud(stamp, frame)
        return frame

    def _write_scan(self, frame: Frame, message: Any, time: int) -> None:
        where = f"{self.topic} at {time} ns"
        path = self.folder / "velodyne" / f"{frame.index:06d}.bin"
        if path.is_file():
            self.written.skipped += 1
        try:
            own = self._is_ours and _is_own_layout(message)
            points, labels = self._own_points(message, where) if own else self._foreign_points(message, where)
        except CloudError as error:
            if error.code != "EMPTY":
                raise DataError(f"{error} ({self.reader.path})") from error
            points, labels = np.zeros((0, 4), np.float32), None
        if labels is not None:
            write_array(self.folder / "labels" / f"{frame.index:06d}.label", labels)
        if not path.is_file():
            write_array(path, points.astype("<f4", copy=False))

    @staticmethod
    def _own_points(message: Any, where: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Points and labels as the dataset had them, bit by bit."""
        layout = check_cloud(message, where)
        names = [field.name for field in message.fields]
        dtype = np.dtype({
            "names": names, "formats": ["<f4"] * 4 + ["<u4"] * (len(names) - 4),
            "offsets": [int(field.offset) for field in message.fields], "itemsize": layout.point_step,
        })
        rows = np.frombuffer(message.data, dtype)
        points = np.stack([rows[name] for name in names[:4]], axis=1)
        return points, np.ascontiguousarray(rows["label"]) if "label" in names else None

    def _foreign_points(self, message: Any, where: str) -> tuple[np.ndarray, None]:
        cloud = decode_cloud(message, where, min_range=NEAREST, scale=self._scale)
        self.written.removed += cloud.removed
        for note in cloud.notes:
            if note not in self.written.notes:
                self.written.notes.append(note)
        return cloud.points, None

    def _write_image(self, frame: Frame, message: Any) -> None:
        path = self.folder / "image_2" / f"{frame.index:06d}.png"
        if not path.is_file():
            decode = decode_compressed if hasattr(message, "format") else decode_image
            write_png(path, decode(message, str(self.image_topic)))
        self.written.images += 1

    def _find_images(self, name: str | None) -> str | None:
        if name is not None:
            topic = require_topic(self.reader, name)
            if topic.type not in IMAGE_TYPES:
                rule = f"topic {name} in {self.reader.path} to be of type {' or '.join(IMAGE_TYPES)}"
                raise DataError(f"Expected {rule}, got {topic.type}")
            return name
        found = [t for t in self.reader.topics.values() if t.type in IMAGE_TYPES and t.count]
        left = ours.image_topic(2)  # what image_2 is for
        if self._is_ours and any(topic.name == left for topic in found):
            return left
        if len(found) > 1:
            self.written.notes.append(f"no images taken, because there are several topics: {listed(found)}")
        return found[0].name if len(found) == 1 else None

    def _find_truth(self) -> str | None:
        topic = self.reader.topics.get(ours.TRUTH_TOPIC)
        return topic.name if topic and topic.type == ours.GRID_TYPE and topic.count else None

    def _frame_numbers(self) -> list[int] | None:
        """Numbers that the bag gives its frames; None: counted from 0."""
        if self.count > MAX_FRAMES:
            raise DataError(f"Expected {self.topic} to have at most {MAX_FRAMES:,} clouds, got {self.count:,}")
        text = self.reader.custom_data.get(FRAMES_KEY)
        if text is None:
            return None
        try:
            numbers = numbers_of(text)
        except ValueError:
            numbers = []
        if len(numbers) < self.count:
            raise DataError(f"Expected {FRAMES_KEY} in the metadata of {self.reader.path} to number its {self.count} "
                            f"clouds, got {text[:60]!r}")
        return numbers

    def _number(self, place: int) -> int:
        return place if self._numbers is None else self._numbers[place]

    def _calibration(self) -> Calibration | None:
        """Where the camera's projection and its place are known."""
        if self._is_ours:
            info = self._cameras.get(ours.info_topic(2))
            known = {i: self._cameras[ours.info_topic(i)] for i in (0, 1, 3) if ours.info_topic(i) in self._cameras}
            others = {f"p{i}": np.array(other.p, np.float64).reshape(3, 4) for i, other in known.items()}
            return None if info is None else calibration_of(self._track, info, others)
        beside = f"{str(self.image_topic).rsplit('/', 1)[0]}/camera_info"
        info = self._cameras.get(beside)
        if info is None and len(self._cameras) == 1:
            info = next(iter(self._cameras.values()))
        return None if info is None else calibration_of(self._track, info, {})

    def _write_poses(self, numbers: list[int], calibration: Calibration | None) -> None:
        frame_id, known, count = self._track.frame_id, self._track.known, len(numbers)
        poses = [pose for pose in self._track.poses if pose is not None]
        if known < count:
            why = f"{count - known} of {count} clouds lie outside the time of the transforms to '{frame_id}'"
            none = f"no transform over time leads to '{frame_id}'"
            self.written.notes.append(f"no poses.txt: {why if known else none}")
            return
        if calibration is None:
            calibration = Calibration(_AXES, _NO_CAMERA)
            calibration.write(self.folder / "calib.txt")
            self.written.notes.append("calib.txt stands for a camera in the LiDAR's place: the bag tells of none")
        every = filled_poses(poses, numbers)
        if not self._is_ours:  # a sequence begins at its first scan
            every = np.linalg.inv(every[0]) @ every
        write_poses(self.folder / "poses.txt", every, calibration)
        self.written.poses = True


def _is_own_layout(message: Any) -> bool:
    """Whether a cloud has the fields, types and order that ``to_bag`` writes."""
    fields = [(field.name, field.datatype, field.count) for field in message.fields]
    plain = not message.is_bigendian and message.row_step == message.width * message.point_step
    return plain and len(fields) >= 4 and fields == _OWN_FIELDS[: len(fields)]


def _two_digits(name: str) -> str:
    """The name of a sequence in SemanticKITTI's layout: its own, or a drive's number of KITTI or KITTI-360.

    >>> _two_digits("08"), _two_digits("2013_05_28_drive_0009_sync"), _two_digits("../..")
    ('08', '09', '00')
    """
    found = re.fullmatch(r"(?:[0-9_]{10}_drive_00)?([0-9]{2})(?:_sync)?", name)
    return found[1] if found else "00"
