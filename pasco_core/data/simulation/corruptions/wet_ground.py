"""Wet ground: a water film on the road mirrors the laser away, most at grazing incidence.

The film after Hahner et al. 2022 ("LiDAR snowfall simulation for robust 3D object detection", section 3.2: Fresnel's
equations at both passages of the surface, road texture that looks out of thin films); what the film does to a rough
ground under it after Lekner and Dorf 1988 ("Why some things are darker when wet").
"""

from __future__ import annotations

import numpy as np

from pasco_core.data.simulation.corruptions.corrupted import Corrupted, dimmed, kept
from pasco_core.data.simulation.corruptions.echo import signal_to_noise
from pasco_core.data.simulation.corruptions.ground import fit_ground
from pasco_core.data.simulation.corruptions.levels import WetGround

TEXTURE_DEPTH = 1.2
"""Millimetres, depth of asphalt's texture: a film of this height covers all of it."""

_WATER_INDEX = 1.33
_ABSORPTION = 7e-3  # per millimetre of water at 905 nm
_HELD_BACK = 0.47  # share of diffuse light under water that the surface reflects back down (Lekner and Dorf, n = 1.33)


def fresnel_transmittance(cosine: np.ndarray) -> np.ndarray:
    """Share of unpolarised light that passes from air into water; ``cosine`` of the angle to the surface's normal."""
    cosine = np.asarray(cosine, np.float64)
    inside = np.sqrt(1.0 - (1.0 - cosine**2) / _WATER_INDEX**2)
    across = ((cosine - _WATER_INDEX * inside) / (cosine + _WATER_INDEX * inside)) ** 2
    along = ((_WATER_INDEX * cosine - inside) / (_WATER_INDEX * cosine + inside)) ** 2
    return 1.0 - (across + along) / 2.0


def wet_share(cosine: np.ndarray, reflectivity: np.ndarray, water_height: float) -> np.ndarray:
    """Echo of wet ground over that of the same ground dry.

    Through the film: both passages of the surface, the radiance spread by refraction on the way out (1 / n²), what the
    surface sends back down and the ground reflects again, absorption. Texture that stands out of the film stays dry.

    Args:
        cosine: of the angle of incidence.
        reflectivity: of the dry ground, 0 to 1.
        water_height: millimetres.
    """
    passages = fresnel_transmittance(cosine) ** 2 / _WATER_INDEX**2
    inside = np.sqrt(1.0 - (1.0 - np.asarray(cosine) ** 2) / _WATER_INDEX**2)
    absorbed = np.exp(-2.0 * _ABSORPTION * water_height / inside)
    film = passages * absorbed / (1.0 - _HELD_BACK * reflectivity)
    covered = min(water_height / TEXTURE_DEPTH, 1.0)
    return covered * film + (1.0 - covered)


def corrupt_wet_ground(points: np.ndarray, wet: WetGround, rng: np.random.Generator) -> Corrupted:
    """Points near the road's plane get fainter; those whose echo falls below the noise are lost; the others stay."""
    strength = signal_to_noise(points, rng)
    ground = fit_ground(points)
    if ground is None:
        return kept(points, np.ones(len(points), bool))
    near = ground.is_near(points)
    share = np.ones(len(points))
    share[near] = wet_share(ground.cosine(points[near]), points[near, 3].astype(np.float64), wet.water_height)
    result = dimmed(points, share, (strength * share >= 1.0) | ~near)
    untouched = ~near[result.source]
    result.points[untouched, 3] = points[result.source[untouched], 3]
    return result
