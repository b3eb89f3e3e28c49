"""Where things stand in an endless procedural street, and how the traffic moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation import furniture
from pasco_core.data.simulation.furniture import CLASS, place
from pasco_core.data.simulation.ground import SteppedGround
from pasco_core.data.simulation.solids import Solid

EGO_SPEED = 10.0  # metres per second along the street
_LANE = 2.0  # metres from the centre line to the middle of a lane
_PARKING = 5.5  # to the middle of the parking strip
_KERB, _GARDEN = 6.6, 9.4  # to the inner and outer edge of the sidewalk
_SIDEWALK_Z, _GARDEN_Z = 0.13, 0.06
_PLOT, _SLOT = 21.0, 5.9  # metres of street per plot of land and per parking slot
# Each kind of thing draws from its own random stream, so that adding to one does not move the others.
_PLOTS, _PARKED, _LAMPS, _WALKERS, _RIDERS, _ONCOMING, _LEADING = range(7)


@dataclass(frozen=True)
class Pose:
    """Where the car is: x, y in metres, yaw in radians from +x, on the road (z = 0)."""

    x: float
    y: float
    yaw: float


class Street:
    """A two-lane residential street along +x with right-hand traffic, the same for the same seed.

    The cross-section from the centre outwards: lane, parking strip, kerb and sidewalk, front gardens with trees, hedges
    and fences, houses or a park behind. Lateral positions below are metres to the left of the centre line.

    Args:
        seed: chooses everything that is random about it.
    """

    def __init__(self, seed: int):
        self._seed = seed
        rng = np.random.default_rng([seed, 1000])
        self.ground = SteppedGround(
            edges=(4.4, _KERB, _GARDEN),
            heights=(0.0, 0.0, _SIDEWALK_Z, _GARDEN_Z),
            categories=(CLASS["road"], CLASS["parking"], CLASS["sidewalk"], CLASS["terrain"]),
            bend=float(rng.uniform(4.0, 9.0)) * float(rng.choice([-1.0, 1.0])),
            wavelength=float(rng.uniform(230.0, 300.0)),
        )

    def ego_pose(self, time: float) -> Pose:
        """The car with the sensor after ``time`` seconds, in its lane."""
        return self._on_street(EGO_SPEED * time, -_LANE)

    def solids(self, x: float, reach: float, time: float) -> list[Solid]:
        """Everything within ``reach`` metres along the street from ``x`` at ``time`` seconds, except the own car."""
        low, high = x - reach, x + reach
        solids: list[Solid] = []
        for side in (-1, 1):
            for plot in _cells(low, high, _PLOT):
                solids += self._plot(plot, side)
            for slot in _cells(low, high, _SLOT):
                solids += self._parked(slot, side)
            for lamp in _cells(low, high, 31.0):
                solids += self._roadside(lamp, side)
            for instance, at, rng in self._stream(_WALKERS, side, low, high, 19.0, side * 1.3, time):
                solids += self._walker(instance, at, side, time, rng)
        for instance, at, rng in self._stream(_ONCOMING, 0, low, high, 47.0, -9.0, time):
            solids += self._on_lane(furniture.car(instance, rng), at, _LANE, np.pi)
        for instance, at, rng in self._stream(_LEADING, 0, low, high, 46.0, EGO_SPEED, time):
            # These drive as fast as the own car and keep their distance to it.
            if abs(at - EGO_SPEED * time) > 17.0:
                solids += self._on_lane(furniture.car(instance, rng), at, -_LANE, 0.0)
        for instance, at, _ in self._stream(_RIDERS, 0, low, high, 53.0, 4.5, time):
            solids += self._on_lane(furniture.cyclist(instance), at, -3.7, 0.0)
        return solids

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *(k % (1 << 32) for k in key)])

    def _on_street(self, x: float, lateral: float) -> Pose:
        yaw = self.ground.heading(x)
        y = float(self.ground.centre_line(x))
        return Pose(x - lateral * float(np.sin(yaw)), y + lateral * float(np.cos(yaw)), yaw)

    def _on_lane(self, solids: list[Solid], x: float, lateral: float, turn: float, z: float = 0.0) -> list[Solid]:
        pose = self._on_street(x, lateral)
        return place(solids, pose.x, pose.y, z, pose.yaw + turn)

    def _stream(
        self, kind: int, side: int, low: float, high: float, spacing: float, speed: float, time: float
    ) -> Iterator[tuple[int, float, np.random.Generator]]:
        """Road users in file at about the same ``spacing`` metres, all at ``speed`` metres per second along +x."""
        moved = speed * time
        for index in _cells(low - moved, high - moved, spacing):
            rng = self._rng(kind, side + 1, index)
            at = (index + rng.uniform(0.15, 0.85)) * spacing + moved
            yield _instance(kind, side, index), at, rng

    def _parked(self, slot: int, side: int) -> list[Solid]:
        rng = self._rng(_PARKED, side + 1, slot)
        choice, instance = rng.random(), _instance(_PARKED, side, slot)
        if choice > 0.42 or self._is_driveway(slot, side):
            return []
        vehicle = furniture.van(instance, rng) if choice < 0.025 else furniture.car(instance, rng)
        turn = (0.0 if side < 0 else np.pi) + rng.normal(0.0, 0.025)
        at = (slot + 0.5) * _SLOT + rng.uniform(-0.3, 0.3)
        return self._on_lane(vehicle, at, side * (_PARKING + rng.normal(0.0, 0.08)), turn)

    def _is_driveway(self, slot: int, side: int) -> bool:
        """Every plot keeps the slot at its lower end free."""
        return (slot * _SLOT) % _PLOT < _SLOT

    def _roadside(self, index: int, side: int) -> list[Solid]:
        rng = self._rng(_LAMPS, side + 1, index)
        at = (index + rng.uniform(0.2, 0.6)) * 31.0 + (15.0 if side > 0 else 0.0)
        turn = 0.0 if side < 0 else np.pi
        solids = self._on_lane(furniture.street_lamp(), at, side * (_KERB + 0.35), turn, _SIDEWALK_Z)
        if rng.random() < 0.6:
            sign = furniture.traffic_sign(rng)
            solids += self._on_lane(sign, at + 9.0, side * (_KERB + 0.45), turn, _SIDEWALK_Z)
        if rng.random() < 0.5:
            bicycle = furniture.bicycle(_instance(_LAMPS, side, index))
            solids += self._on_lane(bicycle, at + 0.9, side * (_KERB + 0.6), 0.12, _SIDEWALK_Z)
        return solids

    def _walker(self, instance: int, at: float, side: int, time: float, rng: np.random.Generator) -> list[Solid]:
        lateral = side * rng.uniform(_KERB + 0.8, _GARDEN - 0.5)
        stride = float(np.sin(2.0 * np.pi * (0.9 * time + rng.random())))
        return self._on_lane(furniture.person(instance, stride), at, lateral, 0.0 if side > 0 else np.pi, _SIDEWALK_Z)

    def _plot(self, plot: int, side: int) -> list[Solid]:
        """The land between the sidewalk and the back of one plot."""
        rng = self._rng(_PLOTS, side + 1, plot)
        middle = (plot + 0.5) * _PLOT
        setback = rng.uniform(1.5, 6.5)
        turn = 0.0 if side > 0 else np.pi
        solids: list[Solid] = []
        if rng.random() < 0.72:
            width, depth, height = rng.uniform(11.0, 17.5), rng.uniform(9.0, 12.0), rng.uniform(5.5, 9.5)
            house = furniture.building(width, depth, height, rng)
            solids += self._on_lane(house, middle + rng.uniform(-1, 1), side * (_GARDEN + setback), turn, _GARDEN_Z)
            solids += self._garden(middle, side, setback, rng)
        else:
            solids += self._park(middle, side, rng)
        solids += self._backyard(middle, side, turn, rng)
        return solids + self._boundary(middle, side, turn, rng)

    def _backyard(self, middle: float, side: int, turn: float, rng: np.random.Generator) -> list[Solid]:
        """What shows between the houses: tall trees and the next row of houses."""
        solids: list[Solid] = []
        for _ in range(rng.integers(1, 4)):
            along, out = rng.uniform(-10.0, 10.0), rng.uniform(18.0, 30.0)
            solids += self._on_lane(furniture.tree(rng, 1.6), middle + along, side * (_GARDEN + out), 0.0, _GARDEN_Z)
        if rng.random() < 0.45:
            house = furniture.building(rng.uniform(10.0, 20.0), 10.0, rng.uniform(6.0, 11.0), rng)
            solids += self._on_lane(house, middle, side * (_GARDEN + 32.0), turn, _GARDEN_Z)
        return solids

    def _boundary(self, middle: float, side: int, turn: float, rng: np.random.Generator) -> list[Solid]:
        """Hedge, fence, wall or nothing between sidewalk and garden; the driveway stays open."""
        choice, height = rng.random(), rng.uniform(0.8, 1.5)
        length = _PLOT - 7.0
        if choice < 0.3:
            solids = furniture.hedge(length, height)
        elif choice < 0.55:
            solids = furniture.fence(length, height)
        elif choice < 0.7:
            solids = furniture.wall(length, 0.7 * height)
        else:
            return []
        return self._on_lane(solids, middle + 2.5, side * (_GARDEN + 0.5), turn, _GARDEN_Z)

    def _garden(self, middle: float, side: int, setback: float, rng: np.random.Generator) -> list[Solid]:
        solids: list[Solid] = []
        for _ in range(rng.integers(1, 4)):
            along, out = rng.uniform(-6.0, 9.0), rng.uniform(0.9, max(setback - 0.6, 1.0))
            solids += self._on_lane(furniture.bush(rng), middle + along, side * (_GARDEN + out), 0.0, _GARDEN_Z)
        for _ in range(rng.integers(0, 3)):
            along, out = rng.uniform(-3.0, 9.0), rng.uniform(1.3, 2.2)
            solids += self._on_lane(furniture.tree(rng), middle + along, side * (_GARDEN + out), 0.0, _GARDEN_Z)
        return solids

    def _park(self, middle: float, side: int, rng: np.random.Generator) -> list[Solid]:
        solids: list[Solid] = []
        for _ in range(rng.integers(1, 3)):
            along, out = rng.uniform(-7.0, 7.0), rng.uniform(7.0, 20.0)
            solids += self._on_lane(furniture.mound(rng), middle + along, side * (_GARDEN + out), 0.0)
        for _ in range(rng.integers(6, 11)):
            along, out = rng.uniform(-9.5, 9.5), rng.uniform(1.5, 22.0)
            solids += self._on_lane(furniture.tree(rng), middle + along, side * (_GARDEN + out), 0.0, _GARDEN_Z)
        for _ in range(rng.integers(4, 10)):
            along, out = rng.uniform(-9.5, 9.5), rng.uniform(1.0, 16.0)
            solids += self._on_lane(furniture.bush(rng), middle + along, side * (_GARDEN + out), 0.0, _GARDEN_Z)
        return solids


def _cells(low: float, high: float, size: float) -> range:
    """Indices of the cells of ``size`` metres that overlap [low, high]."""
    return range(int(np.floor(low / size)), int(np.floor(high / size)) + 1)


def _instance(kind: int, side: int, index: int) -> int:
    """A number from 1 that belongs to one object for as long as it exists."""
    return 1 + kind + 7 * (side + 1) + 21 * (index % 3000)
