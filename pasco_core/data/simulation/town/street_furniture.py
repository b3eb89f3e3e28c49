"""Lamps, signs, lights and posts in their own frame: x along the traffic that they serve, z = 0 on the sidewalk."""

from __future__ import annotations

from functools import cache

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.shapes import boxes, cylinders, surface, tube

_BELOW = -0.3


@cache
def street_lamp(tall: bool = True) -> Mesh:
    """A lamp post; its arm reaches to the left, over the road."""
    height = 8.0 if tall else 4.6
    post = [
        cylinders([[0, 0]], 0.11, _BELOW, 1.2, "pole", "steel"),
        cylinders([[0, 0]], 0.065, 1.2, height, "pole", "steel"),
    ]
    if not tall:
        return Mesh.joined([*post, cylinders([[0, 0]], 0.22, height, height + 0.35, "pole", "steel")])
    arm = tube(
        np.array([[0, 0, height - 0.1], [0, 0.7, height + 0.15], [0, 1.6, height + 0.2]]), 0.04, "pole", "steel", 6
    )
    return Mesh.joined([*post, arm, boxes((-0.14, 1.2, height + 0.12), (0.14, 1.9, height + 0.26), "pole", "steel")])


@cache
def traffic_sign(shape: str, low: float = 2.1, two: bool = False) -> Mesh:
    """A plate on a post that looks against the traffic; ``shape`` is round, triangle, square or board."""
    top = low + (1.5 if two else 0.75)
    parts = [cylinders([[0, 0]], 0.035, _BELOW, top, "pole", "steel", 7), _plate(shape, low + 0.38)]
    if two:
        parts.append(_plate("square", low + 1.1))
    return Mesh.joined(parts)


def _plate(shape: str, height: float) -> Mesh:
    corners = {"round": 12, "triangle": 3, "square": 4, "board": 4}[shape]
    angle = (np.arange(corners) + 0.5) * (2 * np.pi / corners) + (np.pi / 2 - np.pi / 3 if corners == 3 else 0.0)
    size = {"round": 0.32, "triangle": 0.46, "square": 0.45, "board": 0.75}[shape]
    stretch = 0.55 if shape == "board" else 1.0
    outline = np.stack([np.full(corners, -0.05), size * np.cos(angle), height + stretch * size * np.sin(angle)], axis=1)
    back = outline + np.array([0.02, 0.0, 0.0])
    fan = np.array([[0, k, k + 1] for k in range(1, corners - 1)])
    rim = np.array(
        [
            [[k, (k + 1) % corners, corners + k], [(k + 1) % corners, corners + (k + 1) % corners, corners + k]]
            for k in range(corners)
        ]
    )
    faces = np.concatenate([fan, rim.reshape(-1, 3), fan + corners])
    return surface(np.concatenate([outline, back]), faces, "traffic-sign", "sign")


@cache
def traffic_light(mast: bool) -> Mesh:
    """Traffic lights on a post, or on a mast whose arm reaches over the road."""
    head = [boxes((-0.15, -0.17, 2.3), (0.12, 0.17, 3.25), "pole", "dark paint")]
    if not mast:
        return Mesh.joined([cylinders([[0, 0]], 0.06, _BELOW, 3.4, "pole", "steel"), *head])
    arm = tube(np.array([[0, 0, 5.6], [0, 4.2, 5.8]]), 0.06, "pole", "steel", 6)
    return Mesh.joined(
        [
            cylinders([[0, 0]], 0.1, _BELOW, 5.7, "pole", "steel"),
            arm,
            *head,
            boxes((-0.15, 3.7, 5.2), (0.12, 4.05, 6.2), "pole", "dark paint"),
        ]
    )


@cache
def bollard() -> Mesh:
    """A post that keeps cars off the sidewalk."""
    return cylinders([[0, 0]], 0.06, _BELOW, 0.95, "pole", "steel", 7)


@cache
def utility_pole() -> Mesh:
    """A wooden pole with a cross-arm."""
    arm = boxes((-0.06, -0.9, 7.6), (0.06, 0.9, 7.74), "pole", "wood")
    return Mesh.joined([cylinders([[0, 0]], 0.13, _BELOW, 8.2, "pole", "wood"), arm])
