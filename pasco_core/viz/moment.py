"""What there is to be shown of one moment: a scan, a scene, a camera's image, or several of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.camera_image import PosedImage
from pasco_core.geometry import KITTI_GRID, VoxelGrid
from pasco_core.prediction import ScenePrediction


@dataclass(frozen=True)
class Moment:
    """One moment; what is not known of it is None.

    Args:
        name: what it is called, such as "08/000005".
        scene: predicted or true voxels.
        points: (N, 3 or more) metres, in the frame of the scene.
        image: what a camera saw, posed in the same frame.
        is_truth: whether the scene is the truth, which has no uncertainty.
        stamp: nanoseconds since 1970, where the source tells one; 0 where it does not.
    """

    name: str
    scene: ScenePrediction | None = None
    points: np.ndarray | None = None
    image: PosedImage | None = None
    is_truth: bool = False
    stamp: int = 0

    @property
    def grid(self) -> VoxelGrid:
        """The scene's grid, or the one it would be completed on."""
        return self.scene.grid if self.scene is not None else KITTI_GRID
