"""Films, frame by frame into the file: GIF with Pillow, MP4 with imageio-ffmpeg; memory for one frame."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from pasco_core.atomic_write import atomic_write
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.errors import ConfigError
from pasco_core.viz.canvas import FAINT_INK, INK
from pasco_core.viz.palette import instance_colours, scale_colours
from pasco_core.viz.point_picture import NIGHT
from pasco_core.viz.voxel_picture import BACKGROUND

ENDINGS = (".gif", ".mp4")
FASTEST = {".gif": 50.0, ".mp4": 120.0}
"""Most frames per second; a GIF counts in hundredths, and players slow down below two of them."""

Add = Callable[[np.ndarray], None]

_COLOURS = 255
_CLEAR = 255  # index of the colour for "as in the frame before"
_LIGHTS = (1.0, 0.85, 0.7, 0.55)
_SCALE_STEPS = 48
_BESIDE = 8


@contextmanager
def open_film(path: str | os.PathLike[str], size: tuple[int, int], fps: float) -> Iterator[Add]:
    """A film that takes its frames one by one, (height, width, 3) uint8; the file is there when it is whole, or not.

    Args:
        path: .gif or .mp4.
        size: width and height of the frames; even for MP4.
        fps: frames per second.

    Raises:
        ConfigError: another ending, a size or a rate that the format does not have, or MP4 without imageio-ffmpeg.
        OSError: the place is not writable or full.
    """
    path = Path(path)
    check_film(path, size, fps)
    with atomic_write(path) as temporary:
        film = _Gif(temporary, size, fps) if path.suffix.lower() == ".gif" else _Mp4(temporary, size, fps)
        try:
            yield film.add
            film.finish()
        finally:
            film.close()


def check_film(path: Path, size: tuple[int, int], fps: float) -> None:
    """Says at once what ``open_film`` would say.

    Raises:
        ConfigError: as ``open_film``.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(f"Expected the name of a film to end in {' or '.join(ENDINGS)}, got {path}")
    if not 0.1 <= fps <= FASTEST[ending]:
        raise ConfigError(f"Expected the frames per second of a {ending} to be 0.1 to {FASTEST[ending]:g}, got {fps:g}")
    if ending == ".mp4":
        _ffmpeg()
        if size[0] % 2 or size[1] % 2:
            raise ConfigError(f"Expected width and height of an MP4 to be even, got {size[0]}x{size[1]}")


class _Gif:
    """GIF89a (the specification of 1990) with one table of colours; each frame holds only what changes.

    The table is made of the first frame and of the colours that classes, instances and the scale can have.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._file = path.open("wb")
        self._size, self._fps = size, fps
        self._table: Image.Image | None = None
        self._before: np.ndarray | None = None
        self._frames = 0

    def add(self, frame: np.ndarray) -> None:
        image = Image.fromarray(frame)
        if self._table is None:
            self._table = _common_table(image)
            self._file.write(_gif_header(self._size, self._table))
        indices = np.asarray(image.quantize(palette=self._table, dither=Image.Dither.NONE))
        shown = indices if self._before is None else np.where(indices == self._before, np.uint8(_CLEAR), indices)
        # Hundredths are rounded over the whole film, so that its length is right.
        delay = round(100 * (self._frames + 1) / self._fps) - round(100 * self._frames / self._fps)
        self._file.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 0b00000101, delay, _CLEAR, 0))
        self._file.write(_image_block(shown, self._table))
        self._before = indices
        self._frames += 1

    def finish(self) -> None:
        if not self._frames:
            raise ConfigError("Expected a film to have at least one frame, got none")
        self._file.write(b";")

    def close(self) -> None:
        self._file.close()


class _Mp4:
    """H.264 in MP4, in the pixel format that every player shows."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._frames = 0
        self._writer = _ffmpeg().write_frames(
            str(path), size, fps=fps, codec="libx264", pix_fmt_in="rgb24", pix_fmt_out="yuv420p", macro_block_size=1,
            quality=None, output_params=["-crf", "20", "-movflags", "+faststart"], ffmpeg_log_level="error",
        )
        self._writer.send(None)

    def add(self, frame: np.ndarray) -> None:
        self._writer.send(np.ascontiguousarray(frame))
        self._frames += 1

    def finish(self) -> None:
        if not self._frames:
            raise ConfigError("Expected a film to have at least one frame, got none")

    def close(self) -> None:
        self._writer.close()


def _ffmpeg():
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ConfigError(
            "Expected the package imageio-ffmpeg for MP4, got none: pip install 'pasco-ros[viz]', or write a .gif"
        ) from error
    return imageio_ffmpeg


def _common_table(first: Image.Image) -> Image.Image:
    """An image whose palette is the film's."""
    classes = np.concatenate([SEMANTIC_KITTI.colours, KITTI_360.colours])
    known = np.concatenate([classes, instance_colours(np.arange(1, 33)), scale_colours(np.linspace(0, 1, 64))])
    lit = np.concatenate([known * light for light in _LIGHTS]).astype(np.uint8)
    # As many pixels as the frame has, so that neither crowds out the other.
    copies = max(1, first.width * first.height // len(lit))
    strip = np.resize(lit.repeat(copies, axis=0), (first.height, first.width, 3))
    both = Image.fromarray(np.concatenate([np.asarray(first), strip], axis=0))
    scale = scale_colours(np.linspace(0, 1, _SCALE_STEPS))
    plain = [(255, 255, 255), BACKGROUND, NIGHT, INK, FAINT_INK]
    exact = np.unique(np.concatenate([classes, scale, plain]), axis=0).astype(np.uint8)
    table = both.quantize(_COLOURS - len(exact), method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    found = np.frombuffer(_palette(table), np.uint8).reshape(-1, 3)[: _COLOURS - len(exact)]
    # Pillow looks colours up in steps of four, so what lies beside an exact colour would be taken in its place.
    distance = np.abs(found[:, None].astype(np.int16) - exact).max(axis=2)
    found = np.where((distance.min(axis=1) < _BESIDE)[:, None], exact[distance.argmin(axis=1)], found)
    table.putpalette(found.tobytes() + exact.tobytes())
    return table


def _palette(table: Image.Image) -> bytes:
    """256 colours."""
    return bytes((table.getpalette() or [])[: 3 * 256]).ljust(3 * 256, b"\0")


def _gif_header(size: tuple[int, int], table: Image.Image) -> bytes:
    """Signature, screen, colours, and the extension that lets it run for ever."""
    screen = struct.pack("<HHBBB", *size, 0b11110111, 0, 0)
    return b"GIF89a" + screen + _palette(table) + b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


def _image_block(indices: np.ndarray, table: Image.Image) -> bytes:
    """Image descriptor and compressed pixels, cut out of the one-frame GIF that Pillow writes."""
    image = Image.fromarray(indices, mode="P")
    image.putpalette(_palette(table))
    buffer = io.BytesIO()
    image.save(buffer, format="GIF", optimize=False, interlace=0)
    data = buffer.getvalue()
    start = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[start] == 0x21:  # extensions: a label, then blocks with their length before them
        start += 2
        while data[start]:
            start += data[start] + 1
        start += 1
    return data[start:-1]
