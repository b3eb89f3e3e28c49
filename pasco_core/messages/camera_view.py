"""A scene as cameras see it: the overlay picture and the cameras' colours of voxels, made when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pasco_core.data.camera_image import PosedImage
from pasco_core.prediction import ScenePrediction
from pasco_core.viz.overlay import camera_colours, draw_overlay, visible_voxels
from pasco_core.viz.voxel_rays import VoxelHits


class CameraView:
    """One scene and the images of its time.

    Args:
        types: message classes by the short names of ``MESSAGE_TYPES``.
        scene: the prediction.
        images: posed in its frame; none is fine.
    """

    def __init__(self, types: Any, scene: ScenePrediction, images: Sequence[PosedImage]) -> None:
        self._types = types
        self._scene = scene
        self._images = images
        self._found: dict[int, VoxelHits] = {}

    def overlay(self) -> Any:
        """The scene drawn into the first image, under the image's own stamp and frame."""
        image, types = self._images[0], self._types
        sec, nanosec = divmod(image.stamp, 1_000_000_000)
        header = types.Header(stamp=types.Time(sec=sec, nanosec=nanosec), frame_id=image.frame)
        return image_message(types, draw_overlay(self._scene, image, self._hits(0)), header)

    def colours(self) -> tuple[np.ndarray, np.ndarray]:
        """Flat indices (M,) of the voxels that cameras see, ascending, and their colours (M, 3) uint8."""
        return camera_colours(self._images, [self._hits(number) for number in range(len(self._images))])

    def _hits(self, number: int) -> VoxelHits:
        """What an image sees; kept, since both the picture and the colours ask."""
        if number not in self._found:
            self._found[number] = visible_voxels(self._scene, self._images[number])
        return self._found[number]


def image_message(types: Any, rgb: np.ndarray, header: Any) -> Any:
    """A sensor_msgs/Image in rgb8 of a picture (H, W, 3) uint8."""
    return types.Image(header=header, height=rgb.shape[0], width=rgb.shape[1], encoding="rgb8", is_bigendian=0,
                       step=3 * rgb.shape[1], data=rgb.tobytes())
