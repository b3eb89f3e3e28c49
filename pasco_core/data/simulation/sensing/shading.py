"""Colours of the simulated world by daylight: materials with a little variation, sun, sky and haze."""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.materials import MATERIAL, MATERIALS
from pasco_core.data.simulation.sensing.rays import Hits
from pasco_core.data.simulation.sensing.texture import cell_hash, pattern

_COLOUR = np.array([m.colour for m in MATERIALS], np.float32)
_PAINTS = [MATERIAL[name] for name in ("coloured paint", "clothes")]
_GRAINS = ((0.07, 0.5), (0.6, 0.3), (4.0, 0.2))  # metres of a pattern's cells, share of the variation
_VARIATION = np.full(len(MATERIALS), 0.10, np.float32)
_VARIATION[[MATERIAL["leaves"], MATERIAL["grass"]]] = 0.38
_VARIATION[[MATERIAL["brick"], MATERIAL["bark"], MATERIAL["roof tiles"], MATERIAL["paving"]]] = 0.22
_HORIZON, _ZENITH = np.array([224, 230, 235], np.float32), np.array([122, 164, 214], np.float32)
_SUNLIGHT, _SKYLIGHT = np.array([1.02, 0.97, 0.86], np.float32), np.array([0.42, 0.46, 0.54], np.float32)
_HAZE = 900.0  # metres at which two thirds of a colour have become the horizon's


def sky(rays: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """(N, 3) float32 colours of the sky in directions (N, 3), which need not be unit vectors."""
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    height = np.clip(rays[:, 2:], 0.0, 1.0) ** 0.5
    glow = np.clip(rays @ sun.astype(np.float32), 0.0, 1.0)[:, None] ** 40
    return _HORIZON + (_ZENITH - _HORIZON) * height + glow * (255.0 - _HORIZON)


def colours(hits: Hits, points: np.ndarray, rays: np.ndarray, lit: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """(N, 3) float32 colours, 0 to 255, of surfaces that were met.

    Args:
        hits: of N rays, all of which met something.
        points: (N, 3) where they met it, metres in the world.
        rays: (N, 3) directions.
        lit: (N,) cosine of the sun's incidence, 0 in the shade.
        sun: (3,) unit vector towards the sun.
    """
    base = _COLOUR[hits.material] * (1.0 + _VARIATION[hits.material, None] * pattern(points, _GRAINS)[:, None])
    painted = np.isin(hits.material, _PAINTS) & (hits.instance > 0)
    base[painted] = _paint(hits.instance[painted])
    facing_up = 0.75 + 0.25 * np.abs(hits.normal[:, 2:])
    colour = base * (_SKYLIGHT * facing_up + _SUNLIGHT * lit[:, None])
    glass = hits.material == MATERIAL["window"]
    if glass.any():
        along = 2.0 * np.einsum("ni,ni->n", rays[glass], hits.normal[glass])[:, None] * hits.normal[glass]
        colour[glass] = 0.5 * colour[glass] + 0.35 * sky(rays[glass] - along, sun)
    distance = hits.distance * np.linalg.norm(rays, axis=1)
    clear = np.exp(-distance / _HAZE)[:, None]
    return colour * clear + _HORIZON * (1.0 - clear)


def _paint(instance: np.ndarray) -> np.ndarray:
    """A colour (N, 3) per instance: hues of all kinds, rather dull."""
    key = np.stack([instance, instance * 7 + 1, instance * 13 + 2], axis=1).astype(np.int64)
    hue = 2.0 * np.pi * cell_hash(key)[:, None] + np.array([0.0, 2.1, 4.2], np.float32)
    return 95.0 + 70.0 * np.cos(hue)
