"""Plants and people on open land: parks, woods, fields, gardens."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.town import fleet
from pasco_core.data.simulation.town.boundaries import fence
from pasco_core.data.simulation.town.ground import RASTER, Patch
from pasco_core.data.simulation.town.pieces import Frame, Pieces
from pasco_core.data.simulation.town.surfaces import Surface
from pasco_core.data.simulation.town.vegetation import SPECIES, Plants, hedge

Box = tuple[float, float, float, float]
_PARK = ("lime", "maple", "oak", "birch", "spruce", "fruit")
_NEAR = 12.0  # metres from a block's edge up to which trees are made in detail
_WOOD = ("maple", "oak", "birch", "spruce", "lime")


def put_tree(pieces: Pieces, u: float, v: float, plants: Plants, rng: np.random.Generator, name: str) -> bool:
    """A tree of a species, if there is room for trunk and half of its crown."""
    species, scale = SPECIES[name], float(rng.uniform(1.0, 1.55))
    if not pieces.is_free(u, v, 0.5 * scale * species.spread):
        return False
    u0, v0, u1, v1 = pieces.tile.block
    near = min(u - u0, u1 - u, v - v0, v1 - v) < _NEAR
    pieces.put(
        plants.tree(name, near, rng),
        u,
        v,
        rng.uniform(0.0, 2 * np.pi),
        scale * np.array([1.0, 1.0, rng.uniform(0.9, 1.1)]),
    )
    pieces.take((u - 0.4, v - 0.4, u + 0.4, v + 0.4))
    return True


def scatter_trees(
    pieces: Pieces, box: Box, count: int, plants: Plants, rng: np.random.Generator, names: tuple[str, ...]
) -> None:
    """Up to ``count`` trees in a box on the sheet, where there is room."""
    for u, v in rng.uniform(box[:2], box[2:], (count, 2)):
        put_tree(pieces, u, v, plants, rng, str(rng.choice(names)))


def scatter_bushes(pieces: Pieces, box: Box, count: int, plants: Plants, rng: np.random.Generator) -> None:
    """Up to ``count`` bushes in a box on the sheet, where there is room."""
    for u, v in rng.uniform(box[:2], box[2:], (count, 2)):
        wide, high = rng.uniform(0.5, 1.4), rng.uniform(0.6, 2.2)
        if pieces.is_free(u, v, 0.9 * wide):
            pieces.put(
                plants.bushes[int(rng.integers(5))], u, v, rng.uniform(0.0, 2 * np.pi), np.array([wide, wide, high])
            )


def scatter_tufts(pieces: Pieces, box: Box, count: int, plants: Plants, rng: np.random.Generator) -> None:
    """Tall grass."""
    for u, v in rng.uniform(box[:2], box[2:], (count, 2)):
        if pieces.is_free(u, v, 0.4):
            pieces.put(plants.tufts[int(rng.integers(3))], u, v, rng.uniform(0.0, 2 * np.pi), rng.uniform(0.6, 1.6))


def put_person(pieces: Pieces, box: Box, rng: np.random.Generator) -> None:
    """A person standing somewhere in a box on the sheet, if the place is free."""
    u, v = rng.uniform(box[:2], box[2:])
    if pieces.is_free(u, v, 0.6):
        pieces.put(
            fleet.standing(int(rng.integers(158, 190))), u, v, rng.uniform(0.0, 2 * np.pi), instance=pieces.number()
        )
        pieces.take((u - 0.3, v - 0.3, u + 0.3, v + 0.3))


def border(
    pieces: Pieces,
    frame: Frame,
    s0: float,
    t0: float,
    length: float,
    turn: int,
    kind: str,
    height: float,
    rng: np.random.Generator,
) -> None:
    """A fence or (``kind`` = "hedge") hedge from (s0, t0), along the street (turn 0) or into the land (turn 1)."""
    if length < 0.8:
        return
    mesh = hedge(length, height, float(rng.uniform(0.6, 1.0)), rng) if kind == "hedge" else fence(kind, length, height)
    own = Frame(tuple(frame.to_sheet(np.array([s0, t0]))), frame.quarter + turn)
    pieces.build(mesh, own)
    pieces.take(own.box(0.0, -0.45, length, 0.45))


def furnish(pieces: Pieces, frames: list[Frame], plants: Plants, rng: np.random.Generator, use: str) -> None:
    """Plans a park, wood or field on a whole block."""
    u0, v0, u1, v1 = pieces.tile.block
    inner = (u0 + 1.5, v0 + 1.5, u1 - 1.5, v1 - 1.5)
    area = (u1 - u0) * (v1 - v0)
    if use == "park":
        _paths(pieces, frames, rng)
        _edges(pieces, frames, rng, ("hedge", "bars", "brick wall", "rail"), 0.7)
        scatter_trees(pieces, inner, int(area / 130), plants, rng, _PARK)
        scatter_bushes(pieces, inner, int(area / 150), plants, rng)
        _fringe(pieces, frames, plants, rng, 0.25, ("maple", "lime", "birch"))
        for _ in range(4):
            put_person(pieces, inner, rng)
    elif use == "wood":
        _edges(pieces, frames, rng, ("wire", "rail"), 0.3)
        scatter_trees(pieces, inner, int(area / 95), plants, rng, _WOOD)
        scatter_bushes(pieces, inner, int(area / 120), plants, rng)
        _fringe(pieces, frames, plants, rng, 0.5, _WOOD)
        scatter_tufts(pieces, inner, int(area / 110), plants, rng)
    else:
        _edges(pieces, frames, rng, ("wire", "rail", "hedge", "rail"), 0.65)
        _fringe(pieces, frames, plants, rng, float(rng.choice([0.1, 0.25, 0.5])), ("poplar", "oak", "birch", "fruit"))
        if rng.random() < 0.4:
            pieces.tile.patches.insert(0, _patch(inner, Surface.SOIL))
        scatter_trees(pieces, inner, 6, plants, rng, _PARK)
        scatter_tufts(pieces, inner, 60, plants, rng)


def _fringe(
    pieces: Pieces,
    frames: list[Frame],
    plants: Plants,
    rng: np.random.Generator,
    density: float,
    names: tuple[str, ...],
) -> None:
    """Trees and undergrowth along the streets: ``density`` bushes per metre of street and a quarter as many trees."""
    for frame in frames:
        row = frame.box(2.0, 1.4, frame.length - 2.0, 6.0)
        scatter_trees(pieces, row, int(0.35 * density * frame.length), plants, rng, names)
        scatter_bushes(pieces, row, int(2.0 * density * frame.length), plants, rng)


def _patch(box: Box, surface: Surface) -> Patch:
    return Patch(*(round(x / RASTER) * RASTER for x in box), surface)


def _paths(pieces: Pieces, frames: list[Frame], rng: np.random.Generator) -> None:
    for frame, across in ((frames[0], frames[1].length), (frames[1], frames[0].length)):
        at = float(rng.uniform(0.3, 0.7)) * frame.length
        pieces.take(pieces.pave(frame, at - 1.0, -4.0, at + 1.0, across + 4.0, Surface.PATH))


def _edges(pieces: Pieces, frames: list[Frame], rng: np.random.Generator, kinds: tuple[str, ...], share: float) -> None:
    """A fence or hedge along each side with the probability ``share``, with a gap for people to get in."""
    for frame in frames:
        kind, height = str(rng.choice(kinds)), float(rng.uniform(0.9, 1.6))
        gap = float(rng.uniform(0.2, 0.8)) * frame.length
        if rng.random() < share:
            border(pieces, frame, 2.0, 1.0, gap - 3.5, 0, kind, height, rng)
            border(pieces, frame, gap + 1.5, 1.0, frame.length - gap - 3.5, 0, kind, height, rng)
