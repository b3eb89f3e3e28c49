"""Every vehicle that one meets in the town, ready to be put somewhere: shape, paint, length and width."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from pasco_core.data.simulation.materials import MATERIAL
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town import bikes_and_people as bikes
from pasco_core.data.simulation.town import vehicles
from pasco_core.data.simulation.town.vehicles import BODIES, PAINTS, painted

_BODY_SHARE = {"hatchback": 0.32, "sedan": 0.2, "estate": 0.2, "suv": 0.13, "minivan": 0.1, "coupe": 0.05}
_PAINT_SHARE = (0.33, 0.3, 0.22, 0.15)
_LARGE = {
    "van": vehicles.delivery_van,
    "bus": vehicles.bus,
    "caravan": vehicles.caravan,
    "trailer": vehicles.trailer,
    "box truck": vehicles.box_truck,
    "flatbed": vehicles.flatbed_truck,
    "tanker": vehicles.tanker,
}
TRUCKS = ("box truck", "flatbed", "tanker")


@dataclass(frozen=True)
class Vehicle:
    """A mesh of one thing around its own origin, and how much road it covers."""

    mesh: Mesh
    length: float
    width: float


@cache
def vehicle(kind: str, paint: str = "grey paint") -> Vehicle:
    """One of ``BODIES``, a larger vehicle, ``bicycle`` or ``motorcycle``."""
    if kind in BODIES:
        mesh = vehicles.car(BODIES[kind])
    elif kind in _LARGE:
        mesh = _LARGE[kind]()
    else:
        mesh = bikes.bicycle() if kind == "bicycle" else bikes.motorcycle()
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    length, width = 2.0 * float(max(high[0], -low[0])), 2.0 * float(max(high[1], -low[1]))
    return Vehicle(painted(mesh, MATERIAL[paint]), length, width)


@cache
def walking(phase: int, height: int) -> Mesh:
    """A walker in the ``phase``-th picture of a double step, ``height`` centimetres tall."""
    return bikes.walker(phase / bikes.PHASES, height / 100.0)


@cache
def standing(height: int) -> Mesh:
    """A person standing, ``height`` centimetres tall."""
    return bikes.stander(height / 100.0)


@cache
def cycling(phase: int) -> Mesh:
    """A bicyclist in the ``phase``-th picture of a turn of the pedals."""
    return bikes.bicyclist(phase / bikes.PHASES)


@cache
def motorcycling() -> Mesh:
    """A motorcyclist."""
    return bikes.motorcyclist()


def random_paint(rng: np.random.Generator) -> str:
    """A paint, as often as one sees it."""
    return PAINTS[int(rng.choice(len(PAINTS), p=_PAINT_SHARE))]


def random_car(rng: np.random.Generator) -> Vehicle:
    """A passenger car, as often as one sees it."""
    kind = list(_BODY_SHARE)[int(rng.choice(len(_BODY_SHARE), p=list(_BODY_SHARE.values())))]
    return vehicle(kind, random_paint(rng))


def random_parked(rng: np.random.Generator, trucks: bool) -> Vehicle:
    """What stands at a kerb: mostly cars; rarer kinds more often than in reality, for a network to learn them."""
    draw = rng.random()
    if draw < 0.9:
        return random_car(rng)
    if draw < 0.93:
        return vehicle("van", random_paint(rng))
    if draw < 0.975 and trucks:
        return vehicle(str(rng.choice(TRUCKS)), random_paint(rng))
    return vehicle("caravan" if draw < 0.99 else "trailer")


def random_moving(rng: np.random.Generator, large: bool) -> Vehicle:
    """What drives: mostly cars; buses and trucks only where ``large`` vehicles have room."""
    draw = rng.random()
    if draw < 0.76 or (draw >= 0.84 and not large):
        return random_car(rng)
    if draw < 0.84:
        return vehicle("van", random_paint(rng))
    return vehicle("bus", random_paint(rng)) if draw < 0.9 else vehicle(str(rng.choice(TRUCKS)), random_paint(rng))
