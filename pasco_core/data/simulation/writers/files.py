"""Arrays, pictures and lines as files, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pasco_core.atomic_write import atomic_write, write_text_whole


def write_array(path: Path, array: np.ndarray) -> None:
    """The array's bytes; the folder is made.

    Raises:
        OSError: the folder cannot be made, is not writable or full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        array.tofile(temporary)


def write_npy(path: Path, array: np.ndarray) -> None:
    """As NumPy's .npy; the folder is made.

    Raises:
        OSError: the folder cannot be made, is not writable or full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)


def write_png(path: Path, rgb: np.ndarray) -> None:
    """An image (H, W, 3) uint8; the folder is made.

    Raises:
        OSError: the folder cannot be made, is not writable or full.
    """
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        Image.fromarray(rgb).save(temporary, format="png")


def read_lines(path: Path) -> list[str]:
    """The lines of a table with their ends; none where there is no file."""
    return path.read_text(encoding="ascii").splitlines(keepends=True) if path.is_file() else []


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Lines with their ends; the folder is made.

    Raises:
        OSError: the folder cannot be made, is not writable or full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, "".join(lines))
