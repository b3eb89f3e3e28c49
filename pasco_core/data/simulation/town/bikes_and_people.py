"""People, bicycles, motorcycles and their riders in their own frame: x forward, y left, z = 0 on the ground."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.shapes import boxes, ellipsoids, tube

PHASES = 12
"""Pictures of one double step, or of one turn of the pedals."""
STRIDE = 1.45
"""Metres that a walker gets on per double step."""


def walker(phase: float, height: float = 1.75, category: str = "person") -> Mesh:
    """A person walking; ``phase`` in [0, 1) of a double step."""
    swing = np.sin(2.0 * np.pi * phase)
    bend = 0.5 * (1.0 + np.cos(2.0 * np.pi * phase))
    legs = [_leg(0.09, 0.45 * swing, 0.7 * bend, category), _leg(-0.09, -0.45 * swing, 0.7 * (1.0 - bend), category)]
    arms = [_arm(side * 0.22, -side * 0.4 * swing, category) for side in (1.0, -1.0)]
    return _sized(Mesh.joined([*legs, *arms, *_torso(0.0, 0.0, category)]), height)


def stander(height: float = 1.72, category: str = "person") -> Mesh:
    """A person standing."""
    parts = [_leg(0.1, 0.03, 0.0, category), _leg(-0.1, -0.03, 0.0, category)]
    parts += [_arm(0.23, 0.08, category), _arm(-0.23, 0.5, category)]
    return _sized(Mesh.joined([*parts, *_torso(0.0, 0.0, category)]), height)


def _sized(mesh: Mesh, height: float) -> Mesh:
    return Mesh(mesh.vertices * np.float32(height / 1.75), mesh.triangles, mesh.category, mesh.instance, mesh.material)


def _leg(y: float, swing: float, bend: float, category: str) -> Mesh:
    """A leg from the hip, ``swing`` radians to the front, the knee bent by ``bend`` radians."""
    hip = np.array([0.0, y, 0.92])
    knee = hip + 0.45 * np.array([np.sin(swing), 0.0, -np.cos(swing)])
    ankle = knee + 0.43 * np.array([np.sin(swing - bend), 0.0, -np.cos(swing - bend)])
    ankle[2] = max(ankle[2], 0.06)
    limb = tube(np.stack([hip, knee, ankle]), [0.095, 0.065, 0.048], category, "clothes", 7)
    foot = boxes(
        ankle + np.array([-0.08, -0.05, -0.06]), ankle + np.array([0.18, 0.05, 0.03]), category, "rubber", (0.2, 0.1)
    )
    return Mesh.joined([limb, foot])


def _arm(y: float, swing: float, category: str) -> Mesh:
    shoulder = np.array([0.0, y * 0.92, 1.42])
    elbow = shoulder + 0.29 * np.array([np.sin(swing), 0.12 * np.sign(y), -np.cos(swing)])
    hand = elbow + 0.27 * np.array([np.sin(swing + 0.35), 0.0, -np.cos(swing + 0.35)])
    return tube(np.stack([shoulder, elbow, hand]), [0.055, 0.045, 0.035], category, "clothes", 6)


def _torso(x: float, up: float, category: str) -> list[Mesh]:
    line = np.array(
        [[x, 0, 0.86 + up], [x, 0, 1.1 + up], [x + 0.01, 0, 1.34 + up], [x, 0, 1.48 + up], [x, 0, 1.53 + up]]
    )
    body = tube(line, [0.15, 0.145, 0.18, 0.12, 0.05], category, "clothes", 9)
    wide = body.vertices * np.float32([0.85, 1.2, 1.0])
    body = Mesh(wide.astype(np.float32), body.triangles, body.category, body.instance, body.material)
    head = ellipsoids([[x + 0.02, 0, 1.64 + up]], [[0.1, 0.08, 0.125]], category, "skin", 8)
    return [body, head]


def _wheel(x: float, radius: float, thick: float, category: str, spokes: int = 6) -> Mesh:
    """A spoked wheel in the plane y = 0."""
    angle = np.linspace(0.0, 2.0 * np.pi, 17)
    ring = np.stack(
        [x + (radius - thick) * np.cos(angle), np.zeros(17), radius + (radius - thick) * np.sin(angle)], axis=1
    )
    parts = [tube(ring, thick, category, "rubber", 5, closed=False)]
    for turn in np.arange(spokes) * np.pi / spokes:
        arm = (radius - thick) * np.array([np.cos(turn), 0.0, np.sin(turn)])
        hub = np.array([x, 0.0, radius])
        parts.append(tube(np.stack([hub - arm, hub + arm]), 0.006, category, "steel", 3, closed=False))
    return Mesh.joined(parts)


def bicycle(category: str = "bicycle") -> Mesh:
    """A bicycle: two spoked wheels, a diamond frame, saddle, handlebar and pedals."""
    lines = [
        [(-0.52, 0, 0.34), (-0.12, 0, 0.3)],
        [(-0.12, 0, 0.3), (-0.24, 0, 0.86)],
        [(-0.52, 0, 0.34), (-0.22, 0, 0.76)],
        [(-0.12, 0, 0.3), (0.38, 0, 0.72)],
        [(-0.21, 0, 0.74), (0.36, 0, 0.8)],
        [(0.53, 0, 0.34), (0.36, 0, 1.0)],
        [(0.3, 0.27, 1.02), (0.38, 0, 1.0), (0.3, -0.27, 1.02)],
        [(-0.12, -0.16, 0.2), (-0.12, 0.16, 0.4)],
    ]
    parts = [tube(np.array(line, float), 0.02, category, "steel", 5) for line in lines]
    parts += [_wheel(-0.52, 0.34, 0.022, category), _wheel(0.53, 0.34, 0.022, category)]
    parts.append(boxes((-0.37, -0.07, 0.86), (-0.12, 0.07, 0.93), category, "rubber", (0.2, 0.3)))
    parts.append(boxes((-0.72, -0.06, 0.7), (-0.35, 0.06, 0.73), category, "steel"))
    return Mesh.joined(parts)


def motorcycle(category: str = "motorcycle") -> Mesh:
    """A motorcycle with engine, tank, seat, forks, handlebar and lamp."""
    parts = [_wheel(-0.68, 0.31, 0.06, category, 3), _wheel(0.72, 0.31, 0.055, category, 3)]
    parts += [
        ellipsoids(
            [[0.12, 0, 0.82], [0.0, 0, 0.45], [0.6, 0, 0.95]],
            [[0.28, 0.15, 0.14], [0.27, 0.18, 0.2], [0.12, 0.12, 0.13]],
            category,
            "coloured paint",
            8,
        ),
        boxes((-0.72, -0.14, 0.72), (-0.08, 0.14, 0.84), category, "rubber", (0.1, 0.2)),
        boxes((-0.95, -0.08, 0.66), (-0.7, 0.08, 0.78), category, "coloured paint", (0.2, 0.2)),
        tube(np.array([[0.72, 0.08, 0.31], [0.5, 0.08, 1.0]]), 0.03, category, "steel", 6),
        tube(np.array([[0.72, -0.08, 0.31], [0.5, -0.08, 1.0]]), 0.03, category, "steel", 6),
        tube(np.array([[0.38, 0.36, 1.04], [0.48, 0.0, 1.02], [0.38, -0.36, 1.04]]), 0.02, category, "steel", 6),
        tube(np.array([[-0.68, -0.12, 0.31], [-0.1, -0.1, 0.4], [0.1, -0.12, 0.4]]), 0.035, category, "steel", 6),
        boxes((-0.97, -0.09, 0.5), (-0.95, 0.09, 0.64), category, "licence plate"),
    ]
    return Mesh.joined(parts)


def bicyclist(phase: float) -> Mesh:
    """A bicycle with its rider, one thing."""
    what = "bicyclist"
    turn = 2.0 * np.pi * phase
    parts = [bicycle(what)]
    for side, angle in ((1.0, turn), (-1.0, turn + np.pi)):
        foot = np.array([-0.12 + 0.17 * np.cos(angle), side * 0.12, 0.34 + 0.17 * np.sin(angle)])
        parts.append(_bent_leg(np.array([-0.24, side * 0.1, 0.95]), foot, what))
    return Mesh.joined([*parts, *_rider_above(-0.24, 0.95, np.array([0.3, 0.25, 1.03]), 0.45, what)])


def motorcyclist() -> Mesh:
    """A motorcycle with its rider, one thing."""
    what = "motorcyclist"
    parts = [motorcycle(what)]
    for side in (1.0, -1.0):
        parts.append(_bent_leg(np.array([-0.3, side * 0.14, 0.86]), np.array([-0.05, side * 0.2, 0.32]), what))
    return Mesh.joined([*parts, *_rider_above(-0.3, 0.86, np.array([0.38, 0.32, 1.05]), 0.3, what)])


def _bent_leg(hip: np.ndarray, foot: np.ndarray, what: str) -> Mesh:
    reach = foot - hip
    length = np.linalg.norm(reach)
    out = np.sqrt(max(0.45**2 - (length / 2) ** 2, 0.0))
    ahead = np.array([-reach[2], 0.0, reach[0]]) / max(np.hypot(reach[0], reach[2]), 1e-6)
    knee = hip + reach / 2 + out * ahead
    leg = tube(np.stack([hip, knee, foot]), [0.09, 0.065, 0.05], what, "clothes", 7)
    return Mesh.joined(
        [leg, boxes(foot + np.array([-0.09, -0.05, -0.05]), foot + np.array([0.17, 0.05, 0.03]), what, "rubber")]
    )


def _rider_above(x: float, seat: float, hand: np.ndarray, lean: float, what: str) -> list[Mesh]:
    """Torso leaning forward by ``lean`` radians, arms to the handlebar, head with a helmet."""
    up = np.array([np.sin(lean), 0.0, np.cos(lean)])
    hip = np.array([x, 0.0, seat - 0.02])
    spine = hip + np.outer([0.0, 0.22, 0.45, 0.56, 0.62], up)
    parts = [tube(spine, [0.15, 0.15, 0.19, 0.14, 0.05], what, "clothes", 9)]
    shoulder = hip + 0.5 * up
    for side in (1.0, -1.0):
        end = hand * [1.0, side, 1.0]
        start = shoulder + np.array([0.0, side * 0.19, 0.0])
        elbow = (start + end) / 2 + [0.0, side * 0.06, -0.08]
        parts.append(tube(np.stack([start, elbow, end]), [0.055, 0.045, 0.035], what, "clothes", 6))
    head = hip + 0.75 * up + [0.04, 0.0, 0.0]
    return [*parts, ellipsoids([head], [[0.13, 0.11, 0.14]], what, "dark paint", 8)]
