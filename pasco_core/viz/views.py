"""The three points of view: from behind and above the car, from straight above, and through the car's camera."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from PIL import Image

from pasco_core.data.camera_image import PosedImage
from pasco_core.errors import DataError
from pasco_core.geometry import VoxelGrid
from pasco_core.viz.camera import chase_camera
from pasco_core.viz.canvas import FAINT_INK
from pasco_core.viz.map_picture import CityMap
from pasco_core.viz.moment import Moment
from pasco_core.viz.overlay import ImageEye, tint_image
from pasco_core.viz.point_picture import NIGHT, render_points
from pasco_core.viz.stage import NIGHT_INK, backdrop, draw_marks, unknown_columns
from pasco_core.viz.voxel_picture import BACKGROUND, VoxelView
from pasco_core.viz.voxel_rays import VoxelHits, cast_voxels

THIRD_PERSON, BIRDS_EYE, CAMERA = "third-person", "birds-eye", "camera"
VIEWS = (THIRD_PERSON, BIRDS_EYE, CAMERA)
_SHINES = 0.5  # how much of a camera's image is seen through the colours of lit voxels


class View(Protocol):
    """A point of view on one moment, of which several pictures are drawn."""

    def scene(
        self, occupied: np.ndarray, colours: np.ndarray, shading: float, shown: np.ndarray | None = None
    ) -> np.ndarray:
        """The picture (height, width, 3) uint8 of voxels.

        Args:
            occupied: bool, of the grid's shape.
            colours: (X, Y, Z, 3) uint8.
            shading: 1 for colours as the light makes them, of a lamp or of the camera's image; 0 for flat colours.
            shown: the voxels that matter, of the grid's shape; a camera's image stays as it is elsewhere.
        """
        ...

    def cloud(self, points: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """The picture (height, width, 3) uint8 of points (N, 3 or more) with colours (N, 3) uint8."""
        ...


def view_of(name: str, moment: Moment, width: int, height: int, supersample: int) -> View:
    """The view of one of ``VIEWS`` on a moment.

    Raises:
        DataError: the camera's view of a moment without image.
    """
    unknown = None if moment.scene is None else unknown_columns(moment.scene.semantics)
    if name == THIRD_PERSON:
        return ThirdPerson(moment.grid, width, height, supersample, unknown)
    if name == BIRDS_EYE:
        return CityMap(moment.grid, width, height, unknown)
    if moment.image is None:
        raise DataError(f"Expected {moment.name} to have a camera's image and calibration, got none")
    return InCamera(moment.image, moment.grid, width, height)


class ThirdPerson:
    """From behind and above the car.

    Args:
        grid: what is completed.
        width, height: of the pictures.
        supersample: rays per pixel along each axis.
        unknown: bool (X, Y), columns of which nothing is known.
    """

    def __init__(
        self, grid: VoxelGrid, width: int, height: int, supersample: int = 2, unknown: np.ndarray | None = None
    ) -> None:
        self._grid, self._supersample, self._unknown = grid, supersample, unknown
        self._camera = chase_camera(width, height, grid)
        self._day: np.ndarray | None = None
        self._seen: tuple[np.ndarray, VoxelView] | None = None

    def scene(
        self, occupied: np.ndarray, colours: np.ndarray, shading: float, shown: np.ndarray | None = None
    ) -> np.ndarray:
        """As ``View.scene``; rays are cast once for pictures of the same voxels."""
        if self._seen is None or not np.array_equal(self._seen[0], occupied):
            self._seen = occupied, VoxelView(occupied, self._grid, self._camera, self._supersample)
        if self._day is None:
            self._day = backdrop(
                self._grid, self._camera, self._supersample, BACKGROUND, FAINT_INK, self._unknown
            )
        return draw_marks(self._seen[1].picture(colours, self._day, shading), self._grid, self._camera)

    def cloud(self, points: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """As ``View.cloud``."""
        night = backdrop(self._grid, self._camera, self._supersample, NIGHT, NIGHT_INK)
        picture = render_points(points, colours, self._camera, night, self._supersample)
        return draw_marks(picture, self._grid, self._camera)


class InCamera:
    """The camera's image with the scene drawn into it; as large as fits, so smaller than asked for in one direction.

    Args:
        image: posed in the scene's frame.
        grid: of the scene.
        width, height: of the pictures, at most.
    """

    def __init__(self, image: PosedImage, grid: VoxelGrid, width: int, height: int) -> None:
        self._image, self._grid = image, grid
        rows, columns = image.rgb.shape[:2]
        scale = min(width / columns, height / rows)
        self._size = max(1, round(columns * scale)), max(1, round(rows * scale))
        self._seen: tuple[np.ndarray, VoxelHits] | None = None

    def scene(
        self, occupied: np.ndarray, colours: np.ndarray, shading: float, shown: np.ndarray | None = None
    ) -> np.ndarray:
        """As ``View.scene``."""
        if self._seen is None or not np.array_equal(self._seen[0], occupied):
            self._seen = occupied, cast_voxels(occupied, self._grid, ImageEye(self._image))
        seen = occupied if shown is None else shown
        return self._scaled(tint_image(self._image, self._seen[1], colours, seen, 1.0 - _SHINES * shading))

    def cloud(self, points: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """As ``View.cloud``: dots on the image, the nearer in front."""
        pixels, depth = self._image.project(points[:, :3])
        rgb = self._image.rgb.copy()
        with np.errstate(invalid="ignore"):
            inside = ((pixels > 0) & (pixels < (rgb.shape[1] - 1, rgb.shape[0] - 1))).all(axis=1) & (depth > 0)
        order = np.flatnonzero(inside)
        order = order[np.argsort(-depth[order], kind="stable")]
        column, row = np.floor(pixels[order]).astype(np.int64).T
        for across in (0, 1):
            for down in (0, 1):
                rgb[row + down, column + across] = colours[order]
        return self._scaled(rgb)

    def _scaled(self, rgb: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(rgb).resize(self._size, Image.Resampling.LANCZOS))
