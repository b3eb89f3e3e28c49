"""What surfaces are made of: how they answer a LiDAR and what colour a camera sees."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Material:
    """A surface.

    Args:
        name: what it is.
        reflectivity: mean LiDAR intensity at perpendicular incidence near the sensor, 0 to 1.
        colour: RGB, 0 to 255.
        passes: share of the rays that go through (glass), 0 to 1.
        retroreflective: whether it throws light back to where it came from, at any angle.
        roughness: metres, standard deviation of how far its points lie off the surface (grass).
    """

    name: str
    reflectivity: float
    colour: tuple[int, int, int]
    passes: float = 0.0
    retroreflective: bool = False
    roughness: float = 0.0


MATERIALS = (
    Material("asphalt", 0.27, (70, 70, 74)),
    Material("lane paint", 0.55, (215, 215, 210)),
    Material("paving", 0.34, (150, 146, 140)),
    Material("concrete", 0.36, (165, 163, 158)),
    Material("grass", 0.38, (92, 125, 58), roughness=0.025),
    Material("soil", 0.30, (110, 92, 70), roughness=0.015),
    Material("leaves", 0.37, (58, 98, 46), roughness=0.02),
    Material("bark", 0.33, (88, 70, 54)),
    Material("plaster", 0.46, (214, 203, 182)),
    Material("brick", 0.38, (150, 84, 66)),
    Material("roof tiles", 0.30, (128, 66, 52)),
    Material("window", 0.10, (70, 88, 104), passes=0.55),
    Material("wood", 0.32, (130, 98, 66)),
    Material("steel", 0.30, (140, 142, 146)),
    Material("sign", 0.95, (225, 225, 225), retroreflective=True),
    Material("dark paint", 0.05, (32, 34, 40)),
    Material("grey paint", 0.25, (120, 124, 130)),
    Material("bright paint", 0.45, (205, 206, 208)),
    Material("coloured paint", 0.20, (140, 34, 36)),
    Material("rubber", 0.06, (26, 26, 28)),
    Material("licence plate", 0.9, (230, 228, 200), retroreflective=True),
    Material("clothes", 0.30, (74, 82, 116)),
    Material("skin", 0.40, (205, 160, 132)),
)
MATERIAL = {material.name: index for index, material in enumerate(MATERIALS)}
"""Name → index in ``MATERIALS``; add materials at the end only, since indices are stored in meshes."""
