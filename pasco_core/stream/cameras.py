"""Camera images and calibrations as they come, and each camera's image that belongs to a cloud."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pasco_core.data.camera_image import PosedImage
from pasco_core.data.image_message import decode_compressed, decode_image
from pasco_core.errors import ImageError, TransformError
from pasco_core.geometry.camera_model import CameraModel, camera_model
from pasco_core.geometry.poses import pose_matrix
from pasco_core.geometry.trajectory import rigid_inverse
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.sensor_settings import COMPRESSED
from pasco_core.stream.ego_motion import EgoMotion
from pasco_core.stream.frame_resolver import FrameResolver
from pasco_core.stream.header_checks import stamp_ns

_KEPT = 4  # images of a camera that wait for a cloud
_PACKED = "/compressed"


@dataclass(frozen=True)
class CameraTopics:
    """Where the messages of a camera come from.

    Args:
        image: topic of its images, resolved.
        info: topic of its calibration.
        compressed: whether its images are sensor_msgs/CompressedImage.
        number: of the camera in the settings.
    """

    image: str
    info: str
    compressed: bool = False
    number: int = 0

    @classmethod
    def of(cls, topic: str, transport: str, number: int = 0) -> CameraTopics:
        """By the node's rules: compressed images are below the image topic, the calibration is beside it.

        >>> CameraTopics.of("/front/image_raw", "compressed").image
        '/front/image_raw/compressed'
        """
        compressed = transport == COMPRESSED
        return cls(topic + _PACKED if compressed else topic, info_topic_of(topic), compressed, number)


def info_topic_of(image_topic: str) -> str:
    """Where the calibration of images, raw or compressed ones, is expected.

    >>> info_topic_of("/front/image_raw"), info_topic_of("/front/image_raw/compressed")
    ('/front/camera_info', '/front/camera_info')
    """
    return f"{image_topic.removesuffix(_PACKED).rsplit('/', 1)[0]}/camera_info"


class Camera:
    """One camera; its messages may come in another thread than the one that asks.

    Args:
        topics: where its messages come from.
        rectified: whether its images are rectified already.
        waiting: stamps in ns of clouds whose nearest image is kept although newer ones come.
        kept: how many of the newest images are kept in any case.
    """

    def __init__(
        self, topics: CameraTopics, rectified: bool, waiting: Callable[[], Sequence[int]] = tuple, kept: int = _KEPT
    ) -> None:
        self.image_topic, self.info_topic, self.number = topics.image, topics.info, topics.number
        self.used = 0
        self._problem = ""
        self._decode = decode_compressed if topics.compressed else decode_image
        self._rectified = rectified
        self._waiting, self._kept = waiting, kept
        self._lock = threading.Lock()
        self._images: list[Any] = []
        self._info: Any = None
        self._model: tuple[Any, CameraModel] | None = None

    @property
    def problem(self) -> str:
        """Why it is off or behind, "" where it is not."""
        return self._problem if self._images else f"No image has come on {self.image_topic}"

    def took(self, problem: str) -> None:
        """Remember how the last use of the camera went: "" where its image was used."""
        self.used += problem == ""
        self._problem = problem

    def receive_image(self, message: Any) -> None:
        """Take one Image or CompressedImage; older ones are forgotten but for the newest and those waited for."""
        with self._lock:
            images = [*self._images, message]
            asked_for = {id(_nearest(images, stamp)) for stamp in self._waiting()}
            old = [image for image in images[: -self._kept] if id(image) in asked_for]
            self._images = [*old, *images[-self._kept :]]

    def receive_info(self, message: Any) -> None:
        """Take one CameraInfo."""
        with self._lock:
            self._info = message

    def has_seen(self, stamp: int) -> bool:
        """Whether its calibration is there, and the last image is of a time in ns or a later one."""
        with self._lock:
            seen = bool(self._images) and stamp_ns(self._images[-1].header.stamp) >= stamp
            return seen and self._info is not None

    def nearest(self, stamp: int, tolerance: float) -> Any:
        """The image nearest in time to a stamp in ns.

        Raises:
            ImageError: code TIME: there is none within ``tolerance`` seconds.
        """
        with self._lock:
            images = list(self._images)
        best = _nearest(images, stamp)
        off = None if best is None else stamp_ns(best.header.stamp) - stamp
        if off is None or abs(off) > tolerance * 1e9:
            got = "none"
            if off is not None:
                got = f"the nearest {round(abs(off) / 1e6)} ms {'before' if off < 0 else 'after'} it"
            raise ImageError(f"Expected an image on {self.image_topic} within {tolerance:g} s of the cloud, got {got}",
                             "TIME")
        return best

    def decoded(self, message: Any) -> tuple[np.ndarray, CameraModel]:
        """Picture and intrinsics of one of the images.

        Raises:
            ImageError: the image or the calibration cannot be used, or their sizes differ.
        """
        model = self._current_model()
        rgb = self._decode(message, self.image_topic)
        if rgb.shape[:2] != (model.height, model.width):
            raise ImageError(
                f"Expected the image on {self.image_topic} to have the size of {self.info_topic}, "
                f"{model.width} x {model.height}, got {rgb.shape[1]} x {rgb.shape[0]}", "SIZE"
            )
        return rgb, model

    def _current_model(self) -> CameraModel:
        """The model of the newest calibration; kept while its numbers stay, because it holds tables."""
        with self._lock:
            info = self._info
        if info is None:
            raise ImageError(f"Expected a calibration on {self.info_topic}, got none so far", "CALIBRATION")
        numbers = _numbers(info)
        if self._model is None or self._model[0] != numbers:
            self._model = (numbers, camera_model(info, self._rectified, self.info_topic))
        return self._model[1]


class Cameras:
    """All cameras beside a LiDAR; for the computing thread.

    Args:
        topics: where their messages come from, in the order of the settings.
        config: the settings at the start.
        resolver: where they are.
        motion: how the vehicle moves between image and cloud, where that is known.
        waiting: stamps in ns of clouds whose nearest images are kept although newer ones come.
    """

    def __init__(
        self, topics: Sequence[CameraTopics], config: NodeConfig, resolver: FrameResolver, motion: EgoMotion | None,
        waiting: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        self.all = tuple(Camera(own, config.cameras_rectified, waiting) for own in topics)
        self._resolver = resolver
        self._motion = motion

    def images_at(self, header: Any, config: NodeConfig) -> tuple[PosedImage, ...]:
        """What the cameras saw at the time of a cloud, posed in the network's frame; without those that are off.

        Args:
            header: of the cloud.
            config: the settings.
        """
        images = []
        for camera in self.all:
            try:
                images.append(self._posed(camera, header, config))
                camera.took("")
            except (ImageError, TransformError) as error:  # that camera is off, the LiDAR goes on
                camera.took(str(error))
        return tuple(images)

    def _posed(self, camera: Camera, header: Any, config: NodeConfig) -> PosedImage:
        message = camera.nearest(stamp_ns(header.stamp), config.camera_tolerance)
        rgb, model = camera.decoded(message)
        own = message.header
        if config.base_frame:  # a cloud waits for transforms, but not for those of a camera
            mounted = self._resolver.in_frame(config.base_frame, own)
        else:
            mounted = pose_matrix(config.camera_poses[6 * camera.number : 6 * camera.number + 6])
        pose = np.linalg.inv(pose_matrix(config.network_pose)) @ self._moved(own, header, config) @ mounted
        return PosedImage(rgb, model, pose, stamp_ns(own.stamp), own.frame_id)

    def _moved(self, image: Any, cloud: Any, config: NodeConfig) -> np.ndarray:
        """Pose (4, 4) of the vehicle at the image's time in its frame at the cloud's; the identity if not known."""
        if self._motion is None:
            return np.eye(4)
        sensor = self._resolver.in_base(cloud, config)
        times = np.array([stamp_ns(cloud.stamp), stamp_ns(image.stamp)])
        poses = self._motion.poses_of(cloud, sensor, config)(times)
        if poses is None:
            return np.eye(4)
        return sensor @ rigid_inverse(poses[0]) @ poses[1] @ rigid_inverse(sensor)


def _nearest(images: Sequence[Any], stamp: int) -> Any:
    """The image nearest in time to a stamp in ns, the earlier of two; None where there is none."""
    return min(images, key=lambda image: abs(stamp_ns(image.header.stamp) - stamp), default=None)


def _numbers(info: Any) -> tuple[Any, ...]:
    """Everything of a CameraInfo but its header, to compare calibrations."""
    roi = info.roi
    return (
        info.width, info.height, info.distortion_model, tuple(info.d), tuple(info.k), tuple(info.r), tuple(info.p),
        info.binning_x, info.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height,
    )
