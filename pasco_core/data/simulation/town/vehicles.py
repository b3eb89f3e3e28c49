"""Motor vehicles in their own frame: x forward, y left, origin under the middle, z = 0 on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.materials import MATERIAL
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.shapes import boxes, loft, tube

PAINT = "coloured paint"  # stands for the paint of each vehicle until it is placed
PAINTS = ("dark paint", "grey paint", "bright paint", "coloured paint")


@dataclass(frozen=True)
class Body:
    """A car's side view and measures in metres.

    Args:
        length, width, height: of the whole body.
        belt: height of the lower edge of the windows.
        nose: height of the bonnet's front edge.
        screen: shares of the length from the front at which windscreen begins and ends.
        rear: shares of the length at which the rear window begins and ends.
        tail: height of the boot behind the rear window.
    """

    length: float
    width: float
    height: float
    belt: float
    nose: float
    screen: tuple[float, float]
    rear: tuple[float, float]
    tail: float


BODIES = {
    "hatchback": Body(3.95, 1.70, 1.47, 0.92, 0.72, (0.22, 0.42), (0.9, 0.985), 0.9),
    "sedan": Body(4.55, 1.80, 1.45, 0.93, 0.70, (0.25, 0.43), (0.74, 0.87), 0.98),
    "estate": Body(4.65, 1.81, 1.47, 0.93, 0.70, (0.24, 0.41), (0.93, 0.99), 0.95),
    "suv": Body(4.5, 1.87, 1.70, 1.08, 0.92, (0.22, 0.38), (0.92, 0.985), 1.08),
    "minivan": Body(4.4, 1.82, 1.72, 1.0, 0.80, (0.13, 0.36), (0.94, 0.99), 1.0),
    "coupe": Body(4.3, 1.78, 1.35, 0.88, 0.66, (0.28, 0.46), (0.68, 0.9), 0.9),
}


def car(body: Body) -> Mesh:
    """A passenger car: a skin with bonnet, screens and side windows, wheels, mirrors and number plates."""
    b = body
    s0, s1, r0, r1 = b.screen[0], b.screen[1], b.rear[0], b.rear[1]
    share = np.array([0.0, 0.012, 0.06, 0.6 * s0, s0, s1, 0.5 * (s1 + r0), r0, r1, min(r1 + 0.005, 0.993), 1.0])
    low = np.array([0.34, 0.24, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.24, 0.28, 0.36])
    bonnet = b.belt - 0.04
    top = np.array(
        [
            b.nose - 0.12,
            b.nose,
            b.nose + 0.06,
            bonnet,
            b.belt,
            b.height - 0.03,
            b.height,
            b.height - 0.05,
            b.tail,
            b.tail - 0.02,
            b.tail - 0.16,
        ]
    )
    belt = np.minimum(
        top - 0.012, np.array([b.nose, b.nose, b.nose + 0.05, bonnet, *[b.belt] * 4, b.tail, b.tail, b.tail]) - 0.02
    )
    half = b.width / 2 * np.array([0.74, 0.82, 0.93, 0.99, 1.0, 1.0, 1.0, 1.0, 0.95, 0.92, 0.86])
    rings = np.stack([_ring(*values) for values in zip(low, belt, top, half, strict=True)])
    x = (0.5 - share) * b.length
    rings = np.concatenate([np.broadcast_to(x[:, None, None], (*rings.shape[:2], 1)), rings], axis=2)
    panels = np.full((len(share) - 1, rings.shape[1]), MATERIAL[PAINT], np.uint8)
    panels[4:8, 4] = panels[4:8, 8] = MATERIAL["window"]  # the sides between belt and roof
    panels[4, 5:8] = panels[7, 5:8] = MATERIAL["window"]  # windscreen and rear window
    panels[:, [0, 12]] = MATERIAL["rubber"]
    axle = 0.31 * b.length
    parts = [loft(rings, "car", panels), wheels((axle, -0.93 * axle), b.width / 2, 0.31, "car")]
    mirror = x[4] - 0.35
    for side in (-1, 1):
        y = side * (b.width / 2 + 0.06)
        parts.append(boxes((mirror - 0.05, y - 0.1, b.belt), (mirror + 0.05, y + 0.1, b.belt + 0.13), "car", PAINT))
    parts += plates(b.length / 2 - 0.02, 0.48, "car")
    return Mesh.joined(parts)


def _ring(low: float, belt: float, top: float, half: float) -> np.ndarray:
    """(13, 2) points y, z around the body at one place along it."""
    roof = half * (0.93 - 0.34 * (top - belt))
    right = [
        (0.8 * half, low),
        (half, low + 0.12),
        (half, 0.5 * (low + belt)),
        (0.985 * half, belt - 0.08),
        (0.93 * half, belt),
        (roof, top - 0.035),
        (0.72 * roof, top),
    ]
    points = np.array(right[:6] + [right[6]] + [(-y, z) for y, z in reversed(right[:6])])
    return np.roll(points, 0, axis=0)


def wheels(axles: tuple[float, ...], half_width: float, radius: float, category: str, width: float = 0.2) -> Mesh:
    """Pairs of wheels at ``axles`` (x in metres), their outer faces 1 cm outside ``half_width``."""
    parts = []
    for x in axles:
        for side in (-1.0, 1.0):
            y = np.array([half_width + 0.01, half_width - 0.02, half_width + 0.01 - width]) * side
            line = np.stack([np.full(3, x), y, np.full(3, radius)], axis=1)
            parts.append(tube(line, radius * np.array([0.94, 1.0, 1.0]), category, "rubber", 14))
            hub = np.array([[x, side * (half_width + 0.012), radius], [x, side * (half_width - 0.05), radius]])
            parts.append(tube(hub, 0.62 * radius, category, "steel", 8))
    return Mesh.joined(parts)


def plates(ahead: float, height: float, category: str) -> list[Mesh]:
    """Number plates at both ends of a vehicle that reaches from -ahead to ahead."""
    return [
        boxes((x - 0.03, -0.26, height), (x + 0.03, 0.26, height + 0.11), category, "licence plate")
        for x in (-ahead, ahead)
    ]


def delivery_van() -> Mesh:
    """A panel van (other-vehicle), 5.6 m long."""
    what = "other-vehicle"
    x = np.array([2.8, 2.74, 2.3, 1.75, 1.1, 0.9, -2.7, -2.8])
    low = np.array([0.4, 0.32, 0.3, 0.3, 0.3, 0.3, 0.3, 0.36])
    top = np.array([0.9, 1.05, 1.25, 1.4, 2.3, 2.45, 2.5, 2.4])
    belt = np.minimum(top - 0.03, 1.35)
    half = np.array([0.8, 0.88, 0.97, 1.0, 1.0, 1.0, 1.0, 0.97])
    rings = np.stack([_ring(*v) for v in zip(low, belt, top, half, strict=True)])
    rings[4:, 5, 0], rings[4:, 7, 0] = 0.93 * half[4:], -0.93 * half[4:]
    rings = np.concatenate([np.broadcast_to(x[:, None, None], (*rings.shape[:2], 1)), rings], axis=2)
    panels = np.full((len(x) - 1, 13), MATERIAL[PAINT], np.uint8)
    panels[3, 4:9] = MATERIAL["window"]
    return Mesh.joined([loft(rings, what, panels), wheels((1.75, -1.75), 1.0, 0.35, what), *plates(2.8, 0.5, what)])


def bus() -> Mesh:
    """A city bus (other-vehicle), 11.5 m long."""
    what = "other-vehicle"
    parts = [
        boxes((-5.75, -1.25, 0.35), (5.75, 1.25, 1.15), what, PAINT),
        boxes((-5.7, -1.23, 1.15), (5.7, 1.23, 2.45), what, "window", (0.006, 0.02)),
        boxes((-5.72, -1.24, 2.45), (5.72, 1.24, 2.95), what, PAINT, (0.01, 0.06)),
        wheels((3.3, -2.9), 1.24, 0.48, what, 0.3),
        *plates(5.76, 0.6, what),
    ]
    pillars = np.arange(-5.6, 5.7, 1.4)
    for side in (-1.235, 1.235):
        low = np.stack([pillars - 0.06, np.full(len(pillars), side - 0.02), np.full(len(pillars), 1.15)], axis=1)
        parts.append(boxes(low, low + np.array([0.12, 0.04, 1.3]), what, PAINT))
    return Mesh.joined(parts)


def caravan() -> Mesh:
    """A caravan on its drawbar (other-vehicle)."""
    what = "other-vehicle"
    return Mesh.joined(
        [
            boxes((-2.4, -1.1, 0.4), (2.2, 1.1, 2.55), what, "bright paint", (0.06, 0.04)),
            boxes((-1.2, -1.12, 1.3), (1.0, 1.12, 1.95), what, "window"),
            boxes((2.2, -0.06, 0.42), (3.4, 0.06, 0.52), what, "steel"),
            boxes((3.1, -0.05, 0.0), (3.2, 0.05, 0.5), what, "steel"),
            wheels((-0.2,), 1.08, 0.32, what),
        ]
    )


def trailer() -> Mesh:
    """An open car trailer (other-vehicle)."""
    what = "other-vehicle"
    sides = [
        ((-1.3, -0.75), (1.3, -0.71)),
        ((-1.3, 0.71), (1.3, 0.75)),
        ((-1.3, -0.71), (-1.26, 0.71)),
        ((1.26, -0.71), (1.3, 0.71)),
    ]
    low = [(x, y, 0.5) for (x, y), _ in sides]
    high = [(x, y, 0.95) for _, (x, y) in sides]
    return Mesh.joined(
        [
            boxes(low, high, what, "steel"),
            boxes((-1.3, -0.75, 0.45), (1.3, 0.75, 0.5), what, "wood"),
            boxes((1.3, -0.05, 0.42), (2.4, 0.05, 0.5), what, "steel"),
            wheels((-0.1,), 0.95, 0.29, what),
        ]
    )


def _cab(ahead: float, what: str) -> list[Mesh]:
    """A truck's cab whose front is at x = ``ahead``."""
    return [
        boxes((ahead - 1.9, -1.18, 0.55), (ahead, 1.18, 1.5), what, PAINT),
        boxes((ahead - 1.9, -1.16, 1.5), (ahead - 0.02, 1.16, 2.35), what, "window", (0.06, 0.04)),
        boxes((ahead - 1.85, -1.12, 2.35), (ahead - 0.12, 1.12, 2.75), what, PAINT, (0.15, 0.1)),
        boxes((ahead - 0.25, -1.45, 1.6), (ahead - 0.1, -1.2, 2.2), what, "dark paint"),
        boxes((ahead - 0.25, 1.2, 1.6), (ahead - 0.1, 1.45, 2.2), what, "dark paint"),
    ]


def box_truck() -> Mesh:
    """A truck with a closed box, 8 m long."""
    what = "truck"
    return Mesh.joined(
        [
            *_cab(4.0, what),
            boxes((-4.0, -1.25, 1.0), (1.95, 1.25, 3.5), what, "bright paint"),
            boxes((-3.9, -0.45, 0.6), (2.1, 0.45, 1.0), what, "dark paint"),
            wheels((2.9, -2.3), 1.22, 0.48, what, 0.32),
            *plates(4.0, 0.6, what),
        ]
    )


def flatbed_truck() -> Mesh:
    """A truck with an open platform with drop sides, loaded."""
    what = "truck"
    parts = [
        *_cab(3.6, what),
        boxes((-3.6, -1.22, 1.0), (1.6, 1.22, 1.12), what, "wood"),
        wheels((2.5, -1.4, -2.6), 1.2, 0.46, what, 0.3),
        boxes((-3.5, -0.45, 0.6), (1.7, 0.45, 1.0), what, "dark paint"),
        *plates(3.6, 0.6, what),
        boxes((-2.9, -0.9, 1.12), (0.6, 0.9, 2.0), what, "wood", (0.1, 0.2)),
    ]
    low = [(-3.6, -1.22, 1.12), (-3.6, 1.18, 1.12), (-3.6, -1.2, 1.12), (1.55, -1.2, 1.12)]
    high = [(1.6, -1.18, 1.6), (1.6, 1.22, 1.6), (-3.55, 1.2, 1.6), (1.6, 1.2, 2.1)]
    return Mesh.joined([*parts, boxes(low, high, what, "steel")])


def tanker() -> Mesh:
    """A truck with a tank."""
    what = "truck"
    line = np.array([[-3.8, 0, 2.0], [-3.5, 0, 2.0], [1.2, 0, 2.0], [1.5, 0, 2.0]])
    return Mesh.joined(
        [
            *_cab(3.7, what),
            tube(line, [0.7, 1.1, 1.1, 0.7], what, "steel", 14),
            boxes((-3.7, -0.6, 0.6), (1.8, 0.6, 1.1), what, "dark paint"),
            wheels((2.6, -1.7, -2.9), 1.2, 0.48, what, 0.32),
            *plates(3.75, 0.6, what),
        ]
    )


def painted(mesh: Mesh, paint: int) -> Mesh:
    """The vehicle in another paint, given as index of a material."""
    material = np.where(mesh.material == MATERIAL[PAINT], np.uint8(paint), mesh.material)
    return Mesh(mesh.vertices, mesh.triangles, mesh.category, mesh.instance, material.astype(np.uint8))


def ego_car() -> Mesh:
    """The car that carries the sensor, an estate; the origin lies under the sensor, 0.6 m behind the car's middle."""
    body = painted(car(BODIES["estate"]), MATERIAL["grey paint"])
    shift = np.eye(4)
    shift[0, 3] = 0.6
    return body.moved(shift)
