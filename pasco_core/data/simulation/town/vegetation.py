"""Trees, bushes and hedges: crowns are clouds of small leaf triangles through which rays get as through real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.randomness import Kind, generator
from pasco_core.data.simulation.town.shapes import copies, ellipsoids, loft, tube

_PER_SPECIES = 3


@dataclass(frozen=True)
class Species:
    """How a tree of a species is made; lengths in metres.

    Args:
        trunk: radius at the ground.
        fork: height at which the crown's branches begin.
        height: of the whole tree.
        spread: radius of the crown.
        lobes: clumps of leaves.
        free_path: mean metres a ray gets through the crown.
        leaves: triangles of the crown.
        shape: ``round``, ``cone`` or ``column``.
    """

    trunk: float
    fork: float
    height: float
    spread: float
    lobes: int
    free_path: float
    leaves: int
    shape: str = "round"


SPECIES = {
    "lime": Species(0.19, 2.4, 8.5, 2.9, 9, 0.62, 2600),
    "maple": Species(0.16, 2.0, 7.0, 2.6, 7, 0.7, 2200),
    "oak": Species(0.3, 2.6, 11.0, 4.2, 12, 0.8, 3200),
    "birch": Species(0.11, 2.2, 9.0, 1.8, 8, 0.9, 1700),
    "young": Species(0.06, 1.9, 4.2, 1.05, 4, 0.55, 900),
    "fruit": Species(0.1, 1.3, 4.2, 1.8, 6, 0.65, 1300),
    "spruce": Species(0.15, 0.8, 10.5, 2.0, 11, 0.5, 2400, "cone"),
    "poplar": Species(0.2, 1.6, 13.0, 1.3, 10, 0.5, 2300, "column"),
}


class Plants:
    """The prototypes of one town: some trees of each species and some bushes, which stand in it turned and scaled."""

    def __init__(self, seed: int):
        self.trees = {
            name: [tree(species, generator(seed, Kind.GREEN, n, k)) for k in range(_PER_SPECIES)]
            for n, (name, species) in enumerate(SPECIES.items())
        }
        self._far = {
            name: tree(species, generator(seed, Kind.GREEN, n), 0.25)
            for n, (name, species) in enumerate(SPECIES.items())
        }
        self.bushes = [bush(generator(seed, Kind.GREEN, 100, k)) for k in range(5)]
        self.tufts = [tuft(generator(seed, Kind.GREEN, 200, k)) for k in range(3)]

    def tree(self, name: str, near: bool, rng: np.random.Generator) -> Mesh:
        """A tree of a species; far from all streets a coarser one, with fewer and larger leaves, does."""
        kind = int(rng.integers(_PER_SPECIES))
        return self.trees[name][kind] if near else self._far[name]


def tree(species: Species, rng: np.random.Generator, detail: float = 0.95) -> Mesh:
    """A tree at the origin: trunk with roots in the ground, branches into each lobe, ``detail`` times the leaves."""
    centres, halves = _lobes(species, rng)
    lean = rng.normal(0.0, 0.12, 2)
    heights = np.array(
        [-0.4, 0.0, 0.35, 0.5 * species.fork, species.fork, species.fork + 0.35 * (species.height - species.fork)]
    )
    radii = species.trunk * np.array([1.5, 1.35, 1.0, 0.88, 0.78, 0.35])
    line = np.concatenate([np.outer(np.maximum(heights, 0.0) / species.fork, lean), heights[:, None]], axis=1)
    parts = [tube(line[:5], radii[:5], "trunk", "bark", 9), tube(line[4:], radii[4:], "vegetation", "bark", 6)]
    start = line[4]
    for centre in centres[: 5 if species.shape == "round" else 0]:
        bend = start + (centre - start) * [[0.0], [0.45], [0.85]] + [[0, 0, 0], [0, 0, 0.25], [0, 0, 0]]
        parts.append(tube(bend, species.trunk * np.array([0.5, 0.34, 0.15]), "vegetation", "bark", 5))
    return Mesh.joined([*parts, leaves(centres, halves, int(detail * species.leaves), species.free_path, rng)])


def _lobes(species: Species, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centres and half axes (lobes, 3) of the clumps that make the crown."""
    n, tall = species.lobes, species.height - species.fork
    part = (np.arange(n) + 0.5) / n
    turn = np.arange(n) * 2.4 + rng.uniform(0.0, 6.28)
    if species.shape == "round":
        up = species.fork + tall * (0.25 + 0.5 * part) + rng.normal(0, 0.05 * tall, n)
        out = species.spread * 0.62 * np.sin(np.pi * (0.2 + 0.75 * part)) * rng.uniform(0.75, 1.1, n)
        wide = species.spread * rng.uniform(0.38, 0.58, n)
        high = np.minimum(tall * rng.uniform(0.18, 0.28, n), 1.3 * wide)
    elif species.shape == "cone":
        up = species.fork + tall * part
        out = np.full(n, 0.05)
        wide = species.spread * (1.05 - part) * rng.uniform(0.85, 1.1, n)
        high = np.full(n, 0.62 * tall / n)
    else:
        up = species.fork + tall * part
        out = 0.25 * species.spread * rng.random(n)
        wide = species.spread * (0.45 + 0.6 * np.sin(np.pi * (0.12 + 0.75 * part)))
        high = np.full(n, 0.9 * tall / n)
    centres = np.stack([out * np.cos(turn), out * np.sin(turn), up], axis=1)
    return centres, np.stack([wide, wide * rng.uniform(0.85, 1.1, n), high], axis=1)


def leaves(centres: np.ndarray, halves: np.ndarray, count: int, free_path: float, rng: np.random.Generator) -> Mesh:
    """``count`` leaf triangles in a union of ellipsoids, denser towards their skins.

    Randomly turned triangles of area density a (one side, per volume) stop a ray after 2 / a metres on average; from
    that and the volume follows how large they are.
    """
    volume = 4.0 / 3.0 * np.pi * halves.prod(axis=1)
    overlap = 0.72 if len(centres) > 1 else 1.0
    area = 2.0 / free_path * overlap * volume.sum() / count
    chosen = rng.choice(len(centres), count, p=volume / volume.sum())
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    middle = centres[chosen] + halves[chosen] * direction * (rng.random(count) ** 0.24)[:, None]
    return scattered_leaves(middle, area, rng)


def scattered_leaves(middle: np.ndarray, area: float, rng: np.random.Generator) -> Mesh:
    """Triangles of about ``area`` square metres at (N, 3) middles, turned in all directions."""
    side = np.sqrt(area * 4.0 / np.sqrt(3.0)) * rng.uniform(0.75, 1.25, len(middle))
    one = rng.normal(size=middle.shape)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    two = np.cross(one, rng.normal(size=middle.shape))
    two /= np.linalg.norm(two, axis=1, keepdims=True)
    long, wide = (0.72 * side)[:, None] * one, (0.42 * side)[:, None] * two
    corners = np.stack([middle + long, middle - 0.5 * long + wide, middle - 0.5 * long - wide], axis=1)
    return copies(corners, np.array([[0, 1, 2]]), "vegetation", "leaves")


def bush(rng: np.random.Generator) -> Mesh:
    """A bush about 1 m in radius and height, with a core that rays do not get through."""
    n = int(rng.integers(3, 6))
    turn, out = np.arange(n) * 2.4, rng.uniform(0.15, 0.5, n)
    high = rng.uniform(0.35, 0.6, n)
    centres = np.stack([out * np.cos(turn), out * np.sin(turn), high * 0.8], axis=1)
    halves = np.stack([rng.uniform(0.4, 0.6, n), rng.uniform(0.4, 0.6, n), high], axis=1)
    core = ellipsoids(centres, 0.55 * halves, "vegetation", "leaves", 5)
    return Mesh.joined([core, leaves(centres, halves, 330, 0.3, rng)])


def tuft(rng: np.random.Generator) -> Mesh:
    """Tall grass and weeds, about 0.6 m high and wide."""
    centres, halves = np.array([[0.0, 0.0, 0.2]]), np.array([[0.35, 0.35, 0.35]])
    return leaves(centres, halves, 60, 0.35, rng)


def hedge(length: float, height: float, width: float, rng: np.random.Generator) -> Mesh:
    """A clipped hedge along x from 0 to ``length``, centred on y = 0: a core and a skin of leaves."""
    steps = max(int(length / 1.5), 1) + 1
    x = np.linspace(0.08, length - 0.08, steps)
    half, top = 0.36 * width, height - 0.12
    ring = np.array([[-half, -0.3], [half, -0.3], [0.85 * half, top], [-0.85 * half, top]])
    rings = np.concatenate(
        [np.broadcast_to(x[:, None, None], (steps, 4, 1)), np.broadcast_to(ring, (steps, 4, 2))], axis=2
    )
    core = loft(rings, "vegetation", "leaves")
    count = int(length * (2.0 * height + width) * 38)
    middle = rng.random((count, 3)) * [length, width, height] - [0.0, width / 2, 0.0]
    face = rng.random(count) * (2.0 * height + width)
    side, up = np.sign(middle[:, 1]), face > 2.0 * height
    skin = 0.5 * width - rng.random(count) ** 2 * 0.14
    middle[:, 1] = np.where(up, middle[:, 1], side * skin * (1.0 - 0.1 * middle[:, 2] / height))
    middle[:, 2] = np.where(up, height - rng.random(count) ** 2 * 0.15, middle[:, 2])
    return Mesh.joined([core, scattered_leaves(middle, 0.022, rng)])
