"""Pixels of sensor_msgs/Image and CompressedImage, checked before they are read."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from pasco_core.errors import DataError

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}
_WIDTHS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


def decode_image(message: Any, topic: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an Image (rgb8, bgr8, rgba8, bgra8, mono8) or a CompressedImage (PNG, JPEG).

    Raises:
        DataError: another encoding, or sizes and data that do not fit together.
    """
    where = f"the image on {topic}"
    if hasattr(message, "format"):
        return _decompressed(message, where)
    if message.encoding not in _CHANNELS:
        known = ", ".join(_CHANNELS)
        raise DataError(f"Expected the encoding of {where} to be one of {known}, got {str(message.encoding)[:40]!r}")
    width, height, step = int(message.width), int(message.height), int(message.step)
    bands = _WIDTHS[message.encoding]
    data = np.frombuffer(message.data, np.uint8)
    if not (width and height) or step < width * bands or len(data) != height * step:
        sizes = f"{width} x {height}, step {step}, {len(data)} bytes"
        raise DataError(f"Expected {where} to have height * step bytes and step to hold a row, got {sizes}")
    rows = data.reshape(height, step)[:, : width * bands].reshape(height, width, bands)
    return np.ascontiguousarray(rows[:, :, _CHANNELS[message.encoding]])


def _decompressed(message: Any, where: str) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(bytes(message.data))) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise DataError(f"Expected {where} to be a PNG or JPEG, got: {error}") from error
