"""A picture with everything that is needed to bring it and the scene together: intrinsics, pose and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.geometry.camera_model import CameraModel


@dataclass(frozen=True)
class PosedImage:
    """What one camera saw, as networks and overlays take it.

    Args:
        rgb: (height, width, 3) uint8.
        camera: its intrinsics, for images of this size.
        pose: (4, 4) float64, from the camera's optical frame (x right, y down, z forward) into the frame of the points
            that the scene is made of, at the time of the points.
        stamp: of the image, nanoseconds.
        frame: name of the camera's optical frame.
    """

    rgb: np.ndarray
    camera: CameraModel
    pose: np.ndarray
    stamp: int = 0
    frame: str = "camera"

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 2), NaN without one, and depths (N,) in metres of points (N, 3) in the frame of the scene."""
        turn, position = self.pose[:3, :3], self.pose[:3, 3]
        return self.camera.project((np.asarray(points, np.float64) - position) @ turn)
