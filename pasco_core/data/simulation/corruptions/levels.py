"""The strength of every corruption at every level, in physical units, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

LEVELS = ("light", "moderate", "heavy")
"""Severities, as Robo3D (Kong et al. 2023) names them."""


@dataclass(frozen=True)
class Fog:
    """``visibility``: metres, the meteorological optical range, at which 5 % of the contrast is left."""

    visibility: float


@dataclass(frozen=True)
class WetGround:
    """``water_height``: millimetres of water on asphalt whose texture is 1.2 mm deep."""

    water_height: float


@dataclass(frozen=True)
class Snow:
    """``rate``: millimetres of melted water per hour."""

    rate: float


@dataclass(frozen=True)
class MotionBlur:
    """Errors of the sensor's motion during the sweep, as standard deviations.

    Args:
        speed: metres per second that compensation misses, along and across; a tenth of it upwards.
        turn_rate: degrees per second about each axis that compensation misses.
        shake: metres of vibration along each axis.
        tilt: degrees of vibration about each axis.
    """

    speed: float
    turn_rate: float
    shake: float
    tilt: float


@dataclass(frozen=True)
class BeamMissing:
    """``beams_of_64``: how many of 64 beams still work; the same share of another number."""

    beams_of_64: int


@dataclass(frozen=True)
class Crosstalk:
    """``share``: of the returns whose range belongs to another pulse."""

    share: float


@dataclass(frozen=True)
class IncompleteEcho:
    """``lost_decibels``: how much more echo power a dark object must return to be detected."""

    lost_decibels: float


@dataclass(frozen=True)
class CrossSensor:
    """The sensor that scans instead: ``beams_of_64`` evenly chosen beams, one return per ``azimuth_step`` degrees."""

    beams_of_64: int
    azimuth_step: float


Parameters: TypeAlias = Fog | WetGround | Snow | MotionBlur | BeamMissing | Crosstalk | IncompleteEcho | CrossSensor

PARAMETERS: dict[str, tuple[Parameters, Parameters, Parameters]] = {
    "fog": (Fog(300.0), Fog(100.0), Fog(50.0)),
    "wet_ground": (WetGround(0.2), WetGround(0.6), WetGround(1.2)),
    "snow": (Snow(0.5), Snow(1.0), Snow(2.5)),
    "motion_blur": (
        MotionBlur(1.0, 4.0, 0.005, 0.05), MotionBlur(3.0, 12.0, 0.015, 0.15), MotionBlur(8.0, 30.0, 0.04, 0.4)
    ),
    "beam_missing": (BeamMissing(48), BeamMissing(32), BeamMissing(16)),
    "crosstalk": (Crosstalk(0.01), Crosstalk(0.03), Crosstalk(0.08)),
    "incomplete_echo": (IncompleteEcho(3.0), IncompleteEcho(9.0), IncompleteEcho(18.0)),
    "cross_sensor": (CrossSensor(48, 0.25), CrossSensor(32, 0.35), CrossSensor(16, 0.4)),
}
"""Corruption → its parameters at light, moderate and heavy."""
