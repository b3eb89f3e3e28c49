"""What stands along the streets around a tile: parked vehicles, lamps, signs, street trees, bicycles, people."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town import fleet, street_furniture
from pasco_core.data.simulation.town.boundaries import guard_rail
from pasco_core.data.simulation.town.ground import CLEAR, Side
from pasco_core.data.simulation.town.layout import CORNER
from pasco_core.data.simulation.town.pieces import Frame, Pieces
from pasco_core.data.simulation.town.vegetation import Plants

_SIGNS = ("round", "triangle", "square", "board", "round", "triangle")


class Kerb:
    """One side of a street along a tile.

    Args:
        pieces: collects what is put there.
        side: the street.
        ends: the streets that cross it at the lower and at the upper end.
    """

    def __init__(self, pieces: Pieces, side: Side, ends: tuple[Side, Side]):
        self._pieces, self.side = pieces, side
        self.low, self.high = ends[0].line + ends[0].profile.kerb, ends[1].line - ends[1].profile.kerb
        # Traffic keeps right: on a street along v the tile at larger u has the traffic towards +v, and so on around.
        forward = side.upper == (side.axis == 0)
        self.heading = (np.pi / 2 if side.axis == 0 else 0.0) + (0.0 if forward else np.pi)
        self.forward = forward
        self._used: dict[str, list[float]] = {"kerb": [], "wall": []}

    def reserve(self, at: float, room: float = 1.0, edge: str = "kerb") -> bool:
        """Whether nothing else stands at that edge of the sidewalk within ``room`` metres; from now on this does."""
        free = all(abs(at - other) >= room for other in self._used[edge])
        if free:
            self._used[edge].append(at)
        return free

    def spot(self, at: float, out: float) -> np.ndarray:
        """(u, v) ``at`` along the street and ``out`` metres from its centre line."""
        across = self.side.line + self.side.sign * out
        return np.array([across, at] if self.side.axis == 0 else [at, across])

    def put(self, mesh: Mesh, at: float, out: float, turn: float = 0.0, instance: int = 0, scale: float = 1.0) -> None:
        """Puts a mesh whose x axis points along the traffic, turned by ``turn``."""
        self._pieces.put(mesh, *self.spot(at, out), self.heading + turn, scale, instance)


def furnish_streets(pieces: Pieces, plants: Plants, rng: np.random.Generator) -> None:
    """Plans the four kerbs of a tile."""
    west, east, south, north = pieces.tile.sides
    for side, ends in ((west, (south, north)), (east, (south, north)), (south, (west, east)), (north, (west, east))):
        kerb = Kerb(pieces, side, ends)
        if side.parking:
            _park(pieces, kerb, rng)
        elif not side.segment.wide and side.profile.kerb > side.profile.road:
            _verge(kerb, rng, plants)
        _lamps(kerb, rng)
        _signs(kerb, rng)
        if side.sidewalk:
            _sidewalk(pieces, kerb, rng, plants)
        if side.segment.kind == "highway":
            _guard_rail(pieces, kerb)


def _park(pieces: Pieces, kerb: Kerb, rng: np.random.Generator) -> None:
    """Vehicles one behind the other in the parking strip, with gaps."""
    full = rng.uniform(0.1, 0.7)
    p = kerb.side.profile
    middle, at = (p.road + p.kerb) / 2, kerb.low + CLEAR + 0.8
    while at < kerb.high - CLEAR - 5.0:
        if rng.random() > full:
            at += rng.uniform(3.0, 7.0)
            continue
        if rng.random() < 0.16:
            cycle = fleet.vehicle("motorcycle", fleet.random_paint(rng))
            kerb.put(cycle.mesh, at + 0.7, middle + 0.2, 0.9 + rng.normal(0.0, 0.1), pieces.number())
            at += 1.9
            continue
        vehicle = fleet.random_parked(rng, trucks=p.lanes == 2)
        if at + vehicle.length > kerb.high - CLEAR - 0.5:
            break
        # Wide ones stand with their right wheels at the kerb as all others do.
        out = min(middle + rng.normal(0.0, 0.07), p.kerb - 0.08 - vehicle.width / 2)
        turn = rng.normal(0.0, 0.02) + (np.pi if rng.random() < 0.12 else 0.0)
        kerb.put(vehicle.mesh, at + vehicle.length / 2, out, turn, pieces.number())
        at += vehicle.length + rng.uniform(0.5, 1.6)


def _lamps(kerb: Kerb, rng: np.random.Generator) -> None:
    kind, p = kerb.side.segment.kind, kerb.side.profile
    out = p.kerb + 0.45 if kerb.side.sidewalk else p.kerb + 1.2
    every = {"urban": 26.0, "residential": 30.0, "rural": 45.0, "highway": 48.0}[kind]
    first = kerb.low + CORNER + rng.uniform(2.5, 0.6 * every)
    for at in np.arange(first, kerb.high - CORNER - 1.5, every):
        kerb.reserve(at)
        if kind == "rural":
            kerb.put(street_furniture.utility_pole(), at, out)
        elif kerb.side.upper or kind in ("urban", "highway") or rng.random() < 0.3:
            kerb.put(street_furniture.street_lamp(kind != "residential" or kerb.side.line % 2 < 1.2), at, out)


def _signs(kerb: Kerb, rng: np.random.Generator) -> None:
    """Signs on the way and, where the traffic reaches the crossing, lights or a sign."""
    p, kind = kerb.side.profile, kerb.side.segment.kind
    out = p.kerb + (0.5 if kerb.side.sidewalk else 1.0)
    end = kerb.high - CORNER - 0.6 if kerb.forward else kerb.low + CORNER + 0.6
    if kerb.reserve(end, 0.6) and kind == "urban" and p.lanes == 2:
        kerb.put(street_furniture.traffic_light(bool(rng.random() < 0.4)), end, out)
    elif rng.random() < 0.75:
        kerb.put(street_furniture.traffic_sign(str(rng.choice(_SIGNS)), 2.1, bool(rng.random() < 0.3)), end, out)
    for at in rng.uniform(kerb.low + CORNER + 2, kerb.high - CORNER - 2, int(rng.integers(1, 6))):
        mesh = street_furniture.traffic_sign(
            str(rng.choice(_SIGNS)), float(rng.choice([1.9, 2.2])), bool(rng.random() < 0.25)
        )
        turn = np.pi * (rng.random() < 0.25)
        if kerb.reserve(at):
            kerb.put(mesh, at, out + 0.12, turn)


def _sidewalk(pieces: Pieces, kerb: Kerb, rng: np.random.Generator, plants: Plants) -> None:
    """Bollards at the corners, street trees, bicycles along the walls, people who stand and talk."""
    p = kerb.side.profile
    if rng.random() < 0.25:
        for k in range(4):
            at = kerb.low + CORNER + 1.5 * k
            if kerb.reserve(at, 0.7):
                kerb.put(street_furniture.bollard(), at, p.kerb + 0.3)
    if rng.random() < 0.65:
        every, name = rng.uniform(8.0, 14.0), str(rng.choice(["young", "lime", "maple"]))
        for at in np.arange(kerb.low + CORNER + 4.0, kerb.high - CORNER - 3.0, every):
            mesh = plants.tree(name, True, rng)
            turn, scale = rng.uniform(0, 6.28), rng.uniform(1.0, 1.35) if name == "young" else rng.uniform(0.6, 0.85)
            if kerb.reserve(at, 1.2):
                kerb.put(mesh, at, p.kerb + 0.55, turn, scale=scale)
    for at in rng.uniform(kerb.low + CORNER, kerb.high - CORNER, int(rng.integers(0, 4))):
        for k in range(int(rng.integers(1, 4))):
            bicycle = fleet.vehicle("bicycle")
            turn = rng.normal(0.0, 0.06)
            if kerb.reserve(at + 2.0 * k, 2.0, "wall"):
                kerb.put(bicycle.mesh, at + 2.0 * k, p.walk - 0.38, turn, pieces.number())
    if rng.random() < 0.35:
        at = rng.uniform(kerb.low + CORNER, kerb.high - CORNER)
        for k in range(int(rng.integers(1, 4))):
            turn, mesh = rng.uniform(0, 6.28), fleet.standing(int(rng.integers(160, 190)))
            if kerb.reserve(at + 0.8 * k, 0.75):
                kerb.put(mesh, at + 0.8 * k, p.kerb + 0.5, turn, pieces.number())


def _verge(kerb: Kerb, rng: np.random.Generator, plants: Plants) -> None:
    """Small trees or bushes in the grass between road and sidewalk."""
    p, draw = kerb.side.profile, rng.random()
    for at in np.arange(kerb.low + CLEAR + 3.0, kerb.high - CLEAR - 3.0, rng.uniform(7.0, 12.0)):
        if draw < 0.6:
            mesh = plants.tree(str(rng.choice(["young", "birch"])), True, rng)
            kerb.put(mesh, at, p.kerb - 0.6, rng.uniform(0, 6.28), scale=rng.uniform(0.8, 1.0))
        elif draw < 0.9:
            bush = plants.bushes[int(rng.integers(len(plants.bushes)))]
            kerb.put(bush, at + rng.uniform(-2, 2), p.kerb - 0.9, rng.uniform(0, 6.28), scale=rng.uniform(0.6, 0.8))


def _guard_rail(pieces: Pieces, kerb: Kerb) -> None:
    start, length = kerb.low + CORNER + 4.0, kerb.high - kerb.low - 2 * CORNER - 8.0
    if length > 4.0:
        frame = Frame(tuple(kerb.spot(start, kerb.side.profile.kerb + 0.6)), 1 if kerb.side.axis == 0 else 0)
        pieces.build(guard_rail(length), frame)
