"""What stands in a street, as solids around the object's own origin: x forward, y left, z = 0 on its ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.solids import Shape, Solid

CLASS = {name: index for index, name in enumerate(SEMANTIC_KITTI.class_names)}
_BOX, _CYLINDER, _ELLIPSOID = Shape.BOX, Shape.CYLINDER, Shape.ELLIPSOID


def place(solids: list[Solid], x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> list[Solid]:
    """``solids`` turned by ``yaw`` radians and moved to (x, y, z) metres."""
    c, s = np.cos(yaw), np.sin(yaw)
    return [
        replace(
            solid,
            centre=(
                x + c * solid.centre[0] - s * solid.centre[1],
                y + s * solid.centre[0] + c * solid.centre[1],
                z + solid.centre[2],
            ),
            yaw=solid.yaw + yaw,
        )
        for solid in solids
    ]


def _upright(shape: Shape, x: float, y: float, low: float, high: float, half: tuple[float, float], **what) -> Solid:
    """A solid that reaches from height ``low`` to ``high``, with half extents ``half`` along x and y."""
    return Solid(shape, (x, y, (low + high) / 2.0), (*half, (high - low) / 2.0), 0.0, **what)


def car(instance: int, rng: np.random.Generator) -> list[Solid]:
    """A passenger car: bonnet and boot, a tapered cabin with windows, four wheels."""
    length, width, roof = rng.uniform(3.8, 4.7), rng.uniform(1.68, 1.85), rng.uniform(1.4, 1.6)
    paint = dict(category=CLASS["car"], instance=instance, reflectivity=float(rng.choice([0.03, 0.12, 0.3, 0.5])))
    cabin = 0.62 if rng.random() < 0.6 else 0.75
    shoulder = 0.62 * roof
    half = width / 2.0
    solids = [
        _upright(_BOX, 0.0, 0.0, 0.22, shoulder, (length / 2, half), taper=(0.05, 0.08), **paint),
        _upright(
            _BOX, -0.1 * length, 0, shoulder, roof, (cabin * length / 2, half * 0.95), taper=(0.36, 0.22), glass=True,
            **paint,
        ),
    ]
    wheel = dict(paint, reflectivity=0.08)
    for x in (-0.31 * length, 0.31 * length):
        for y in (-half + 0.1, half - 0.1):
            solids.append(_upright(_BOX, x, y, 0.0, 0.6, (0.28, 0.1), taper=(0.4, 0.0), **wheel))
    return solids


def van(instance: int, rng: np.random.Generator) -> list[Solid]:
    """A delivery van (other-vehicle) or a box truck."""
    truck = rng.random() < 0.4
    paint = dict(category=CLASS["truck" if truck else "other-vehicle"], instance=instance, reflectivity=0.4)
    length, height = (7.2, 3.2) if truck else (5.3, 2.4)
    solids = [
        _upright(_BOX, -0.7, 0.0, 0.35, height, (length / 2 - 0.7, 1.02), **paint),
        _upright(_BOX, length / 2 - 0.75, 0.0, 0.35, 2.3, (0.75, 0.98), taper=(0.45, 0.08), glass=True, **paint),
    ]
    wheel = dict(paint, reflectivity=0.08)
    for x in (-0.3 * length, 0.32 * length):
        for y in (-0.9, 0.9):
            solids.append(_upright(_BOX, x, y, 0.0, 0.7, (0.34, 0.12), taper=(0.4, 0.0), **wheel))
    return solids


def person(instance: int, stride: float, category: str = "person") -> list[Solid]:
    """A walking person; ``stride`` in [-1, 1] is how far the legs are apart."""
    what = dict(category=CLASS[category], instance=instance, reflectivity=0.25)
    return [
        _upright(_CYLINDER, 0.16 * stride, 0.09, 0.0, 0.85, (0.085, 0.085), **what),
        _upright(_CYLINDER, -0.16 * stride, -0.09, 0.0, 0.85, (0.085, 0.085), **what),
        _upright(_ELLIPSOID, 0.0, 0.0, 0.75, 1.52, (0.17, 0.26), **what),
        _upright(_ELLIPSOID, 0.02, 0.0, 1.48, 1.76, (0.11, 0.1), **what),
    ]


def bicycle(instance: int, category: str = "bicycle") -> list[Solid]:
    """A bicycle: two spoked wheels and a frame, all of which rays get through."""
    what = dict(category=CLASS[category], instance=instance, reflectivity=0.2)
    return [
        _upright(_BOX, -0.52, 0.0, 0.0, 0.68, (0.3, 0.03), mean_free_path=0.06, taper=(0.4, 0.0), **what),
        _upright(_BOX, 0.52, 0.0, 0.0, 0.68, (0.3, 0.03), mean_free_path=0.06, taper=(0.4, 0.0), **what),
        _upright(_BOX, 0.0, 0.0, 0.35, 0.9, (0.4, 0.025), mean_free_path=0.05, **what),
        _upright(_BOX, 0.45, 0.0, 0.92, 1.04, (0.05, 0.28), mean_free_path=0.1, **what),
    ]


def cyclist(instance: int) -> list[Solid]:
    """A bicycle with its rider, one object of class bicyclist."""
    rider = place(person(instance, 0.3, "bicyclist"), -0.1, 0.0, 0.18)
    return bicycle(instance, "bicyclist") + rider


def tree(rng: np.random.Generator, size: float = 1.0) -> list[Solid]:
    """A trunk, two forks and a crown of overlapping clumps of leaves."""
    radius, fork = size * rng.uniform(0.1, 0.26), rng.uniform(1.5, 2.8)
    spread = size * rng.uniform(1.3, 2.5)
    bark = dict(category=CLASS["trunk"], reflectivity=0.33)
    leaves = dict(category=CLASS["vegetation"], reflectivity=0.37, mean_free_path=float(rng.uniform(0.5, 0.9)))
    solids = [_upright(_CYLINDER, 0.0, 0.0, 0.0, fork + 0.3, (radius, radius), **bark)]
    for turn in rng.uniform(0, 2 * np.pi, 2):
        x, y = 0.45 * np.cos(turn), 0.45 * np.sin(turn)
        solids.append(_upright(_CYLINDER, x, y, fork, fork + 1.6, (0.5 * radius, 0.5 * radius), **bark))
    for i in range(5):
        turn, out = i * 1.26 + rng.uniform(0, 0.6), rng.uniform(0.3, 0.75) * spread
        low, tall = fork - 0.2 + rng.uniform(0, 0.9), rng.uniform(1.1, 2.2) * spread
        half = (rng.uniform(0.55, 0.9) * spread, rng.uniform(0.55, 0.9) * spread)
        solids.append(_upright(_ELLIPSOID, out * np.cos(turn), out * np.sin(turn), low, low + tall, half, **leaves))
    return solids


def bush(rng: np.random.Generator) -> list[Solid]:
    """A low clump of leaves that hides its stems."""
    half, height = (rng.uniform(0.4, 1.1), rng.uniform(0.4, 1.1)), rng.uniform(0.6, 1.6)
    leaves = dict(category=CLASS["vegetation"], reflectivity=0.36, mean_free_path=0.18)
    return [_upright(_ELLIPSOID, 0.0, 0.0, -0.3 * height, height, half, **leaves)]


def mound(rng: np.random.Generator) -> list[Solid]:
    """A low rise of grass."""
    half = (rng.uniform(5.0, 9.0), rng.uniform(3.0, 6.0))
    grass = dict(category=CLASS["terrain"], reflectivity=0.37)
    return [_upright(_ELLIPSOID, 0.0, 0.0, -0.5, rng.uniform(0.5, 1.3), half, **grass)]


def hedge(length: float, height: float) -> list[Solid]:
    """A clipped hedge along x, centred."""
    leaves = dict(category=CLASS["vegetation"], reflectivity=0.36, mean_free_path=0.12)
    return [_upright(_BOX, 0.0, 0.0, 0.0, height, (length / 2, 0.4), taper=(0.0, 0.25), **leaves)]


def fence(length: float, height: float) -> list[Solid]:
    """A picket fence along x, centred: rays get through about every second time; its posts are opaque."""
    wood = dict(category=CLASS["fence"], reflectivity=0.3)
    posts = np.linspace(-length / 2, length / 2, max(int(length / 2.5) + 1, 2))
    solids = [_upright(_BOX, 0.0, 0.0, 0.1, height, (length / 2, 0.04), mean_free_path=0.1, **wood)]
    return solids + [_upright(_BOX, x, 0.0, 0.0, height + 0.08, (0.05, 0.05), **wood) for x in posts]


def wall(length: float, height: float) -> list[Solid]:
    """A garden wall along x, centred (SemanticKITTI counts it as fence)."""
    return [_upright(_BOX, 0.0, 0.0, 0.0, height, (length / 2, 0.12), category=CLASS["fence"], reflectivity=0.32)]


def street_lamp() -> list[Solid]:
    """A lamp post with a base."""
    steel = dict(category=CLASS["pole"], reflectivity=0.3)
    return [
        _upright(_CYLINDER, 0.0, 0.0, 0.0, 1.1, (0.1, 0.1), **steel),
        _upright(_CYLINDER, 0.0, 0.0, 1.1, 7.0, (0.06, 0.06), **steel),
        _upright(_BOX, 0.0, 0.7, 6.9, 7.05, (0.12, 0.8), **steel),
    ]


def traffic_sign(rng: np.random.Generator) -> list[Solid]:
    """A plate on a pole; the plate looks along -x and reflects strongly."""
    low = float(rng.uniform(1.8, 2.2))
    plate = dict(category=CLASS["traffic-sign"], reflectivity=0.95)
    return [
        _upright(_CYLINDER, 0.0, 0.0, 0.0, low + 0.6, (0.035, 0.035), category=CLASS["pole"], reflectivity=0.3),
        _upright(_BOX, -0.05, 0.0, low, low + 0.65, (0.015, 0.33), **plate),
    ]


def building(width: float, depth: float, height: float, rng: np.random.Generator) -> list[Solid]:
    """A house with its front towards -y at y = 0: walls with windows, a roof, a porch and bays."""
    brick = dict(category=CLASS["building"], reflectivity=float(rng.uniform(0.34, 0.5)))
    solids = [
        _upright(_BOX, 0.0, depth / 2, 0.0, height, (width / 2, depth / 2), glass=True, **brick),
        _upright(
            _BOX, 0.0, depth / 2, height, height + 3.2, (width / 2 + 0.3, depth / 2 + 0.3), taper=(0.15, 0.95), **brick
        ),
    ]
    porch = rng.uniform(-0.3, 0.3) * width
    solids.append(_upright(_BOX, porch, -0.3, 0.0, 0.35, (1.1, 0.7), **brick))
    solids.append(_upright(_BOX, porch, -0.35, 2.3, 2.5, (1.2, 0.6), **brick))
    if rng.random() < 0.6:
        side = float(np.sign(porch or 1.0)) * -0.28 * width
        bay = _upright(_BOX, side, -0.2, 0.0, 0.75 * height, (1.4, 0.55), taper=(0.1, 0.0), glass=True, **brick)
        solids.append(bay)
    return solids
