"""Buildings in their own frame: x along the front, y into the depth, the front at y = 0, z = 0 on the ground."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.materials import MATERIAL
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town.shapes import boxes, placed, quads, surface

STOREY = 2.8
_BELOW = -1.6  # metres that walls reach into the ground
_RECESS = 0.13
_WALLS = ("plaster", "plaster", "brick", "concrete")


def facade(
    length: float,
    height: float,
    spans: list[tuple[float, float]],
    rows: list[tuple[float, float]],
    wall: str,
    door: int = -1,
) -> Mesh:
    """A wall along x at y = 0 that looks to -y, with recessed windows.

    Args:
        spans: left and right edge of each column of windows, ascending.
        rows: lower and upper edge of each row, ascending.
        door: column whose lowest window reaches to the ground and is made of wood; -1 = none.
    """
    x = np.array([0.0, *(e for span in spans for e in span), length])
    z = np.array([_BELOW, *(e for row in rows for e in row), height])
    i, j = (a.ravel() for a in np.meshgrid(np.arange(len(x) - 1), np.arange(len(z) - 1), indexing="ij"))
    opening = (i % 2 == 1) & (j % 2 == 1)
    wooden = opening & (i == 2 * door + 1) & (j == 1)
    corners = np.stack(
        [np.stack([x[i + a], np.zeros(len(i)), z[j + b]], axis=-1) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))], axis=1
    )
    material = np.where(opening, MATERIAL["window"], MATERIAL[wall])
    material[wooden] = MATERIAL["wood"]
    corners[wooden, :2, 2] = 0.15
    inner = corners[opening] + [0.0, _RECESS, 0.0]
    outer = corners[opening]
    reveals = [np.stack([outer[:, k], outer[:, k - 1], inner[:, k - 1], inner[:, k]], axis=1) for k in range(4)]
    below = corners[(i == 2 * door + 1) & (j == 0)] if door >= 0 else np.zeros((0, 4, 3))
    step = below.copy()
    step[:, 2:, 2] = 0.15
    parts = [corners[~opening], inner, *reveals, step]
    kinds = [material[~opening], material[opening]] + [np.full(len(r), MATERIAL[wall]) for r in (*reveals, step)]
    return quads(np.concatenate(parts), "building", np.concatenate(kinds))


def _spans(
    length: float, rng: np.random.Generator, width: float = 1.25, every: float = 2.7
) -> list[tuple[float, float]]:
    count = int((length - 0.8) / every)
    middles = (np.arange(count) + 0.5) * length / max(count, 1)
    half = width * rng.uniform(0.4, 0.6)
    return [(m - half, m + half) for m in middles]


def body(width: float, depth: float, storeys: int, wall: str, rng: np.random.Generator, door: bool = True) -> Mesh:
    """Four walls with windows in every storey."""
    height = storeys * STOREY + 0.35
    sill, head = rng.uniform(0.75, 1.0), rng.uniform(2.15, 2.35)
    rows = [(0.35 + k * STOREY + sill, 0.35 + k * STOREY + head) for k in range(storeys)]
    parts = []
    for k, (x, y, length) in enumerate(((0, 0, width), (width, 0, depth), (width, depth, width), (0, depth, depth))):
        spans = _spans(length, rng, every=2.7 if k % 2 == 0 else 3.8)
        has_door = int(rng.integers(len(spans))) if door and k == 0 and spans else -1
        parts.append(placed(facade(length, height, spans, rows, wall, has_door), [[x, y, 0.0]], [k * np.pi / 2]))
    return Mesh.joined(parts)


def gable_roof(
    width: float, depth: float, eaves: float, rise: float, wall: str, along: bool = True, hip: float = 0.0
) -> Mesh:
    """A roof with its ridge along x (or y), the ends sloped inwards by ``hip`` metres; with gable walls."""
    over = 0.4
    w, d = (width, depth) if along else (depth, width)
    drop = rise * over / (d / 2)
    x0, x1, y0, y1 = -over, w + over, -over, d + over
    low, high = eaves - drop, eaves + rise
    a, b, c, e = (x0, y0, low), (x1, y0, low), (x1, y1, low), (x0, y1, low)
    r0, r1 = (x0 + hip, d / 2, high), (x1 - hip, d / 2, high)
    vertices = np.array(
        [
            a,
            b,
            c,
            e,
            r0,
            r1,
            (0, 0, eaves),
            (0, d, eaves),
            (0, d / 2, high),
            (w, 0, eaves),
            (w, d, eaves),
            (w, d / 2, high),
        ]
    )
    faces = [[0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5]]
    material = [MATERIAL["roof tiles"]] * 4
    if hip > 0:
        faces += [[1, 2, 5], [3, 0, 4]]
        material += [MATERIAL["roof tiles"]] * 2
    else:
        faces += [[6, 7, 8], [9, 10, 11]]
        material += [MATERIAL[wall]] * 2
    if not along:
        vertices = np.stack([vertices[:, 1], w - vertices[:, 0], vertices[:, 2]], axis=1)
    return surface(vertices, np.array(faces), "building", np.array(material))


def flat_roof(width: float, depth: float, eaves: float, wall: str) -> Mesh:
    """A flat roof with a parapet."""
    rim = 0.45
    low = [(0, 0, eaves - 0.1), (0, depth - 0.2, eaves - 0.1), (0, 0, eaves - 0.1), (width - 0.2, 0, eaves - 0.1)]
    high = [
        (width, 0.2, eaves + rim),
        (width, depth, eaves + rim),
        (0.2, depth, eaves + rim),
        (width, depth, eaves + rim),
    ]
    top = quads([[(0, 0, eaves), (width, 0, eaves), (width, depth, eaves), (0, depth, eaves)]], "building", "concrete")
    return Mesh.joined([boxes(low, high, "building", wall), top])


def _porch(x: float, rng: np.random.Generator) -> Mesh:
    out = rng.uniform(0.9, 1.5)
    parts = [
        boxes(
            [(x - 1.1, -out, -0.8), (x - 0.9, -out - 0.3, -0.8)],
            [(x + 1.1, 0, 0.14), (x + 0.9, -out, 0.05)],
            "building",
            "concrete",
        ),
        boxes((x - 1.25, -out - 0.1, 2.45), (x + 1.25, 0, 2.6), "building", "roof tiles"),
    ]
    if rng.random() < 0.6:
        parts.append(
            boxes(
                [(x - 1.1, -out, 0.1), (x + 0.98, -out, 0.1)],
                [(x - 0.98, -out + 0.12, 2.45), (x + 1.1, -out + 0.12, 2.45)],
                "building",
                "wood",
            )
        )
    return Mesh.joined(parts)


def _bay(x: float, height: float) -> Mesh:
    rows = [(0.9, 2.3)] + ([(3.6, 5.0)] if height > 5.0 else [])
    front = placed(facade(2.6, height, [(0.3, 2.3)], rows, "plaster"), [[x - 1.3, -0.7, 0.0]], [0.0])
    sides = boxes(
        [(x - 1.3, -0.7, _BELOW), (x + 1.2, -0.7, _BELOW)],
        [(x - 1.2, 0, height), (x + 1.3, 0, height)],
        "building",
        "plaster",
    )
    top = boxes((x - 1.4, -0.8, height), (x + 1.4, 0, height + 0.15), "building", "roof tiles")
    return Mesh.joined([front, sides, top])


def house(
    width: float, depth: float, storeys: int, rng: np.random.Generator, wall: str | None = None, plain: bool = False
) -> Mesh:
    """A dwelling house with a pitched roof, chimney, and perhaps porch, bay and dormers."""
    wall = wall or str(rng.choice(_WALLS))
    eaves, rise = storeys * STOREY + 0.35, rng.uniform(0.32, 0.48) * min(width, depth)
    along = width >= depth or plain or rng.random() < 0.4
    hip = 0.0 if plain or rng.random() < 0.7 else 0.45 * min(width, depth)
    parts = [body(width, depth, storeys, wall, rng), gable_roof(width, depth, eaves, rise, wall, along, hip)]
    x = rng.uniform(0.25, 0.75) * width
    parts.append(
        boxes((x - 0.3, depth * 0.55, eaves), (x + 0.3, depth * 0.55 + 0.5, eaves + rise + 0.6), "building", "brick")
    )
    door = rng.uniform(0.25, 0.75) * width
    parts.append(_porch(door, rng))
    if width > 8.5 and rng.random() < 0.5:
        parts.append(_bay(width * 0.82 if door < width / 2 else width * 0.18, storeys * STOREY * 0.97))
    if along and rng.random() < 0.5:
        at = rng.uniform(0.2, 0.8) * width
        low = (at - 0.8, depth * 0.13, eaves - 0.1)
        parts.append(boxes(low, (at + 0.8, depth * 0.42, eaves + 0.65 * rise), "building", "window"))
        parts.append(
            boxes(
                (at - 0.95, depth * 0.1, eaves + 0.65 * rise),
                (at + 0.95, depth * 0.45, eaves + 0.65 * rise + 0.12),
                "building",
                "roof tiles",
            )
        )
    return Mesh.joined(parts)


def apartments(width: float, depth: float, storeys: int, rng: np.random.Generator) -> Mesh:
    """A block of flats with balconies and a flat or hipped roof."""
    wall = str(rng.choice(_WALLS))
    eaves = storeys * STOREY + 0.35
    flat = rng.random() < 0.6
    roof = flat_roof(width, depth, eaves, wall) if flat else gable_roof(width, depth, eaves, 3.0, wall, True, 4.0)
    parts = [body(width, depth, storeys, wall, rng), roof]
    columns = np.arange(2.5, width - 2.0, rng.uniform(4.5, 7.0))
    levels = 0.35 + STOREY * np.arange(1, storeys)
    if rng.random() < 0.75 and len(columns) and len(levels):
        x, z = (a.ravel() for a in np.meshgrid(columns, levels))
        y, out = np.zeros_like(x), rng.uniform(1.0, 1.5)
        low = np.stack([x - 1.4, y - out, z - 0.15], axis=1)
        parts.append(boxes(low, low + np.array([2.8, out, 0.17]), "building", "concrete"))
        for dx, dy, wx, wy in ((0.0, 0.0, 2.8, 0.06), (0.0, 0.0, 0.06, out), (2.74, 0.0, 0.06, out)):
            parts.append(
                boxes(low + np.array([dx, dy, 0.17]), low + np.array([dx + wx, dy + wy, 1.15]), "building", "steel")
            )
    x = rng.uniform(0.3, 0.7) * width
    parts.append(boxes((x - 1.6, -1.8, 2.5), (x + 1.6, 0.0, 2.68), "building", "concrete"))
    return Mesh.joined(parts)


def hall(width: float, depth: float, height: float, rng: np.random.Generator) -> Mesh:
    """A supermarket or workshop: a band of windows or shop front, gates, a flat roof with vents."""
    rows = [(0.3, 2.6)] if rng.random() < 0.5 else [(height - 2.0, height - 0.9)]
    walls = []
    for k, (x, y, length) in enumerate(((0, 0, width), (width, 0, depth), (width, depth, width), (0, depth, depth))):
        spans = _spans(length, rng, width=3.2, every=4.5)
        walls.append(placed(facade(length, height, spans, rows, "concrete"), [[x, y, 0.0]], [k * np.pi / 2]))
    x, y = rng.uniform(2, width - 3, 3), rng.uniform(2, depth - 3, 3)
    low = np.stack([x, y, np.full(3, height)], axis=1)
    vents = boxes(low, low + np.array([1.4, 1.4, 1.1]), "building", "steel")
    sign = boxes((width * 0.3, -0.25, height - 0.8), (width * 0.7, 0.0, height + 0.7), "building", "bright paint")
    return Mesh.joined([*walls, flat_roof(width, depth, height, "concrete"), vents, sign])


def garage(rng: np.random.Generator) -> Mesh:
    """A single garage, 3.2 m wide and 5.8 m deep."""
    height = float(rng.uniform(2.4, 2.7))
    gate = quads(
        [[(0.35, -0.02, 0.05), (2.85, -0.02, 0.05), (2.85, -0.02, 2.1), (0.35, -0.02, 2.1)]], "building", "wood"
    )
    return Mesh.joined([boxes((0, 0, _BELOW), (3.2, 5.8, height), "building", "plaster"), gate])


def shed(rng: np.random.Generator) -> Mesh:
    """A garden shed, 2.4 m wide and 2 m deep."""
    box = boxes((0, 0, -0.5), (2.4, 2.0, 2.0), "building", "wood")
    return Mesh.joined([box, gable_roof(2.4, 2.0, 2.0, float(rng.uniform(0.4, 0.8)), "wood")])
