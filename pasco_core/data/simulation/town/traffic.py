"""Vehicles and riders that drive through the town around the car with the sensor, and wait at its crossings.

Each drives straight on along one street at one speed from out of sight to out of sight. Every leg of the route has its
own candidates; one that would come too near to the car with the sensor, or to a candidate that was drawn before it in
one of the legs around, stays away. So it needs no memory to know who is there at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.town import fleet
from pasco_core.data.simulation.town.bikes_and_people import PHASES
from pasco_core.data.simulation.town.layout import CORNER, Plan, Profile, Sheet
from pasco_core.data.simulation.town.randomness import Kind, generator
from pasco_core.data.simulation.town.route import FIRST_TIME, Route, lane_offset, street_of
from pasco_core.data.simulation.town.shapes import placed

_FIRST_NUMBER = 1 << 30
_PER_LEG = 64
_SIGHT = 125.0  # metres from the car beyond which nobody sees a vehicle appear
_TICK = 0.25  # seconds between the moments at which distances are checked
_HORIZON = 240  # ticks before and after the meeting
_LEGS_AROUND = 7
_EGO_CIRCLES = (-0.9, 0.6, 2.1)  # metres ahead of the sensor; with the radius below they cover the car
_EGO_RADIUS = 1.02
_CYCLE_TURN = 5.0  # metres per turn of the pedals


@dataclass(frozen=True)
class Mover:
    """A vehicle on its way.

    Args:
        kind: ``vehicle``, ``bicyclist`` or ``motorcyclist``.
        body: its mesh and measures.
        axis, across: it drives along the other coordinate of the sheet, at this one: u (axis 0) or v (axis 1).
        direction: +1 or -1 along its street.
        speed: metres per second.
        start: coordinate along the street at ``meeting`` seconds.
        first, last: ticks from and to which it is there.
        number: instance.
    """

    kind: str
    body: fleet.Vehicle
    axis: int
    across: float
    direction: int
    speed: float
    start: float
    meeting: float
    number: int
    first: int = 0
    last: int = 0

    def on_sheet(self, time: np.ndarray) -> np.ndarray:
        """(..., 2) on the sheet at times (...)."""
        along = self.start + self.direction * self.speed * (time - self.meeting)
        across = np.full(np.shape(along), self.across)
        return np.stack([across, along] if self.axis == 0 else [along, across], axis=-1)

    @property
    def heading(self) -> float:
        """Direction on the sheet, radians."""
        return (np.pi / 2 if self.axis == 0 else 0.0) + (np.pi if self.direction < 0 else 0.0)

    def circles(self, sheet: Sheet, ticks: np.ndarray) -> tuple[np.ndarray, float]:
        """Circles that cover it: centres (circles, ticks, 2) in the world and their radius."""
        reach = max(self.body.length - self.body.width, 0.0) / 2
        offsets = np.linspace(-reach, reach, max(int(np.ceil(2 * reach / 1.6)), 1) + 1) if reach > 0.3 else np.zeros(1)
        along = np.array([np.cos(self.heading), np.sin(self.heading)])
        spots = self.on_sheet(ticks * _TICK)[None] + offsets[:, None, None] * along
        return sheet.to_world(spots), self.body.width / 2 + 0.06


@dataclass(frozen=True)
class _Track:
    mover: Mover
    ticks: np.ndarray
    centres: np.ndarray
    radius: float
    low: np.ndarray
    high: np.ndarray


class Traffic:
    """Everyone who drives in the town of ``seed``."""

    def __init__(self, plan: Plan, sheet: Sheet, route: Route, seed: int):
        self._plan, self._sheet, self._route, self._seed = plan, sheet, route, seed
        self._candidates = lru_cache(64)(self._draw)
        self._accepted = lru_cache(64)(self._choose)

    def meshes(self, time: float, centre: np.ndarray, radius: float) -> list[Mesh]:
        """Those within the circle, in the world."""
        leg = self._route.leg_at(time)
        found = []
        for k in range(max(leg - _LEGS_AROUND, 0), leg + _LEGS_AROUND + 1):
            for mover in self._accepted(k):
                if mover.first * _TICK <= time <= mover.last * _TICK:
                    uv = mover.on_sheet(np.array(time))
                    xy = self._sheet.to_world(uv)
                    if np.hypot(*(xy - centre)) < radius + 8.0:
                        found.append(self._mesh(mover, uv, xy, time))
        return found

    def _mesh(self, mover: Mover, uv: np.ndarray, xy: np.ndarray, time: float) -> Mesh:
        heading = float(self._sheet.direction(uv, np.array(mover.heading)))
        if mover.kind == "bicyclist":
            mesh = fleet.cycling(int(mover.speed * time / _CYCLE_TURN * PHASES) % PHASES)
        else:
            mesh = mover.body.mesh
        return placed(mesh, [[*xy, self._sheet.hills(xy)]], [heading], instance=mover.number)

    def _choose(self, leg: int) -> list[Mover]:
        around = range(max(leg - _LEGS_AROUND, 0), leg + _LEGS_AROUND + 1)
        others = [t for k in around for t in self._candidates(k)]
        return [
            t.mover
            for t in self._candidates(leg)
            if not any(o.mover.number < t.mover.number and _meet(t, o) for o in others)
        ]

    def _draw(self, leg: int) -> list[_Track]:
        """Candidates of a leg that keep clear of the car with the sensor."""
        rng = generator(self._seed, Kind.TRAFFIC, leg)
        drafts = [*self._along(leg, rng), *self._crossing(leg, rng)]
        tracks = []
        for k, draft in enumerate(drafts[:_PER_LEG]):
            track = self._track(draft, _FIRST_NUMBER + leg * _PER_LEG + k)
            if track is not None:
                tracks.append(track)
        return tracks

    def _along(self, leg: int, rng: np.random.Generator) -> list[dict]:
        """Oncoming and leading traffic in the street of the leg."""
        route = self._route
        start, stop = route.leg_times(leg)
        heading, node = route.headings[leg], route.nodes[leg]
        profile, segment, line = street_of(self._plan, node, heading)
        drafts = []
        for _ in range(int(rng.integers(2, 6))):
            drafts.append(
                self._draft(
                    rng, profile, segment.kind, line, heading + 2, rng.uniform(start, stop), 0.0, rng.uniform(6.5, 13.0)
                )
            )
        for _ in range(int(rng.integers(1, 4))):
            ahead = rng.uniform(14.0, 60.0) * (1 if rng.random() < 0.7 else -1)
            drafts.append(
                self._draft(
                    rng, profile, segment.kind, line, heading, (start + stop) / 2, ahead, rng.uniform(8.0, 10.5)
                )
            )
        return drafts

    def _crossing(self, leg: int, rng: np.random.Generator) -> list[dict]:
        """Traffic in the street that the car meets at the end of the leg; some wait at the stop line."""
        route = self._route
        time = route.leg_times(leg)[1]
        node, heading = route.nodes[leg + 1], route.headings[leg]
        drafts = []
        for _ in range(int(rng.integers(2, 6))):
            turn = heading + int(rng.choice([1, 3]))
            profile, segment, line = street_of(self._plan, node, turn % 4)
            draft = self._draft(
                rng, profile, segment.kind, line, turn, time + rng.uniform(-9.0, 9.0), 0.0, rng.uniform(6.5, 13.0), node
            )
            if rng.random() < 0.4:
                crossed = street_of(self._plan, node, heading)[0]
                draft["speed"] = 0.0
                draft["start"] -= draft["direction"] * (crossed.kerb + CORNER + 1.4 + draft["body"].length / 2)
            drafts.append(draft)
        return drafts

    def _draft(
        self,
        rng: np.random.Generator,
        profile: Profile,
        street: str,
        line: float,
        heading: int,
        meeting: float,
        ahead: float,
        speed: float,
        node: tuple[int, int] | None = None,
    ) -> dict:
        """A vehicle in the street at ``line``: ``ahead`` metres before the car, or at ``node``, at ``meeting``."""
        heading %= 4
        axis, direction = (0, 1 - 2 * (heading == 3)) if heading % 2 else (1, 1 - 2 * (heading == 2))
        right = 1 if (axis == 0) == (direction > 0) else -1
        roomy = profile.lanes == 2 or street == "rural"
        kind, body, lane = _who(rng, roomy)
        out = profile.road - 0.32 if kind == "bicyclist" else lane_offset(profile, lane if profile.lanes == 2 else 0)
        if kind == "bicyclist" and speed > 0:
            speed = 0.45 * speed
        if node is None:
            start = float(self._route.position(max(meeting, FIRST_TIME))[0][1 - axis]) + direction * ahead
        else:
            start = self._plan.position(1 - axis, node[1 - axis])
        return {
            "kind": kind,
            "body": body,
            "axis": axis,
            "across": line + right * out,
            "direction": direction,
            "speed": speed,
            "start": start,
            "meeting": meeting,
        }

    def _track(self, draft: dict, number: int) -> _Track | None:
        """The candidate with the time while it is in sight, or none if it does not keep clear of the car."""
        mover = Mover(**draft, number=number)
        middle = round(mover.meeting / _TICK)
        ticks = np.arange(middle - _HORIZON, middle + _HORIZON + 1)
        _, xy, heading = self._route.position(np.maximum(ticks * _TICK, FIRST_TIME))
        apart = np.hypot(*(self._sheet.to_world(mover.on_sheet(ticks * _TICK)) - xy).T)
        hidden = apart > _SIGHT
        before, after = np.flatnonzero(hidden[:_HORIZON]), np.flatnonzero(hidden[_HORIZON:])
        first = before[-1] if len(before) else 0
        if not len(after) or (not len(before) and ticks[0] * _TICK > FIRST_TIME):
            return None
        last = _HORIZON + after[0]
        kept = slice(first, last + 1)
        centres, radius = mover.circles(self._sheet, ticks[kept])
        ahead = np.stack([np.cos(heading[kept]), np.sin(heading[kept])], axis=-1)
        for offset in _EGO_CIRCLES:
            near = np.hypot(*np.moveaxis(centres - (xy[kept] + offset * ahead), -1, 0)).min()
            if near < radius + _EGO_RADIUS:
                return None
        mover = Mover(**draft, number=number, first=int(ticks[first]), last=int(ticks[last]))
        flat = centres.reshape(-1, 2)
        return _Track(mover, ticks[kept], centres, radius, flat.min(axis=0) - radius, flat.max(axis=0) + radius)


def _who(rng: np.random.Generator, roomy: bool) -> tuple[str, fleet.Vehicle, int]:
    """Kind, body and lane (0 = at the kerb) of someone who drives."""
    draw = rng.random()
    if draw < 0.14:
        return "bicyclist", fleet.Vehicle(fleet.cycling(0), 1.8, 0.6), 0
    if draw < 0.22:
        return "motorcyclist", fleet.Vehicle(fleet.motorcycling(), 2.1, 0.8), 0
    body = fleet.random_moving(rng, roomy)
    return "vehicle", body, 1 if body.width > 2.2 or rng.random() < 0.4 else 0


def _meet(a: _Track, b: _Track) -> bool:
    """Whether two come too near to each other while both are there."""
    if np.any(a.low > b.high) or np.any(b.low > a.high):
        return False
    first, last = max(a.ticks[0], b.ticks[0]), min(a.ticks[-1], b.ticks[-1])
    if first > last:
        return False
    one = a.centres[:, first - a.ticks[0] : last + 1 - a.ticks[0]]
    two = b.centres[:, first - b.ticks[0] : last + 1 - b.ticks[0]]
    gap = one[:, None] - two[None]
    return bool((np.einsum("ijkl,ijkl->ijk", gap, gap)).min() < (a.radius + b.radius + 0.4) ** 2)
