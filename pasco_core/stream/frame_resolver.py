"""Where a cloud's sensor stood, and where the scene made of the cloud lies in the frame of the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pasco_core.errors import TransformError
from pasco_core.geometry.poses import moved_points, pose_matrix
from pasco_core.geometry.transform_buffer import UNKNOWN_FRAME
from pasco_core.settings.frame_settings import BASE, FrameSettings
from pasco_core.stream.header_checks import stamp_ns


class Transforms(Protocol):
    """What waits for transforms, such as ``TransformListener``."""

    def lookup(self, target: str, source: str, at: int, timeout: float) -> np.ndarray:
        """The transform (4, 4) from ``source`` to ``target`` at a time in ns; TransformError after ``timeout`` s."""


@dataclass(frozen=True)
class Placement:
    """Where one cloud and its scene are.

    Args:
        header: std_msgs/Header, of rclpy or of a bag, with the stamp of the cloud and the frame of the outputs.
        sensor: pose (4, 4) of the cloud's frame in the network's frame; None where they are the same.
        grid: pose (4, 4) of the network's frame, in which the scene's grid lies, in the frame of the outputs; None
            where they are the same.
    """

    header: Any
    sensor: np.ndarray | None = None
    grid: np.ndarray | None = None

    def in_network(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 4) of the cloud, x y z intensity, in the network's frame; of the same type."""
        if self.sensor is None:
            return points
        moved = points.copy()
        moved[:, :3] = moved_points(points[:, :3], self.sensor)
        return moved


class FrameResolver:
    """Finds the placement of clouds; where transforms are waited for, not for the thread that takes them in.

    Args:
        transforms: where transforms come from; None without a base_frame.
    """

    def __init__(self, transforms: Transforms | None = None) -> None:
        self._transforms = transforms

    def in_base(self, header: Any, config: FrameSettings) -> np.ndarray:
        """Pose (4, 4) of a cloud's frame in base_frame at its stamp, or what ``sensor_pose`` says.

        Args:
            header: frame and stamp of the cloud.
            config: the settings.

        Raises:
            TransformError: there is no such transform, or it did not come within ``tf_timeout``.
        """
        if self._transforms is None:
            return pose_matrix(config.sensor_pose)
        return self.in_frame(config.base_frame, header, config.tf_timeout)

    def in_frame(self, frame: str, header: Any, timeout: float = 0.0) -> np.ndarray:
        """Pose (4, 4) in another frame of the frame of a header, at its stamp, by /tf.

        Args:
            frame: name of the other frame.
            header: frame and stamp.
            timeout: how long the transform may be waited for, seconds.

        Raises:
            TransformError: there is no such transform, no /tf is read, or it did not come within ``timeout``.
        """
        if self._transforms is None:
            raise TransformError(
                f"Expected base_frame to be set, so that /tf tells where {header.frame_id!r} is in {frame!r}, got ''",
                UNKNOWN_FRAME,
            )
        return self._transforms.lookup(frame, header.frame_id, stamp_ns(header.stamp), timeout)

    def place(self, header: Any, config: FrameSettings) -> Placement:
        """Where the cloud with this header, and its scene, are.

        Raises:
            TransformError: as ``in_base``.
        """
        network = pose_matrix(config.network_pose)
        sensor = np.linalg.inv(network) @ self.in_base(header, config)
        if config.output_frame == BASE:
            own = type(header)(stamp=header.stamp, frame_id=config.base_frame)
            return Placement(own, _unless_same(sensor), network)
        return Placement(header, _unless_same(sensor), _unless_same(np.linalg.inv(sensor)))


def _unless_same(pose: np.ndarray) -> np.ndarray | None:
    return None if np.allclose(pose, np.eye(4), rtol=0, atol=1e-12) else pose
