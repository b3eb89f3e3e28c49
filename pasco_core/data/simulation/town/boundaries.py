"""Fences and walls along x from 0 to their length, centred on y = 0; all are of class fence."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.shapes import boxes

FENCES = ("picket", "wire", "panel", "rail", "brick wall", "concrete wall", "bars")
_BELOW = -0.35


def fence(kind: str, length: float, height: float) -> Mesh:
    """A fence of one of ``FENCES``."""
    if kind == "picket":
        return Mesh.joined(
            [
                _posts(length, height, 2.4, 0.05, "wood"),
                _rails(length, (0.3, height - 0.25), 0.03, 0.08, "wood"),
                _bars(length, height, 0.16, 0.045, "wood"),
            ]
        )
    if kind == "bars":
        return Mesh.joined(
            [
                _posts(length, height, 2.6, 0.04, "steel"),
                _rails(length, (0.2, height - 0.1), 0.02, 0.04, "steel"),
                _bars(length, height, 0.14, 0.012, "steel"),
                _plinth(length, 0.25, 0.12, "concrete"),
            ]
        )
    if kind == "wire":
        levels = tuple(np.arange(0.08, height, 0.15))
        return Mesh.joined(
            [
                _posts(length, height, 2.5, 0.03, "steel"),
                _rails(length, levels, 0.004, 0.012, "steel"),
                _bars(length, height, 0.12, 0.006, "steel"),
            ]
        )
    if kind == "panel":
        return Mesh.joined([_posts(length, height + 0.1, 1.8, 0.06, "wood"), _plinth(length, height, 0.03, "wood")])
    if kind == "rail":
        return Mesh.joined(
            [
                _posts(length, height, 2.2, 0.06, "wood"),
                _rails(length, (0.45 * height, 0.9 * height), 0.03, 0.1, "wood"),
            ]
        )
    wide = 0.13 if kind == "brick wall" else 0.11
    material = "brick" if kind == "brick wall" else "concrete"
    cap = [_rails(length, (height,), wide + 0.04, 0.08, "concrete")]
    return Mesh.joined([_plinth(length, height, wide, material), *cap])


def guard_rail(length: float) -> Mesh:
    """The steel rail beside a highway."""
    return Mesh.joined([_posts(length, 0.7, 2.0, 0.05, "steel"), _rails(length, (0.6,), 0.04, 0.3, "steel")])


def _pieces(length: float, longest: float = 3.0) -> np.ndarray:
    return np.linspace(0.0, length, max(int(np.ceil(length / longest)), 1) + 1)


def _posts(length: float, height: float, every: float, half: float, material: str) -> Mesh:
    x = _pieces(length, every)
    low = np.stack([x - half, np.full(len(x), -half), np.full(len(x), _BELOW)], axis=1)
    return boxes(low, low + np.array([2 * half, 2 * half, height + 0.08 - _BELOW]), "fence", material)


def _bars(length: float, height: float, every: float, half: float, material: str) -> Mesh:
    x = np.arange(every / 2, length, every)
    low = np.stack([x - half, np.full(len(x), -0.012), np.full(len(x), 0.08)], axis=1)
    return boxes(low, low + np.array([2 * half, 0.024, height - 0.08]), "fence", material)


def _rails(length: float, levels: tuple[float, ...], half: float, tall: float, material: str) -> Mesh:
    x = _pieces(length)
    start, z = (a.ravel() for a in np.meshgrid(x[:-1], levels))
    stop = np.meshgrid(x[1:], levels)[0].ravel()
    low = np.stack([start, np.full(len(z), -half), z - tall / 2], axis=1)
    return boxes(low, np.stack([stop, np.full(len(z), half), z + tall / 2], axis=1), "fence", material)


def _plinth(length: float, height: float, half: float, material: str) -> Mesh:
    x = _pieces(length)
    low = np.stack([x[:-1], np.full(len(x) - 1, -half), np.full(len(x) - 1, _BELOW)], axis=1)
    return boxes(
        low, np.stack([x[1:], np.full(len(x) - 1, half), np.full(len(x) - 1, height)], axis=1), "fence", material
    )
