"""Colours: one per class, one per instance, one per uncertainty."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pasco_core.data.label_set import LabelSet

_N_INSTANCE_COLOURS = 64
_STUFF_GREY = 205.0
_STUFF_TINT = 0.1
# Ten evenly spaced colours of viridis (Smith and van der Walt, 2015; CC0): perceptually uniform, safe for the
# colour-blind.
_VIRIDIS = (
    (0x44, 0x01, 0x54), (0x48, 0x28, 0x78), (0x3E, 0x49, 0x89), (0x31, 0x68, 0x8E), (0x26, 0x82, 0x8E),
    (0x1F, 0x9E, 0x89), (0x35, 0xB7, 0x79), (0x6E, 0xCE, 0x58), (0xB5, 0xDE, 0x2B), (0xFD, 0xE7, 0x25),
)  # fmt: skip


def scale_colours(values: np.ndarray) -> np.ndarray:
    """Viridis colours (..., 3) uint8 of values (...) in [0, 1]; values outside take the colour of the nearer end."""
    values = np.asarray(values, np.float64)
    anchors = np.asarray(_VIRIDIS, np.float64)
    at = np.linspace(0.0, 1.0, len(anchors))
    return np.stack([np.interp(values, at, anchors[:, c]) for c in range(3)], axis=-1).round().astype(np.uint8)


def instance_colours(ids: np.ndarray) -> np.ndarray:
    """Colours (..., 3) uint8 of instance ids (...) >= 1: the same id has the same colour in every picture.

    The first 64 ids are far apart from each other and from grey; then the colours repeat.
    """
    return _instance_table()[(np.asarray(ids, np.int64) - 1) % _N_INSTANCE_COLOURS]


def stuff_colours(labels: LabelSet) -> np.ndarray:
    """Pale colours (classes, 3) uint8 for what is not an instance: grey with a trace of the class colour."""
    return (_STUFF_TINT * labels.colours + (1.0 - _STUFF_TINT) * _STUFF_GREY).round().astype(np.uint8)


@lru_cache(maxsize=1)
def _instance_table() -> np.ndarray:
    """Farthest-point choice among the vivid colours of a coarse RGB cube, by distance in OKLab."""
    levels = np.linspace(0, 255, 14).round()
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _oklab(rgb)
    vivid = (np.hypot(lab[:, 1], lab[:, 2]) > 0.10) & (lab[:, 0] > 0.42) & (lab[:, 0] < 0.85)
    rgb, lab = rgb[vivid], lab[vivid]
    chosen = [int(np.abs(rgb - (235, 90, 40)).sum(axis=1).argmin())]
    distance = np.full(len(lab), np.inf)
    while len(chosen) < _N_INSTANCE_COLOURS:
        distance = np.minimum(distance, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    table = rgb[chosen].astype(np.uint8)
    table.setflags(write=False)
    return table


def _oklab(rgb: np.ndarray) -> np.ndarray:
    """OKLab of sRGB 0 to 255 (Ottosson, "A perceptual color space for image processing", 2020)."""
    s = np.asarray(rgb, np.float64) / 255.0
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    to_lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
              [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
              [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.cbrt(linear @ np.transpose(to_lms)) @ np.transpose(to_lab)
