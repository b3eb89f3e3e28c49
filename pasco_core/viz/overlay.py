"""The scene drawn into a camera's picture: every pixel asks which voxel it sees, so the nearest hides the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from pasco_core.data.camera_image import PosedImage
from pasco_core.geometry.camera_model import RAY_STRIDE
from pasco_core.prediction import ScenePrediction
from pasco_core.viz.palette import instance_colours
from pasco_core.viz.voxel_rays import VoxelHits, cast_voxels

UNKNOWN_CLASS = 255
_OPACITY = 0.5
_HOLE = (5, 5)  # rays; smaller holes in an instance get no line around them


class ImageEye:
    """A posed camera as ``cast_voxels`` asks for it, with the pixels that it has rays for."""

    def __init__(self, image: PosedImage) -> None:
        self._rays = image.camera.ray_table
        self._turn = image.pose[:3, :3]
        camera, place = image.camera, image.pose[:3, 3]
        if camera.shift is not None:  # the image's rays start beside the origin of the optical frame
            turn = np.eye(3) if camera.turn is None else camera.turn
            place = place - self._turn @ turn.T @ camera.shift
        x, y, z = place.tolist()
        self.position = (x, y, z)
        self.height, self.width = self._rays.shape[:2]

    def ray_directions(self) -> np.ndarray:
        """Directions (height, width, 3) float64; a step of 1 goes 1 m deeper."""
        return self._rays @ self._turn.T


def visible_voxels(scene: ScenePrediction, image: PosedImage) -> VoxelHits:
    """The nearest occupied voxel that every ``RAY_STRIDE``-th pixel of an image sees."""
    occupied = (scene.semantics != 0) & (scene.semantics != UNKNOWN_CLASS)
    return cast_voxels(occupied, scene.grid, ImageEye(image))


def draw_overlay(scene: ScenePrediction, image: PosedImage, hits: VoxelHits) -> np.ndarray:
    """The picture, tinted with the classes of what it shows, and a line around every instance.

    Args:
        scene: the prediction.
        image: the picture.
        hits: what ``visible_voxels`` returned for them.

    Returns:
        (height, width, 3) uint8.
    """
    seen = hits.voxel >= 0
    flat = np.where(seen, hits.voxel, 0)
    colours = scene.labels.colours[np.where(seen, scene.semantics.reshape(-1)[flat], 0)].astype(np.float32)
    weight = np.where(seen, np.float32(_OPACITY), np.float32(0.0))
    things = np.array([0, *(segment.id for segment in scene.segments if segment.is_thing)])
    number = np.where(seen, scene.panoptic.reshape(-1)[flat], 0)
    number = ndimage.grey_closing(np.where(np.isin(number, things), number, 0), _HOLE)
    line = _border(number)
    colours[line] = instance_colours(_largest_around(number)[line])
    weight[line] = 1.0
    return _mixed(image, colours, weight)


def tint_image(
    image: PosedImage, hits: VoxelHits, colours: np.ndarray, shown: np.ndarray, opacity: float
) -> np.ndarray:
    """The picture (height, width, 3) uint8, tinted where some voxels are seen in it.

    Args:
        image: the picture.
        hits: what ``visible_voxels`` returned for it.
        colours: (voxels of the grid, 3) uint8, or the same with the grid's three axes.
        shown: which voxels tint it: bool, flat or with the grid's axes.
        opacity: of the tint, 0 to 1.
    """
    flat = np.where(hits.voxel >= 0, hits.voxel, 0)
    tinted = (hits.voxel >= 0) & shown.reshape(-1)[flat]
    return _mixed(image, colours.reshape(-1, 3)[flat], np.where(tinted, np.float32(opacity), np.float32(0.0)))


def camera_colours(images: Sequence[PosedImage], hits: Sequence[VoxelHits]) -> tuple[np.ndarray, np.ndarray]:
    """What colour the voxels have that cameras see.

    Args:
        images: the pictures.
        hits: what ``visible_voxels`` returned for each.

    Returns:
        Flat voxel indices (M,) ascending, and their mean colours (M, 3) uint8 over all pixels that see them.
    """
    voxels, pixels = [np.zeros(0, np.int64)], [np.zeros((0, 3), np.uint8)]
    for image, hit in zip(images, hits, strict=True):
        seen = hit.voxel >= 0
        voxels.append(hit.voxel[seen].astype(np.int64))
        pixels.append(image.rgb[::RAY_STRIDE, ::RAY_STRIDE][seen])
    found, row, count = np.unique(np.concatenate(voxels), return_inverse=True, return_counts=True)
    values = np.concatenate(pixels)
    means = [np.bincount(row, values[:, channel], len(found)) / count for channel in range(3)]
    return found, np.rint(np.stack(means, axis=-1)).astype(np.uint8)


def _mixed(image: PosedImage, colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The picture with colours of every ``RAY_STRIDE``-th pixel laid over it, each with its weight 0 to 1."""
    colours, weight = (_enlarged(values, image.rgb.shape) for values in (colours, weight))
    mixed = image.rgb * (1.0 - weight[..., None]) + colours * weight[..., None]
    return np.rint(mixed).astype(np.uint8)


def _border(number: np.ndarray) -> np.ndarray:
    """Bool (H, W): pixels beside which another number begins."""
    border = np.zeros(number.shape, bool)
    border[:, 1:] |= number[:, 1:] != number[:, :-1]
    border[1:] |= number[1:] != number[:-1]
    return border


def _largest_around(number: np.ndarray) -> np.ndarray:
    """The largest number of a pixel and of those to the left and above, so that a line has its instance's colour."""
    largest = number.copy()
    largest[:, 1:] = np.maximum(largest[:, 1:], number[:, :-1])
    largest[1:] = np.maximum(largest[1:], number[:-1])
    return largest


def _enlarged(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values of every ``RAY_STRIDE``-th pixel for the pixels of a whole picture."""
    return values.repeat(RAY_STRIDE, axis=0)[: shape[0]].repeat(RAY_STRIDE, axis=1)[:, : shape[1]]
