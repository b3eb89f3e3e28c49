"""Mesh primitives, each made for many pieces at once: boxes, cylinders, ellipsoids, panels, ribbons, copies."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pasco_core.data.simulation.materials import MATERIAL
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.surfaces import CLASS

_CORNERS = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], np.float64)
_BOX = np.array(
    [
        [0, 2, 3],
        [0, 3, 1],
        [4, 5, 7],
        [4, 7, 6],
        [0, 1, 5],
        [0, 5, 4],
        [2, 6, 7],
        [2, 7, 3],
        [0, 4, 6],
        [0, 6, 2],
        [1, 3, 7],
        [1, 7, 5],
    ]
)


def surface(vertices: np.ndarray, triangles: np.ndarray, category: str, material: str | np.ndarray) -> Mesh:
    """A mesh of one class from (V, 3) and (T, 3); ``material`` is a name or an index per triangle."""
    count = len(triangles)
    index = MATERIAL[material] if isinstance(material, str) else material
    return Mesh(
        np.asarray(vertices, np.float32).reshape(-1, 3),
        np.asarray(triangles, np.int32).reshape(-1, 3),
        np.full(count, CLASS[category], np.uint8),
        np.zeros(count, np.int32),
        np.broadcast_to(np.asarray(index, np.uint8), (count,)).copy(),
    )


def copies(vertices: np.ndarray, triangles: np.ndarray, category: str, material: str | np.ndarray) -> Mesh:
    """N equal meshes whose vertices are (N, V, 3)."""
    n, v = vertices.shape[:2]
    faces = (np.arange(n)[:, None, None] * v + triangles[None]).reshape(-1, 3)
    if not isinstance(material, str):
        material = np.broadcast_to(material, (n, len(triangles))).reshape(-1)
    return surface(vertices.reshape(-1, 3), faces, category, material)


def boxes(
    low: ArrayLike,
    high: ArrayLike,
    category: str,
    material: str | np.ndarray,
    taper: ArrayLike = (0.0, 0.0),
    yaw: ArrayLike = 0.0,
) -> Mesh:
    """Upright boxes.

    Args:
        low, high: (3,) or (N, 3) opposite corners in metres.
        category: class name.
        material: name, or (N, 1) indices.
        taper: (2,) or (N, 2) share of the half extents along x and y by which the top is narrower, 0 to 1.
        yaw: (N,) radians by which each is turned about its own middle.
    """
    low, high = np.atleast_2d(np.asarray(low, np.float64)), np.atleast_2d(np.asarray(high, np.float64))
    low, high = np.broadcast_arrays(low, high)
    centre, half = (low + high) / 2.0, (high - low) / 2.0
    corner = np.broadcast_to(_CORNERS, (len(centre), 8, 3)).copy()
    taper = np.broadcast_to(np.asarray(taper, np.float64), (len(centre), 2))
    corner[:, 4:, :2] *= 1.0 - taper[:, None]
    corner = turned(corner * half[:, None], np.broadcast_to(yaw, (len(centre),)))
    return copies(corner + centre[:, None], _BOX, category, material)


def turned(points: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """(N, V, 3) points turned about z by (N,) radians."""
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([c * x - s * y, s * x + c * y, z], axis=-1)


def quads(corners: ArrayLike, category: str, material: str | np.ndarray) -> Mesh:
    """(N, 4, 3) corners, going round, as two triangles each; ``material`` is a name or (N,) indices."""
    if not isinstance(material, str):
        material = np.asarray(material)[:, None]
    return copies(
        np.asarray(corners, np.float64).reshape(-1, 4, 3), np.array([[0, 1, 2], [0, 2, 3]]), category, material
    )


def tube(
    centres: ArrayLike, radii: ArrayLike, category: str, material: str, sides: int = 8, closed: bool = True
) -> Mesh:
    """A round tube along a line of (K, 3) ``centres`` with (K,) radii; the rings are perpendicular to the line."""
    centres = np.asarray(centres, np.float64)
    radii = np.broadcast_to(np.asarray(radii, np.float64), (len(centres),))
    along = np.gradient(centres, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.eye(3)[np.abs(along).max(axis=0).argmin()]  # the axis that no part of the line is near to
    first = np.cross(helper, along)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.arange(sides) * (2.0 * np.pi / sides)
    ring = first[:, None] * np.cos(angle)[:, None] + second[:, None] * np.sin(angle)[:, None]
    points = centres[:, None] + radii[:, None, None] * ring
    return loft(points, category, material, closed)


def loft(rings: np.ndarray, category: str, material: str | np.ndarray, closed: bool = True) -> Mesh:
    """A skin over (K, S, 3) rings of S points each; ``closed`` puts a fan on both ends.

    ``material`` may be (K - 1, S) indices per panel; ends take the material of the panel beside them.
    """
    k, s = rings.shape[:2]
    index = np.arange(k * s).reshape(k, s)
    a, b = index[:-1], np.roll(index, -1, axis=1)[:-1]
    c, d = index[1:], np.roll(index, -1, axis=1)[1:]
    faces = [np.stack([a, b, d], axis=-1).reshape(-1, 3), np.stack([a, d, c], axis=-1).reshape(-1, 3)]
    vertices = [rings.reshape(-1, 3)]
    panels = None if isinstance(material, str) else np.asarray(material, np.uint8)
    kinds = [] if panels is None else [panels.reshape(-1)] * 2
    if closed:
        for end, row in ((0, 0), (k - 1, -1)):
            centre = k * s + (end > 0)
            ring = index[end]
            faces.append(np.stack([ring, np.roll(ring, -1), np.full(s, centre)], axis=-1))
            vertices.append(rings[end].mean(axis=0, keepdims=True))
            if panels is not None:
                kinds.append(panels[row])
    return surface(
        np.concatenate(vertices), np.concatenate(faces), category, material if panels is None else np.concatenate(kinds)
    )


def ellipsoids(centres: ArrayLike, halves: ArrayLike, category: str, material: str, sides: int = 8) -> Mesh:
    """Round bodies with (N, 3) centres and half axes."""
    rows = max(sides // 2 + 1, 3)
    polar = np.linspace(0.0, np.pi, rows)
    angle = np.arange(sides) * (2.0 * np.pi / sides)
    ring = np.stack(
        [
            np.outer(np.sin(polar), np.cos(angle)),
            np.outer(np.sin(polar), np.sin(angle)),
            np.repeat(-np.cos(polar)[:, None], sides, 1),
        ],
        axis=-1,
    )
    unit = loft(ring, category, material, closed=False)
    centres, halves = np.atleast_2d(centres), np.atleast_2d(halves)
    return copies(unit.vertices[None] * halves[:, None] + centres[:, None], unit.triangles, category, material)


def cylinders(
    centres: ArrayLike, radii: ArrayLike, low: ArrayLike, high: ArrayLike, category: str, material: str, sides: int = 8
) -> Mesh:
    """N upright cylinders at (N, 2) centres from height ``low`` to ``high``."""
    centres = np.atleast_2d(np.asarray(centres, np.float64))
    n = len(centres)
    unit = tube(np.array([[0.0, 0, 0], [0, 0, 1]]), 1.0, category, material, sides)
    radii, low, high = (np.broadcast_to(np.asarray(x, np.float64), (n,)) for x in (radii, low, high))
    scale = np.stack([radii, radii, high - low], axis=-1)
    shift = np.concatenate([centres, low[:, None]], axis=1)
    return copies(unit.vertices[None] * scale[:, None] + shift[:, None], unit.triangles, category, material)


def placed(mesh: Mesh, xyz: ArrayLike, yaw: ArrayLike, scale: ArrayLike = 1.0, instance: ArrayLike = 0) -> Mesh:
    """N copies of a mesh, each scaled, turned about z and moved.

    Args:
        xyz: (N, 3) where the mesh's origin goes.
        yaw: (N,) radians.
        scale: number, (N,) or (N, 3).
        instance: (N,) numbers of the things, which replace those of ``mesh``.
    """
    xyz, yaw = np.atleast_2d(np.asarray(xyz, np.float64)), np.atleast_1d(np.asarray(yaw, np.float64))
    n = len(xyz)
    scale = np.asarray(scale, np.float64)
    scale = np.broadcast_to(scale[..., None] if scale.ndim < 2 else scale, (n, 3))
    vertices = turned(mesh.vertices[None] * scale[:, None], yaw) + xyz[:, None]
    count = len(mesh.triangles)
    faces = np.arange(n)[:, None, None] * len(mesh.vertices) + mesh.triangles[None]
    numbers = np.broadcast_to(np.asarray(instance, np.int32), (n,))
    return Mesh(
        vertices.reshape(-1, 3).astype(np.float32),
        faces.reshape(-1, 3).astype(np.int32),
        np.tile(mesh.category, n),
        np.repeat(numbers, count),
        np.tile(mesh.material, n),
    )
