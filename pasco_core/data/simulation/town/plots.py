"""Plots of land along a street: detached houses, terraces and blocks of flats with their gardens."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town import fleet, green
from pasco_core.data.simulation.town.buildings import apartments, garage, house, shed
from pasco_core.data.simulation.town.pieces import Frame, Pieces
from pasco_core.data.simulation.town.surfaces import Surface
from pasco_core.data.simulation.town.vegetation import Plants

_FRONT = (
    "hedge",
    "hedge",
    "hedge",
    "hedge",
    "hedge",
    "hedge",
    "panel",
    "picket",
    "brick wall",
    "bars",
    "wire",
    "concrete wall",
    "panel",
    "none",
)
_SIDE = ("panel", "hedge", "wire", "rail", "picket", "panel", "none")
_GARDEN = ("fruit", "maple", "birch", "spruce", "lime", "young")


def _build(pieces: Pieces, mesh: Mesh, frame: Frame, s: float, t: float, width: float, depth: float) -> None:
    """A building with its front left corner at (s, t)."""
    own = Frame(tuple(frame.to_sheet(np.array([s, t]))), frame.quarter)
    pieces.build(mesh, own, (width / 2, depth / 2))
    pieces.take(own.box(-0.3, -0.3, width + 0.3, depth + 0.3))


def detached(
    pieces: Pieces, frame: Frame, s0: float, s1: float, depth: float, plants: Plants, rng: np.random.Generator
) -> None:
    """A house in its garden with a driveway at the lower end of the plot."""
    setback = float(rng.uniform(1.8, 5.5))
    low = s0 + 4.6
    width, deep = min(float(rng.uniform(8.0, 12.5)), s1 - low - 1.2), float(rng.uniform(7.5, 10.0))
    deep = min(deep, depth - setback - 4.0)
    storeys = int(rng.choice([1, 2, 2]))
    _build(pieces, house(width, deep, storeys, rng), frame, low, setback, width, deep)
    long = setback + 0.5 * deep
    drive = pieces.pave(frame, s0 + 0.6, -6.0, s0 + 3.6, long, Surface.DRIVE)
    pieces.take(drive)
    if rng.random() < 0.55:
        _drive_car(pieces, frame, s0 + 2.1, float(rng.uniform(3.2, max(long - 2.0, 3.4))), rng)
    if rng.random() < 0.4 and long + 6.5 < depth:
        _build(pieces, garage(rng), frame, s0 + 0.5, long + 0.5, 3.2, 5.8)
    door = low + float(rng.uniform(0.3, 0.7)) * width
    path = rng.random() < 0.6
    if path:
        pieces.take(pieces.pave(frame, door - 1.0, -1.0, door + 1.0, setback, Surface.PATH))
    _front(pieces, frame, s0 + 4.4, s1 - 0.3, door if path else None, rng)
    _enclose(pieces, frame, s0, s1, setback, depth, rng)
    _gardens(pieces, frame, (low, s1), (s0, s1), setback, setback + deep, depth, plants, rng)


def _drive_car(pieces: Pieces, frame: Frame, s: float, t: float, rng: np.random.Generator) -> None:
    vehicle = (
        fleet.random_car(rng) if rng.random() < 0.88 else fleet.vehicle(str(rng.choice(["trailer", "caravan", "van"])))
    )
    u, v = frame.to_sheet(np.array([s, max(t, vehicle.length / 2 + 0.4)]))
    heading = frame.heading + np.pi / 2 * (1 if rng.random() < 0.75 else -1) + rng.normal(0.0, 0.02)
    pieces.put(vehicle.mesh, u, v, heading, instance=pieces.number())


def _front(pieces: Pieces, frame: Frame, s0: float, s1: float, door: float | None, rng: np.random.Generator) -> None:
    """What stands between sidewalk and front garden, open at the path to the door."""
    kind, height = str(rng.choice(_FRONT)), float(rng.uniform(0.9, 2.6))
    if kind == "none":
        return
    if door is None:
        green.border(pieces, frame, s0, 0.6, s1 - s0, 0, kind, height, rng)
        return
    green.border(pieces, frame, s0, 0.6, door - 2.0 - s0, 0, kind, height, rng)
    green.border(pieces, frame, door + 2.0, 0.6, s1 - door - 2.0, 0, kind, height, rng)


def _enclose(
    pieces: Pieces, frame: Frame, s0: float, s1: float, start: float, depth: float, rng: np.random.Generator
) -> None:
    """Fences or hedges to the neighbour at the upper end and to the plot behind."""
    kind, height = str(rng.choice(_SIDE)), float(rng.uniform(1.0, 1.9))
    if kind != "none":
        green.border(
            pieces, frame, s1, max(start - 1.0, 1.2), depth - max(start - 1.0, 1.2) - 0.6, 1, kind, height, rng
        )
    kind = str(rng.choice(_SIDE))
    if kind != "none":
        green.border(pieces, frame, s0 + 0.2, depth - 0.2, s1 - s0 - 0.4, 0, kind, height, rng)


def _gardens(
    pieces: Pieces,
    frame: Frame,
    front: tuple[float, float],
    back: tuple[float, float],
    start: float,
    end: float,
    depth: float,
    plants: Plants,
    rng: np.random.Generator,
) -> None:
    """Bushes and trees before the house (up to ``start``) and behind it (from ``end``)."""
    before = frame.box(front[0], 1.1, front[1], max(start - 0.4, 1.6))
    green.scatter_bushes(pieces, before, int(rng.integers(5, 14)), plants, rng)
    green.scatter_trees(
        pieces, before, int(rng.integers(1, 6)), plants, rng, ("fruit", "lime", "birch", "maple", "spruce")
    )
    behind = frame.box(back[0] + 0.8, end + 1.0, back[1] - 0.8, max(depth - 1.0, end + 1.5))
    if rng.random() < 0.35:
        s, t = back[1] - 3.4, depth - 3.2
        if t > end + 1.0:
            _build(pieces, shed(rng), frame, s, t, 2.4, 2.0)
    green.scatter_trees(pieces, behind, int(rng.integers(1, 6)), plants, rng, _GARDEN)
    green.scatter_bushes(pieces, behind, int(rng.integers(2, 8)), plants, rng)
    if rng.random() < 0.12:
        green.put_person(pieces, before, rng)


def terrace(
    pieces: Pieces, frame: Frame, start: float, count: int, depth: float, plants: Plants, rng: np.random.Generator
) -> None:
    """A row of ``count`` like houses, 6.2 m wide each."""
    width, deep, storeys = 6.2, float(rng.uniform(8.5, 10.5)), int(rng.choice([2, 2, 3]))
    setback, wall = float(rng.choice([0.8, 2.6, 3.6, 4.5])), str(rng.choice(["brick", "plaster", "brick"]))
    deep = min(deep, depth - setback - 4.0)
    models = [
        house(width, deep, storeys, np.random.default_rng(int(rng.integers(1 << 30))), wall, plain=True)
        for _ in range(2)
    ]
    front, height = str(rng.choice(_FRONT)), float(rng.uniform(0.7, 1.5))
    for k in range(count):
        s = start + k * width
        _build(pieces, models[k % 2], frame, s, setback, width, deep)
        if setback > 2.0 and front != "none":
            green.border(pieces, frame, s + 1.6, 0.6, width - 1.7, 0, front, height, rng)
        if rng.random() < 0.8:
            kind = "panel" if rng.random() < 0.6 else str(rng.choice(["hedge", "wire"]))
            green.border(
                pieces, frame, s + width, setback + deep + 0.3, depth - setback - deep - 0.8, 1, kind, 1.7, rng
            )
        _gardens(pieces, frame, (s, s + width), (s, s + width), setback, setback + deep, depth, plants, rng)


def flats(
    pieces: Pieces, frame: Frame, s0: float, s1: float, depth: float, plants: Plants, rng: np.random.Generator
) -> None:
    """A block of flats on a lawn, with parking at its back."""
    setback, deep = float(rng.uniform(2.5, 6.0)), float(rng.uniform(10.0, 13.0))
    deep = min(deep, depth - setback - 7.0)
    width = s1 - s0 - float(rng.uniform(4.5, 7.0))
    _build(pieces, apartments(width, deep, int(rng.integers(3, 6)), rng), frame, s0 + 1.5, setback, width, deep)
    pieces.take(frame.box(s0 + 1.5, setback - 1.9, s0 + 1.5 + width, setback))
    drive = pieces.pave(frame, s1 - 4.6, -6.0, s1 - 0.6, setback + deep + 1.0, Surface.DRIVE)
    lot = pieces.pave(frame, s0 + 1.0, setback + deep + 1.0, s1 - 0.6, depth - 0.5, Surface.LOT)
    pieces.take(drive)
    pieces.take(lot)
    for at in np.arange(s0 + 3.0, s1 - 3.0, 2.8):
        if rng.random() < 0.5:
            _drive_car(pieces, frame, at, setback + deep + 4.6, rng)
    front = frame.box(s0 + 0.5, 0.9, s1 - 5.0, max(setback - 1.0, 2.0))
    kind = str(rng.choice(["hedge", "hedge", "none", "rail", "bars"]))
    if kind != "none":
        green.border(pieces, frame, s0 + 1.0, 0.6, width, 0, kind, float(rng.uniform(0.6, 1.1)), rng)
    green.scatter_bushes(pieces, front, int(rng.integers(10, 24)), plants, rng)
    green.scatter_trees(pieces, front, int(rng.integers(3, 9)), plants, rng, ("lime", "maple", "birch", "young"))
