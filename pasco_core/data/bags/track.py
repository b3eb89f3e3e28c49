"""Where the LiDAR of a bag was at each cloud, and where the camera is on it: from /tf, /tf_static and CameraInfo."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from pasco_core.data.datasets.calibration import Calibration
from pasco_core.errors import TransformError
from pasco_core.geometry.poses import quaternion_of, rigid_matrix, slerp
from pasco_core.geometry.transform_buffer import FUTURE
from pasco_core.geometry.transform_tree import TransformTree
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.stream.stamped_transform import insert_stamped

REACH = 100_000_000
"""Nanoseconds before the first and after the last transform for which these are taken to hold."""

_WINDOW = 30.0
_WAITING = 1000


class Track:
    """Poses of the clouds' frame in the topmost frame above it; memory for some seconds of transforms only.

    Attributes:
        frame_id: frame of the clouds, "" before the first.
        poses: (4, 4) of each cloud, None where the transforms tell none.
        ignored: transforms that could not be used.
    """

    def __init__(self) -> None:
        self.frame_id = ""
        self.poses: list[np.ndarray | None] = []
        self.ignored = 0
        self._tree = TransformTree(_WINDOW)
        self._root: str | None = None
        self._waiting: list[tuple[int, int]] = []

    def add_transforms(self, message: Any, static: bool) -> None:
        """Take in a tf2_msgs/msg/TFMessage."""
        for stamped in message.transforms:
            try:
                insert_stamped(self._tree, stamped, static)
            except TransformError:
                self.ignored += 1
        self._settle(final=False)

    def add_cloud(self, header: Any) -> None:
        """A cloud whose pose is wanted."""
        self.frame_id = header.frame_id
        self._waiting.append((len(self.poses), stamp_ns(header.stamp)))
        self.poses.append(None)
        self._settle(final=len(self._waiting) > _WAITING)

    def end(self) -> None:
        """No further transform will come."""
        self._settle(final=True)

    @property
    def known(self) -> int:
        """Clouds with a pose."""
        return sum(pose is not None for pose in self.poses)

    def mount(self, camera_frame: str) -> np.ndarray | None:
        """(4, 4) from the clouds' frame to a camera's, None where no fixed transforms connect them."""
        try:
            if self._tree.newest_common(camera_frame, self.frame_id) is not None:
                return None
            return self._tree.lookup(camera_frame, self.frame_id)
        except TransformError:
            return None

    def _settle(self, final: bool) -> None:
        """Finds the poses of waiting clouds, as far as transforms of their time are there."""
        while self._waiting:
            place, time = self._waiting[0]
            pose, wait = self._pose(time)
            if wait and not final:
                return
            self.poses[place] = pose
            self._waiting.pop(0)

    def _pose(self, time: int) -> tuple[np.ndarray | None, bool]:
        """The pose at a time, and whether a later transform may tell a better one."""
        root = self._root or self._top()
        try:
            newest = self._tree.newest_common(root, self.frame_id)
            if newest is None:  # nothing moves yet
                return None, True
            self._root = root
            return self._tree.lookup(root, self.frame_id, time), False
        except TransformError as error:
            return self._nearest(root, time), error.reason == FUTURE or self._root is None

    def _nearest(self, root: str, time: int) -> np.ndarray | None:
        """The pose at the newest time that is known, if that is near."""
        try:
            newest = self._tree.newest_common(root, self.frame_id)
            near = newest is not None and abs(newest - time) <= REACH
            return self._tree.lookup(root, self.frame_id, newest) if near else None
        except TransformError:
            return None

    def _top(self) -> str:
        frame = self.frame_id
        while (link := self._tree.link_of(frame)) is not None:
            frame = link.parent
        return frame


def calibration_of(track: Track, info: Any, others: dict[str, np.ndarray]) -> Calibration | None:
    """The calibration of a bag with one camera; None where the camera's place is not known.

    Args:
        track: with the bag's transforms.
        info: sensor_msgs/msg/CameraInfo of the camera.
        others: projections (3, 4) of further cameras by their name in ``Calibration``.
    """
    mount = track.mount(info.header.frame_id)
    return None if mount is None else Calibration(mount, np.array(info.p, np.float64).reshape(3, 4), **others)


def filled_poses(poses: list[np.ndarray], numbers: list[int]) -> np.ndarray:
    """Poses (N, 4, 4) of the frames 0 to the last number; those between two known ones are interpolated.

    Args:
        poses: of some frames.
        numbers: of these frames, ascending; before the first one its pose is taken.
    """
    every = np.repeat(np.asarray(poses[:1]), numbers[-1] + 1, axis=0)
    every[numbers] = poses
    for (first, start), (last, end) in pairwise(zip(numbers, poses)):
        for number in range(first + 1, last):
            share = (number - first) / (last - first)
            place = (1 - share) * start[:3, 3] + share * end[:3, 3]
            turn = slerp(quaternion_of(start), quaternion_of(end), share)
            every[number] = rigid_matrix(place.tolist(), turn.tolist())
    return every
