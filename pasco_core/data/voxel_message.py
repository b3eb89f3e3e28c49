"""From a pasco/msg/VoxelGrid, of rclpy or of a bag, to its grid and its layers; never trusts the message."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pasco_core.data.layer_codec import decompress
from pasco_core.errors import DataError
from pasco_core.geometry import VoxelGrid

LAYERS = ("semantics", "instance", "occupancy_probability", "uncertainty")
"""Names of the layers that the node and the replay publish (msg/VoxelLayer.msg)."""

ENCODINGS = {2: ("<u1", 255), 4: ("<u2", 65535), 5: ("<i4", -1), 7: ("<f4", np.nan)}
"""VoxelLayer.encoding → NumPy type and raw value for "unknown"."""


def grid_of(voxels: Any) -> VoxelGrid:
    """The grid of a VoxelGrid message, whose axes must be those of its frame.

    Raises:
        DataError: the grid is turned.
    """
    turn = voxels.origin.orientation
    if abs(turn.w) < 1 - 1e-9:
        raise DataError(f"Expected the grid's axes to be those of its frame, got w = {turn.w}")
    corner = voxels.origin.position
    return VoxelGrid((corner.x, corner.y, corner.z), round(float(voxels.voxel_size), 6), _shape(voxels))


def layer_names(voxels: Any) -> tuple[str, ...]:
    """Names of the layers of a VoxelGrid message."""
    return tuple(layer.name for layer in voxels.layers)


def raw_layer(voxels: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Raw values and the mask of the unknown ones, both of the grid's shape, of a layer of a VoxelGrid message.

    Raises:
        DataError: no such layer, an unknown encoding or compression, or data of another size than the grid's.
    """
    layer = _layer(voxels, name)
    if layer.encoding not in ENCODINGS:
        raise DataError(f"Expected layer '{name}' to be of an encoding {sorted(ENCODINGS)}, got {layer.encoding}")
    kind, unknown_raw = ENCODINGS[layer.encoding]
    shape = _shape(voxels)
    try:
        raw = decompress(layer.data, kind, math.prod(shape), layer.compression).reshape(shape)
    except DataError as error:
        raise DataError(f"{error} in layer '{name}' of a grid of {shape}") from None
    return raw, np.isnan(raw) if layer.encoding == 7 else raw == unknown_raw


def layer_values(voxels: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Values in the layer's unit and the mask of the unknown ones, both of the grid's shape.

    Raises:
        DataError: as ``raw_layer``.
    """
    raw, unknown = raw_layer(voxels, name)
    layer = _layer(voxels, name)
    plain = layer.scale == 1.0 and layer.offset == 0.0
    return (raw if plain else raw * np.float32(layer.scale) + np.float32(layer.offset)), unknown


def _layer(voxels: Any, name: str) -> Any:
    layer = next((candidate for candidate in voxels.layers if candidate.name == name), None)
    if layer is None:
        present = ", ".join(layer_names(voxels)) or "none"
        raise DataError(f"Expected the voxel grid to have the layer '{name}', got {present}")
    return layer


def _shape(voxels: Any) -> tuple[int, int, int]:
    return int(voxels.size_x), int(voxels.size_y), int(voxels.size_z)
