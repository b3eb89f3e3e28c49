"""The primitives of the simulator: unit shapes that are scaled, turned about the vertical and moved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np


class Shape(Enum):
    """The unit shapes, each within [-1, 1] along x, y and z."""

    BOX = "box"
    CYLINDER = "cylinder"
    ELLIPSOID = "ellipsoid"


@dataclass(frozen=True)
class Solid:
    """One primitive.

    Args:
        shape: the unit shape.
        centre: x, y, z in metres.
        half: half extents along its own x, y, z in metres.
        yaw: radians counter-clockwise about the vertical.
        category: semantic class of its surface.
        instance: number of the object it is part of, 0 for none.
        reflectivity: mean intensity at perpendicular incidence, 0 to 1.
        mean_free_path: 0 for an opaque surface; for foliage and fences, how many metres a ray gets through on average.
        taper: for boxes, by how much of the half extents x and y the top is narrower than the bottom, 0 to 1.
        glass: whether its sides have windows.
    """

    shape: Shape
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float
    category: int
    instance: int = 0
    reflectivity: float = 0.3
    mean_free_path: float = 0.0
    taper: tuple[float, float] = (0.0, 0.0)
    glass: bool = False

    def to_local(self, xyz: np.ndarray) -> np.ndarray:
        """Vectors (3, ...) from the world's axes to the axes in which the shape is the unit shape; no translation."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        hx, hy, hz = self.half
        return np.stack([(c * xyz[0] + s * xyz[1]) / hx, (c * xyz[1] - s * xyz[0]) / hy, xyz[2] / hz])

    def to_world_normal(self, gradient: np.ndarray) -> np.ndarray:
        """Unit normals (3, n) in the world from gradients (3, n) of the unit shape's surface."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        x, y, z = (g / h for g, h in zip(gradient, self.half, strict=True))
        normal = np.stack([c * x - s * y, s * x + c * y, z])
        return normal / np.linalg.norm(normal, axis=0)


def unit_interval(solid: Solid, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter and leave the unit shape of ``solid``; enter >= leave means that they miss it.

    Args:
        origin: (3,) common start in the shape's own axes.
        direction: (3, ...) in the shape's own axes, any length.

    Returns:
        enter, leave: (...) multiples of ``direction``.
    """
    if solid.shape is Shape.BOX:
        return _planes_interval(*_box_planes(solid.taper), origin, direction)
    if solid.shape is Shape.CYLINDER:
        around = _quadric_interval(origin[:2], direction[:2])
        caps = _planes_interval(np.array([[0.0, 0, 1], [0, 0, -1]]), np.ones(2), origin, direction)
        return np.maximum(around[0], caps[0]), np.minimum(around[1], caps[1])
    return _quadric_interval(origin, direction)


def unit_gradient(solid: Solid, point: np.ndarray) -> np.ndarray:
    """Outward directions (3, n) of the unit shape's surface at points (3, n) on it; not normalised."""
    if solid.shape is Shape.ELLIPSOID:
        return point
    if solid.shape is Shape.CYLINDER:
        cap = np.abs(point[2]) > np.hypot(point[0], point[1])
        return np.stack([np.where(cap, 0, point[0]), np.where(cap, 0, point[1]), np.where(cap, point[2], 0)])
    normals, offsets = _box_planes(solid.taper)
    return normals[np.argmax(normals @ point - offsets[:, None], axis=0)].T


def _box_planes(taper: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Outward normals (6, 3) and offsets (6,) of normal . p <= offset, for a box whose top is narrower by ``taper``."""
    tx, ty = taper[0] / 2.0, taper[1] / 2.0
    normals = np.array([[1, 0, tx], [-1, 0, tx], [0, 1, ty], [0, -1, ty], [0, 0, 1], [0, 0, -1]], np.float64)
    return normals, np.array([1 - tx, 1 - tx, 1 - ty, 1 - ty, 1, 1], np.float64)


def _planes_interval(
    normals: np.ndarray, offsets: np.ndarray, origin: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    enter = np.full(direction.shape[1:], -np.inf)
    leave = np.full(direction.shape[1:], np.inf)
    for normal, offset in zip(normals, offsets, strict=True):
        slope = sum(float(n) * d for n, d in zip(normal, direction, strict=True) if n)
        slope = np.where(np.abs(slope) < 1e-12, 1e-12, slope)
        at = (offset - float(normal @ origin)) / slope
        enter = np.where(slope < 0, np.maximum(enter, at), enter)
        leave = np.where(slope > 0, np.minimum(leave, at), leave)
    return enter, leave


def _quadric_interval(origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit circle (two rows) or sphere (three rows)."""
    a = np.maximum((direction * direction).sum(axis=0), 1e-18)
    b = sum(float(o) * d for o, d in zip(origin, direction, strict=True))
    c = float(origin @ origin) - 1.0
    root = b * b - a * c
    reach = np.sqrt(np.maximum(root, 0.0))
    missed = root <= 0.0
    return np.where(missed, np.inf, (-b - reach) / a), np.where(missed, -np.inf, (-b + reach) / a)
