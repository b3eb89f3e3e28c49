"""Camera images and calibrations as they come, and each camera's image that belongs to a cloud."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pasco_core.data.camera_image import PosedImage
from pasco_core.data.image_message import decode_compressed, decode_image
from pasco_core.errors import ImageError, TransformError
from pasco_core.geometry.camera_model import CameraModel, camera_model
from pasco_core.geometry.poses import pose_matrix
from pasco_core.geometry.trajectory import rigid_inverse
from pasco_core.stream.frame_resolver import FrameResolver
from pasco_core.stream.header_checks import stamp_ns
from pasco_ros.inputs.ego_motion import EgoMotion
from pasco_ros.settings.node_config import NodeConfig
from pasco_ros.settings.sensor_settings import COMPRESSED

_KEPT = 4  # images of a camera that wait for a cloud


class Camera:
    """One camera; its messages come in the executor's thread, the computing thread asks.

    Args:
        topic: of its images, resolved.
        number: of the camera in the settings.
        config: the settings when the node was configured.
    """

    def __init__(self, topic: str, number: int, config: NodeConfig) -> None:
        self.image_topic = f"{topic}/compressed" if config.camera_transport == COMPRESSED else topic
        self.info_topic = f"{topic.rsplit('/', 1)[0]}/camera_info"
        self.number = number
        self.used = 0
        self._problem = ""
        self._decode = decode_compressed if config.camera_transport == COMPRESSED else decode_image
        self._rectified = config.cameras_rectified
        self._lock = threading.Lock()
        self._images: deque[Any] = deque(maxlen=_KEPT)
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
        """Take one Image or CompressedImage."""
        with self._lock:
            self._images.append(message)

    def receive_info(self, message: Any) -> None:
        """Take one CameraInfo."""
        with self._lock:
            self._info = message

    def nearest(self, stamp: int, tolerance: float) -> Any:
        """The image nearest in time to a stamp in ns.

        Raises:
            ImageError: code TIME: there is none within ``tolerance`` seconds.
        """
        with self._lock:
            images = list(self._images)
        best = min(images, key=lambda image: abs(stamp_ns(image.header.stamp) - stamp), default=None)
        off = None if best is None else (stamp_ns(best.header.stamp) - stamp) / 1e9
        if off is None or abs(off) > tolerance:
            got = "none" if off is None else f"the nearest {off:+.3f} s away"
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
    """All cameras of the node; for the computing thread.

    Args:
        topics: of their images, resolved.
        config: the settings when the node was configured.
        resolver: where they are.
        motion: how the vehicle moves between image and cloud, where that is known.
    """

    def __init__(
        self, topics: Sequence[str], config: NodeConfig, resolver: FrameResolver, motion: EgoMotion | None
    ) -> None:
        self.all = tuple(Camera(topic, number, config) for number, topic in enumerate(topics))
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
            except (ImageError, TransformError) as error:
                camera.took(str(error))
        return tuple(images)

    def _posed(self, camera: Camera, header: Any, config: NodeConfig) -> PosedImage:
        message = camera.nearest(stamp_ns(header.stamp), config.camera_tolerance)
        rgb, model = camera.decoded(message)
        own = message.header
        if config.base_frame:  # a cloud waits for transforms, but not for those of a camera
            mounted = self._resolver.in_base(own, replace(config, tf_timeout=0.0))
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


def _numbers(info: Any) -> tuple[Any, ...]:
    """Everything of a CameraInfo but its header, to compare calibrations."""
    roi = info.roi
    return (
        info.width, info.height, info.distortion_model, tuple(info.d), tuple(info.k), tuple(info.r), tuple(info.p),
        info.binning_x, info.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height,
    )
