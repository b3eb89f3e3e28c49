"""Pictures of voxel grids: shaded cubes in perspective, and the map from above."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry import VoxelGrid
from pasco_core.viz.camera import Camera
from pasco_core.viz.voxel_rays import VoxelHits, cast_voxels

BACKGROUND = (246, 247, 249)

# Light on the sides towards -x, +x, -y, +y, -z, +z: a sun from behind the car on its left.
_LIGHT = np.array([0.80, 0.62, 0.66, 0.84, 0.45, 1.0], np.float32)
_DEPTH_SHADE = 0.16  # how much darker the lowest voxels of a map are
_CREASE_SHADE = 0.55  # how much of the light a face in a tight corner loses
_SEAM_SHADE = 0.16  # how much darker the seam between two cubes near the camera is
_SEAM_PIXELS = (5.0, 16.0)  # a cube this wide shows no seam, this wide shows it fully


class VoxelView:
    """What a camera sees of an occupancy grid, to be coloured as often as wanted.

    Args:
        occupied: bool array of ``grid.shape``.
        grid: where the voxels are.
        camera: the point of view.
        supersample: rays per pixel along each axis, which are averaged.
    """

    def __init__(self, occupied: np.ndarray, grid: VoxelGrid, camera: Camera, supersample: int = 2):
        if occupied.shape != tuple(grid.shape):
            raise DataError(f"Expected the voxel array to be of the grid's shape {grid.shape}, got {occupied.shape}")
        if supersample < 1:
            raise ConfigError(f"Expected supersample to be at least 1, got {supersample}")
        self.supersample = supersample
        hits = cast_voxels(occupied, grid, camera.scaled(supersample))
        self.seen = hits.voxel >= 0
        self._voxel = hits.voxel[self.seen]
        pixels_per_voxel = grid.voxel_size * camera.scaled(supersample).focal_length / hits.depth[self.seen]
        self._light = _LIGHT[hits.face[self.seen]]
        self._light *= _crease_light(occupied, hits)
        self._light *= _seam_light(hits.position[self.seen], pixels_per_voxel)

    def picture(self, colours: np.ndarray, backdrop: np.ndarray | None = None, shading: float = 1.0) -> np.ndarray:
        """The picture (H, W, 3) uint8.

        Args:
            colours: (voxels of the grid, 3) uint8, or the same with the grid's three axes.
            backdrop: (H * supersample, W * supersample, 3) uint8 shown where no voxel is; plain when not given.
            shading: 1 for lit cubes, 0 for flat colours, whose value can be read off a colour bar.
        """
        image = np.empty((*self.seen.shape, 3), np.uint8)
        image[...] = BACKGROUND if backdrop is None else backdrop
        light = (1.0 - shading) + shading * self._light
        image[self.seen] = (colours.reshape(-1, 3)[self._voxel] * light[:, None]).astype(np.uint8)
        return reduce_picture(image, self.supersample)


def render_voxels(
    indices: np.ndarray, palette: np.ndarray, grid: VoxelGrid, camera: Camera, supersample: int = 2
) -> np.ndarray:
    """Shaded cubes, the nearer in front; index 0 is empty.

    Args:
        indices: integers of ``grid.shape``, rows of ``palette``.
        palette: (K, 3) uint8 RGB.
        grid: where the voxels are, in the LiDAR frame.
        camera: the point of view.
        supersample: rays per pixel along each axis, which are averaged.

    Returns:
        (H, W, 3) uint8.

    Raises:
        DataError: ``indices`` is not of the grid's shape, or names a row that the palette does not have.
    """
    _check_indices(indices, palette)
    view = VoxelView(indices != 0, grid, camera, supersample)
    return view.picture(np.asarray(palette, np.uint8)[indices.ravel()])


def birds_eye(occupied: np.ndarray, colours: np.ndarray, scale: int = 2, shading: float = 1.0) -> np.ndarray:
    """The highest occupied voxel of every column, seen from above: forward (+x) is up, left (+y) is left.

    Args:
        occupied: bool (X, Y, Z).
        colours: (X * Y * Z, 3) uint8, or the same with the grid's three axes.
        scale: pixels per voxel along each axis.
        shading: 1: lower voxels are darker; 0: flat colours, whose value can be read off a colour bar.

    Returns:
        (X * scale, Y * scale, 3) uint8; ``BACKGROUND`` where a column is empty.
    """
    if scale < 1:
        raise ConfigError(f"Expected scale to be at least 1, got {scale}")
    if occupied.ndim != 3 or colours.size != 3 * occupied.size:
        raise DataError(f"Expected one colour per voxel of {occupied.shape}, got {colours.shape}")
    depth = occupied.shape[2]
    top = depth - 1 - occupied[:, :, ::-1].argmax(axis=2)
    colour = np.take_along_axis(colours.reshape(*occupied.shape, 3), top[:, :, None, None], axis=2)[:, :, 0]
    light = 1.0 - shading * _DEPTH_SHADE * (1.0 - top / max(depth - 1, 1))
    image = (colour * light[:, :, None]).astype(np.uint8)
    image[~occupied.any(axis=2)] = BACKGROUND
    return image[::-1, ::-1].repeat(scale, axis=0).repeat(scale, axis=1)


def reduce_picture(image: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks of ``factor`` x ``factor`` pixels of a (H * factor, W * factor, 3) uint8 picture."""
    if factor == 1:
        return image
    total = np.full((image.shape[0] // factor, image.shape[1] // factor, 3), factor * factor // 2, np.uint32)
    for row in range(factor):
        for column in range(factor):
            total += image[row::factor, column::factor]
    return (total // (factor * factor)).astype(np.uint8)


def _check_indices(indices: np.ndarray, palette: np.ndarray) -> None:
    if indices.ndim != 3 or indices.dtype.kind not in "iu":
        raise DataError(
            f"Expected the voxel indices to be integers with three axes, got {indices.dtype} {indices.shape}"
        )
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < len(palette):
        raise DataError(
            f"Expected the voxel indices to be rows of the palette, 0 to {len(palette) - 1}, "
            f"got {int(indices.min())} to {int(indices.max())}"
        )


def _crease_light(occupied: np.ndarray, hits: VoxelHits) -> np.ndarray:
    """Light (seen pixels,) left where neighbouring voxels crowd the space in front of a face (ambient occlusion)."""
    crowd = ndimage.uniform_filter(occupied.astype(np.float32), size=3, mode="constant")
    seen = hits.voxel >= 0
    face = hits.face[seen]
    front = list(np.unravel_index(hits.voxel[seen], occupied.shape))
    outside = np.zeros(len(face), bool)
    for axis in range(3):
        front[axis] = front[axis] + np.where(face >> 1 == axis, np.where(face & 1, 1, -1), 0)
        outside |= (front[axis] < 0) | (front[axis] >= occupied.shape[axis])
    front = [np.clip(index, 0, n - 1) for index, n in zip(front, occupied.shape, strict=True)]
    # A flat surface fills a third of the neighbourhood of the cell before it; that much is no crease.
    crease = np.clip((crowd[tuple(front)] - 1.0 / 3.0) * 1.5, 0.0, 1.0)
    return (1.0 - _CREASE_SHADE * np.where(outside, 0.0, crease)).astype(np.float32)


def _seam_light(position: np.ndarray, pixels_per_voxel: np.ndarray) -> np.ndarray:
    """Slightly darker rims that show single cubes near the camera, and fade where they would only flicker."""
    low, high = _SEAM_PIXELS
    strength = np.clip((pixels_per_voxel - low) / (high - low), 0.0, 1.0)
    rim = np.minimum(position, 1.0 - position).min(axis=1) < 0.06
    return (1.0 - _SEAM_SHADE * strength * rim).astype(np.float32)
