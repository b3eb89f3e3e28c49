"""What a block is used for: dwellings, a hall with its parking lot, a park, wood, field or square."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.town import fleet, green, plots
from pasco_core.data.simulation.town.boundaries import fence
from pasco_core.data.simulation.town.buildings import apartments, hall
from pasco_core.data.simulation.town.ground import Tile
from pasco_core.data.simulation.town.kerbside import furnish_streets
from pasco_core.data.simulation.town.pieces import Frame, Pieces
from pasco_core.data.simulation.town.randomness import Kind, generator
from pasco_core.data.simulation.town.surfaces import Surface
from pasco_core.data.simulation.town.vegetation import Plants, hedge

USES = ("detached", "terraced", "flats", "hall", "park", "square", "field", "wood")
_SHARES = {  # of the uses, from the country to the centre
    0.25: (0.27, 0.0, 0.0, 0.08, 0.05, 0.0, 0.35, 0.25),
    0.6: (0.5, 0.2, 0.08, 0.08, 0.1, 0.0, 0.0, 0.04),
    1.1: (0.18, 0.32, 0.22, 0.1, 0.1, 0.08, 0.0, 0.0),
}


def furnish(tile: Tile, plants: Plants) -> Pieces:
    """Plans everything static on ``tile``: its patches of ground and what stands on it."""
    rng = generator(tile.plan.seed, Kind.BLOCK, tile.i, tile.j)
    density = tile.plan.density(tile.i, tile.j)
    use = USES[int(rng.choice(len(USES), p=next(s for top, s in _SHARES.items() if density < top)))]
    pieces = Pieces(tile)
    frames = frontages(tile)
    if use in ("detached", "terraced", "flats"):
        tile.relief_height = 0.0
        _dwellings(pieces, frames, plants, rng, use)
    elif use == "hall":
        _hall(pieces, frames, plants, rng)
    elif use == "square":
        _square(pieces, frames, plants, rng)
    else:
        tile.relief_height = float(rng.uniform(0.3, 1.3))
        tile.relief_phase = tuple(rng.uniform(0.0, 6.28, 2))
        green.furnish(pieces, frames, plants, rng, use)
    furnish_streets(pieces, plants, generator(tile.plan.seed, Kind.FURNITURE, tile.i, tile.j))
    return pieces


def frontages(tile: Tile) -> list[Frame]:
    """The block's four sides, each as a frame that looks from its street into the block."""
    u0, v0, u1, v1 = tile.block
    return [
        Frame((u0, v0), 0, u1 - u0),
        Frame((u1, v0), 1, v1 - v0),
        Frame((u1, v1), 2, u1 - u0),
        Frame((u0, v1), 3, v1 - v0),
    ]


def _dwellings(pieces: Pieces, frames: list[Frame], plants: Plants, rng: np.random.Generator, use: str) -> None:
    depth = min(27.0, 0.5 * min(frames[0].length, frames[1].length) - 1.0)
    for k, frame in enumerate(frames):
        start, stop = (2.0, frame.length - 2.0) if k % 2 == 0 else (depth + 1.0, frame.length - depth - 1.0)
        while stop - start > 6.0:
            start = _next_plot(pieces, frame, start, stop, depth, plants, rng, use)
    u0, v0, u1, v1 = pieces.tile.block
    middle = (u0 + depth + 2, v0 + depth + 2, u1 - depth - 2, v1 - depth - 2)
    if middle[2] - middle[0] > 6 and middle[3] - middle[1] > 6:
        green.scatter_trees(pieces, middle, 14, plants, rng, ("lime", "maple", "birch", "fruit", "spruce"))
        green.scatter_bushes(pieces, middle, 12, plants, rng)


def _next_plot(
    pieces: Pieces,
    frame: Frame,
    start: float,
    stop: float,
    depth: float,
    plants: Plants,
    rng: np.random.Generator,
    use: str,
) -> float:
    """Fills the next plot along a frontage and returns where it ends."""
    room = stop - start
    if use == "terraced" and room > 14.0:
        count = int(min(rng.integers(3, 8), (room - 1.0) // 6.2))
        plots.terrace(pieces, frame, start, count, depth, plants, rng)
        return start + 6.2 * count + float(rng.uniform(1.5, 4.5))
    if use == "flats" and room > 20.0:
        length = float(min(rng.uniform(20.0, 34.0), room))
        plots.flats(pieces, frame, start, start + length, depth, plants, rng)
        return start + length
    if room > 14.0:
        length = float(min(rng.uniform(15.0, 20.0), room))
        if room - length < 14.0:
            length = min(room, 24.0)
        if rng.random() < 0.92:
            plots.detached(pieces, frame, start, start + length, depth, plants, rng)
        return start + length
    box = frame.box(start, 1.0, stop, depth)
    green.scatter_bushes(pieces, box, 6, plants, rng)
    green.scatter_trees(pieces, box, 2, plants, rng, ("fruit", "maple"))
    return stop


def _hall(pieces: Pieces, frames: list[Frame], plants: Plants, rng: np.random.Generator) -> None:
    """A supermarket or workshop at the back of its parking lot, fenced at the other sides."""
    turn = int(rng.integers(4))
    frame, across = frames[turn], frames[(turn + 1) % 4].length
    width, depth = min(frame.length - 12.0, float(rng.uniform(26, 44))), min(across * 0.4, float(rng.uniform(16, 26)))
    s, t = (frame.length - width) / 2, across - depth - 7.0
    pieces.build(
        hall(width, depth, float(rng.uniform(5.0, 8.0)), rng),
        Frame(tuple(frame.to_sheet(np.array([s, t]))), frame.quarter),
        (width / 2, depth / 2),
    )
    pieces.take(frame.box(s - 0.5, t - 0.5, s + width + 0.5, t + depth + 0.5))
    lot = pieces.pave(frame, 5.0, 4.5, frame.length - 5.0, t - 3.0, Surface.LOT)
    pieces.pave(frame, frame.length / 2 - 3, -5.0, frame.length / 2 + 3, 5.0, Surface.LOT)
    pieces.pave(frame, s - 1.0, t - 3.0, s + width + 1.0, t, Surface.PATH if rng.random() < 0.5 else Surface.YARD)
    pieces.take(lot)
    for row in np.arange(9.0, t - 6.0, 8.5):
        for at in np.arange(8.0, frame.length - 8.0, 2.8):
            if rng.random() < 0.42 and abs(at - frame.length / 2) > 4.5:
                _park(pieces, frame, at, row, rng)
    for k in (1, 2, 3):
        side = frames[(turn + k) % 4]
        if rng.random() < 0.7:
            mesh = fence(
                str(rng.choice(["wire", "bars", "concrete wall"])), side.length - 4.0, float(rng.uniform(1.4, 2.0))
            )
            pieces.build(mesh, Frame(tuple(side.to_sheet(np.array([2.0, 1.0]))), side.quarter))
    box = frame.box(1.5, 1.8, frame.length - 1.5, 4.0)
    green.scatter_trees(pieces, box, 12, plants, rng, ("young", "maple", "lime"))
    green.scatter_bushes(pieces, box, 20, plants, rng)
    green.scatter_bushes(pieces, pieces.tile.block, 60, plants, rng)


def _park(pieces: Pieces, frame: Frame, s: float, t: float, rng: np.random.Generator) -> None:
    """A vehicle in a bay of a parking lot, nose in or out."""
    vehicle = fleet.random_car(rng) if rng.random() < 0.93 else fleet.vehicle("van", fleet.random_paint(rng))
    heading = frame.heading + np.pi / 2 * (1 if rng.random() < 0.7 else -1) + rng.normal(0.0, 0.02)
    u, v = frame.to_sheet(np.array([s, t + rng.normal(0.0, 0.2)]))
    pieces.put(vehicle.mesh, u, v, heading, instance=pieces.number())


def _square(pieces: Pieces, frames: list[Frame], plants: Plants, rng: np.random.Generator) -> None:
    """A paved square with trees, people, bicycles, hedges and a building at the far end."""
    frame, across = frames[0], frames[1].length
    pieces.pave(frame, 0.0, 0.0, frame.length, across, Surface.YARD)
    width, depth = 0.6 * frame.length, 0.25 * across
    s, t = 0.2 * frame.length, 0.5 * across - depth / 2
    pieces.build(
        apartments(width, depth, 3, rng), Frame(tuple(frame.to_sheet(np.array([s, t]))), 0), (width / 2, depth / 2)
    )
    pieces.take(frame.box(s - 2.2, t - 2.2, s + width + 2.2, t + depth + 2.2))
    for k in range(4):
        side = frames[k]
        for at in np.arange(6.0, side.length - 6.0, float(rng.uniform(7.0, 10.0))):
            u, v = side.to_sheet(np.array([at, 3.0]))
            pieces.put(
                plants.tree("lime" if k % 2 else "maple", True, rng), u, v, rng.uniform(0, 6.28), rng.uniform(0.7, 0.9)
            )
            pieces.take((u - 0.5, v - 0.5, u + 0.5, v + 0.5))
    for _ in range(8):
        green.put_person(pieces, pieces.tile.block, rng)
    for at in np.arange(10.0, frame.length - 12.0, 14.0):
        pieces.build(hedge(6.0, 0.9, 0.8, rng), Frame(tuple(frame.to_sheet(np.array([at, 6.0]))), 0))
        pieces.take(frame.box(at, 5.5, at + 6.0, 6.5))
