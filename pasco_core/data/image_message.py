"""Checked decoders of sensor_msgs/Image and CompressedImage to RGB, without cv_bridge and without trust.

As with clouds, every size is checked with Python integers before anything is allocated. The module needs no ROS: it
works on any object with the messages' attributes.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from pasco_core.errors import ImageError

LAYOUT, ENCODING, FORMAT = "LAYOUT", "ENCODING", "FORMAT"
MAX_PIXELS = 1 << 26
"""Most pixels of an image: 67 million."""

# sensor_msgs/image_encodings.hpp: name -> (channels, bytes per channel, which channels are red, green and blue).
_COLOURS = {
    "rgb": (3, (0, 1, 2)), "bgr": (3, (2, 1, 0)), "rgba": (4, (0, 1, 2)), "bgra": (4, (2, 1, 0)),
    "mono": (1, (0, 0, 0)),
}
_PLAIN = {
    f"{name}{8 * size}": (channels, size, order) for name, (channels, order) in _COLOURS.items() for size in (1, 2)
}
_PLAIN |= {"8UC1": _PLAIN["mono8"], "16UC1": _PLAIN["mono16"], "8UC3": _PLAIN["bgr8"], "8UC4": _PLAIN["bgra8"]}
# Rows and columns of red and blue within each block of 2 x 2 pixels; green has the other two.
_BAYER = {"rggb": ((0, 0), (1, 1)), "bggr": ((1, 1), (0, 0)), "gbrg": ((1, 0), (0, 1)), "grbg": ((0, 1), (1, 0))}
# Two pixels in four bytes -> places of Y, U, Y, V.
_YUV = {"uyvy": (1, 0, 3, 2), "yuv422": (1, 0, 3, 2), "yuyv": (0, 1, 2, 3), "yuv422_yuy2": (0, 1, 2, 3)}

ENCODINGS: tuple[str, ...] = (
    *_PLAIN, *(f"bayer_{name}{bits}" for name in _BAYER for bits in (8, 16)), *_YUV,
)
"""Encodings that can be decoded."""


def decode_image(message: Any, topic: str = "image") -> np.ndarray:
    """The picture of a sensor_msgs/Image as (height, width, 3) uint8 RGB; the message is not changed.

    Of 16-bit values the upper 8 bits are kept. Bayer patterns are interpolated linearly; YUV is ITU-R BT.601 in its
    limited range (Y 16 to 235), as cameras send it.

    Args:
        message: an object with the attributes of sensor_msgs/Image.
        topic: name of the topic, for messages.

    Raises:
        ImageError: code ENCODING (not one of ``ENCODINGS``) or LAYOUT (sizes, step and data do not fit together).
    """
    where = f"the image on {topic}"
    encoding = str(message.encoding)
    if encoding not in ENCODINGS:
        raise ImageError(f"Expected the encoding of {where} to be one of {', '.join(ENCODINGS)}, got {encoding[:60]!r}",
                         ENCODING)
    channels, size = _sizes(encoding)
    width, height = int(message.width), int(message.height)
    rows = _rows(message, where, width, height, channels * size)
    kind = np.dtype(f"{'>' if message.is_bigendian else '<'}u{size}")
    values = rows[:, : width * channels * size].view(kind).reshape(height, width, channels)
    values = values if size == 1 else (values >> 8).astype(np.uint8)
    if encoding in _YUV:
        _require(width % 2 == 0, f"the width of {where} in {encoding} to be even", width)
        return _from_yuv(values.reshape(height, width // 2, 4), _YUV[encoding])
    if encoding.startswith("bayer_"):
        _require(min(width, height) >= 2, f"{where} in {encoding} to have 2 x 2 pixels or more", f"{width} x {height}")
        return _from_bayer(values[..., 0], *_BAYER[encoding[6:10]])
    return np.ascontiguousarray(values[..., list(_PLAIN[encoding][2])])


def decode_compressed(message: Any, topic: str = "image") -> np.ndarray:
    """The picture of a sensor_msgs/CompressedImage, JPEG or PNG, as (height, width, 3) uint8 RGB.

    Raises:
        ImageError: code FORMAT (neither JPEG nor PNG, or damaged) or LAYOUT (too many pixels).
    """
    from PIL import Image

    where = f"the compressed image on {topic} (format {str(message.format)[:60]!r})"
    try:
        picture = Image.open(io.BytesIO(bytes(message.data)), formats=("JPEG", "PNG"))
        n = picture.width * picture.height
        _require(n <= MAX_PIXELS, f"{where} to have at most {MAX_PIXELS} pixels", n)
        if picture.mode.startswith("I"):  # 16-bit grey
            grey = (np.asarray(picture).astype(np.int64) >> 8).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        return np.array(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        got = f"{type(error).__name__}: {error}".split("<_io")[0].strip()
        raise ImageError(f"Expected {where} to be a whole JPEG or PNG file, got {got}", FORMAT) from error


def _sizes(encoding: str) -> tuple[int, int]:
    """Channels per pixel and bytes per channel; YUV has two bytes per pixel."""
    if encoding in _PLAIN:
        return _PLAIN[encoding][:2]
    return (2, 1) if encoding in _YUV else (1, 2 if encoding.endswith("16") else 1)


def _rows(message: Any, where: str, width: int, height: int, pixel: int) -> np.ndarray:
    """The data as (height, step) uint8, after checking that sizes, step and data agree; step 0: no padding."""
    _require(width > 0 and height > 0, f"{where} to have at least one pixel", f"{width} x {height}")
    _require(width * height <= MAX_PIXELS, f"{where} to have at most {MAX_PIXELS} pixels", f"{width} x {height}")
    row = width * pixel
    step = int(message.step) or row
    _require(step >= row, f"the step of {where} to be 0 or at least width * bytes per pixel = {row}", step)
    data = memoryview(message.data)
    _require(data.nbytes == height * step and data.itemsize == 1,
             f"the data of {where} to be height * step = {height} * {step} = {height * step} bytes", data.nbytes)
    return np.frombuffer(data, np.uint8).reshape(height, step)


def _require(condition: bool, expected: str, got: object) -> None:
    if not condition:
        raise ImageError(f"Expected {expected}, got {got}", LAYOUT)


def _from_yuv(blocks: np.ndarray, places: tuple[int, int, int, int]) -> np.ndarray:
    """RGB of blocks (H, W / 2, 4), by the formula of BT.601."""
    first, u, second, v = (blocks[..., place].astype(np.float32) for place in places)
    luma = 1.164383 * (np.stack([first, second], axis=-1) - 16.0)
    u, v = u[..., None] - 128.0, v[..., None] - 128.0
    rgb = np.stack([luma + 1.596027 * v, luma - 0.812968 * v - 0.391762 * u, luma + 2.017232 * u], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8).reshape(len(blocks), -1, 3)


def _from_bayer(values: np.ndarray, red: tuple[int, int], blue: tuple[int, int]) -> np.ndarray:
    """RGB by the mean of the nearest pixels of each colour; the weights at the border are those that lie inside."""
    from scipy.ndimage import convolve

    colour = np.ones(values.shape, np.int8)
    colour[red[0] :: 2, red[1] :: 2] = 0
    colour[blue[0] :: 2, blue[1] :: 2] = 2
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32)
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32)
    planes = []
    for channel, kernel in enumerate((square, cross, square)):
        there = (colour == channel).astype(np.float32)
        total = convolve(there * values, kernel, mode="constant")
        planes.append(total / convolve(there, kernel, mode="constant"))
    return np.rint(np.stack(planes, axis=-1)).astype(np.uint8)
